package cluster_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

func TestSessionsAreGivenBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1)})
		open := func(sid string, ttl time.Duration) {
			n, err := c.Pick(cluster.Want{})
			if err != nil {
				t.Fatal(err)
			}
			c.Sessions.Open(sid, n, time.Now().Add(ttl))
		}
		count := func() int { return sessions(c)[0] }
		open("closed", time.Minute)
		open("expires", 10*time.Second)
		open("polled", 10*time.Second)
		open("upgraded", 10*time.Second)
		c.Sessions.Upgraded("upgraded", c.Node("n1"), time.Now().Add(time.Minute), 20*time.Second)
		c.Sessions.Upgraded("another replica's", c.Node("n1"), time.Now().Add(time.Minute), 20*time.Second)
		if got := count(); got != 5 {
			t.Fatalf("%d sessions, want 5", got)
		}
		c.Sessions.End("closed")
		c.Sessions.End("closed")
		c.Sessions.End("never seen")

		var mu sync.Mutex
		asked := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- c.Sessions.Run(ctx, func(_ context.Context, sid string) time.Time {
				mu.Lock()
				defer mu.Unlock()
				if asked[sid]++; sid == "polled" && asked[sid] == 1 {
					return time.Now().Add(30 * time.Second)
				}
				return time.Time{}
			})
		}()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := count(); got != 3 { // polled, upgraded, another replica's
			t.Errorf("%d sessions after 20 s, want 3", got)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := count(); got != 2 || asked["upgraded"] > 0 {
			t.Errorf("%d sessions after 50 s, want those of the two tunnels; asked: %v", got, asked)
		}
		c.Sessions.End("upgraded")
		c.Sessions.ProbeFailed("another replica's", time.Now().Add(time.Minute))
		if got := count(); got != 0 {
			t.Errorf("%d sessions at the end", got)
		}
		if ended, expired := c.Sessions.Ended(); ended != 2 || expired != 2 {
			t.Errorf("%d have ended, %d expired", ended, expired)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// afterFailedProbe returns a cluster of one node with the session "s", of whose tunnels one has ended before the session
// moved to it.
func afterFailedProbe(tunnels int) *cluster.Cluster {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1)})
	n, _ := c.Pick(cluster.Want{})
	c.Sessions.Open("s", n, time.Now().Add(10*time.Second))
	for range tunnels {
		c.Sessions.Upgraded("s", n, time.Now().Add(time.Minute), 20*time.Second)
	}
	c.Sessions.ProbeFailed("s", time.Now().Add(10*time.Second))
	return c
}

// expireAll lets 20 s go by in which every binding turns out to have expired.
func expireAll(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c.Sessions.Run(ctx, func(context.Context, string) time.Time { return time.Time{} })
}

func TestFailedProbeLeavesTheSessionPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := afterFailedProbe(1)
		if got := sessions(c)[0]; got != 1 {
			t.Fatalf("%d sessions after the failed probe, want 1", got)
		}
		expireAll(t, c)
		if got := sessions(c)[0]; got != 0 {
			t.Errorf("%d sessions after the binding expired, want 0", got)
		}
	})
}

// TestFailedProbeBesideTheTunnel opens a second WebSocket with the sid of a session whose tunnel lives.
func TestFailedProbeBesideTheTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := afterFailedProbe(2)
		expireAll(t, c)
		if got := sessions(c)[0]; got != 1 {
			t.Errorf("%d sessions while the tunnel lives, want 1", got)
		}
		c.Sessions.End("s")
		if got := sessions(c)[0]; got != 0 {
			t.Errorf("%d sessions at the end", got)
		}
	})
}

// Polling clients that vanish are counted no longer soon after their bindings ended, however many they are.
func TestVanishedSessionsAreCountedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1)})
		for i := range 5000 {
			n, _ := c.Pick(cluster.Want{})
			c.Sessions.Open(fmt.Sprint("s", i), n, time.Now().Add(time.Second))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c.Sessions.Run(ctx, func(context.Context, string) time.Time {
			time.Sleep(50 * time.Millisecond) // a store that is far away
			return time.Time{}
		})
		if got := sessions(c)[0]; got != 0 {
			t.Errorf("%d sessions after 10 s", got)
		}
	})
}

// A flood of sessions leaves no memory behind once they have expired.
func TestSessionsGiveBackWhatAFloodTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1)})
		heap := func() int64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- c.Sessions.Run(ctx, func(context.Context, string) time.Time { return time.Time{} })
		}()
		before := heap()
		for i := range 300_000 {
			n, _ := c.Pick(cluster.Want{})
			c.Sessions.Open(fmt.Sprint("s", i), n, time.Now().Add(15*time.Second))
		}
		time.Sleep(2 * time.Second)
		took := heap() - before
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := sessions(c)[0]; got != 0 {
			t.Errorf("%d sessions after 20 s", got)
		}
		if left := heap() - before; left > took/20 {
			t.Errorf("%d KiB of %d KiB are left", left>>10, took>>10)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		runtime.KeepAlive(c)
	})
}

// A session that expires without a request is unused, unless another replica has renewed it.
func TestUnusedSessionsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1)})
		for _, sid := range []string{"unused", "used", "renewed", "ended"} {
			n, _ := c.Pick(cluster.Want{})
			c.Sessions.Open(sid, n, time.Now().Add(10*time.Second))
		}
		if !c.Sessions.Used("used") || c.Sessions.Used("used") || c.Sessions.Used("never seen") {
			t.Error("the first request of a session is not known")
		}
		c.Sessions.End("ended")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		renewed := false
		go func() {
			done <- c.Sessions.Run(ctx, func(_ context.Context, sid string) time.Time {
				if sid == "renewed" && !renewed {
					renewed = true
					return time.Now().Add(10 * time.Second)
				}
				return time.Time{}
			})
		}()
		time.Sleep(30 * time.Second)
		if n := c.Sessions.Unused(); n != 1 || sessions(c)[0] != 0 {
			t.Errorf("%d are unused, %d are counted", n, sessions(c)[0])
		}
		cancel()
		<-done
	})
}

// Sessions of one node are looked at before their time when that is asked for.
// A session that polls and was moved is counted on its new node, once.
func TestMovedSessionsAreFollowed(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	n1, n2 := c.Node("n1"), c.Node("n2")
	c.Join(n1)
	c.Sessions.Open("sid", n1, time.Now().Add(time.Minute))
	c.Join(n1)
	c.Sessions.Upgraded("upgraded", n1, time.Now().Add(time.Minute), 0)
	c.Leave(n1) // which Upgraded has taken of its own
	for _, step := range []struct {
		sid   string
		to    *cluster.Node
		moved bool
		want  []int
	}{
		{"sid", n1, false, []int{2, 0}},
		{"sid", n2, true, []int{1, 1}},
		{"sid", n2, false, []int{1, 1}},
		{"upgraded", n2, false, []int{1, 1}},
		{"nobody's", n2, false, []int{1, 1}},
	} {
		if moved := c.Sessions.Follow(step.sid, step.to); moved != step.moved {
			t.Errorf("%s to %s: %v", step.sid, step.to.Name, moved)
		}
		if got := sessions(c); got[0] != step.want[0] || got[1] != step.want[1] {
			t.Errorf("%s to %s: %v sessions, want %v", step.sid, step.to.Name, got, step.want)
		}
	}
}

func TestSessionsAreRechecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: []cluster.Config{{Name: "n1", Address: "h:1", Weight: 1}, {Name: "n2", Address: "h:2", Weight: 1}}})
		ctx, cancel := context.WithCancel(t.Context())
		var asked atomic.Int64
		gone := atomic.Pointer[string]{}
		gone.Store(new(""))
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Sessions.Run(ctx, func(_ context.Context, sid string) time.Time {
				asked.Add(1)
				if sid == *gone.Load() {
					return time.Time{}
				}
				return time.Now().Add(time.Minute)
			})
		}()
		for _, sid := range []string{"a", "b"} {
			c.Join(c.Node("n1"))
			c.Sessions.Open(sid, c.Node("n1"), time.Now().Add(time.Minute))
		}
		c.Join(c.Node("n2"))
		c.Sessions.Open("c", c.Node("n2"), time.Now().Add(time.Minute))
		gone.Store(new("a"))
		c.Sessions.Recheck(c.Node("n1"))
		time.Sleep(3 * time.Second)
		if n := asked.Load(); n != 2 {
			t.Errorf("asked for %d sessions, want 2", n)
		}
		if s := c.Statuses(); s[0].Sessions != 1 || s[1].Sessions != 1 {
			t.Errorf("%+v", s)
		}
		cancel()
		<-done
	})
}

// A drained node's sessions are given up when they were silent for as long as the protocol allows; others when their bindings expire.
func TestSilentSessionsOfADrainedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const silence, ttl = 45 * time.Second, 70 * time.Second
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		began := time.Now()
		ends := map[string]time.Duration{}
		expires := func(sid string) time.Time { return c.Sessions.Gone(sid, began, silence, began.Add(ttl)) }
		for _, sid := range []string{"stays", "vanishes"} {
			for _, n := range c.Nodes() {
				c.Join(n)
				c.Sessions.Open(n.Name+sid, n, began.Add(ttl))
			}
		}
		n1 := c.Node("n1")
		c.SetDraining(n1, true)
		c.Sessions.Recheck(n1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		var mu sync.Mutex
		go func() {
			done <- c.Sessions.Run(ctx, func(_ context.Context, sid string) time.Time {
				end := expires(sid)
				mu.Lock()
				defer mu.Unlock()
				if end.IsZero() || !end.After(time.Now()) {
					ends[sid], end = time.Since(began).Round(5*time.Second), time.Time{}
				}
				return end
			})
		}()
		time.Sleep(20 * time.Second)
		c.Sessions.Heard("n1stays", n1)
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := map[string]time.Duration{"n1vanishes": silence, "n1stays": 20*time.Second + silence, "n2vanishes": ttl, "n2stays": ttl}
		if fmt.Sprint(ends) != fmt.Sprint(want) {
			t.Errorf("they ended after %v, want %v", ends, want)
		}
	})
}
