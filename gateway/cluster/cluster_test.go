package cluster_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

// nodes returns one node for each weight, named n1, n2 and so on.
func nodes(weights ...int) []cluster.Config {
	var all []cluster.Config
	for i, w := range weights {
		all = append(all, cluster.Config{Name: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("127.0.0.1:%d", 3001+i), Weight: w})
	}
	return all
}

// sessions returns how many sessions each node has, in the order of their names.
func sessions(c *cluster.Cluster) []int {
	var counts []int
	for _, s := range c.Statuses() {
		counts = append(counts, s.Sessions)
	}
	return counts
}

func TestSharesFollowWeights(t *testing.T) {
	for _, tt := range []struct {
		method  cluster.Method
		weights []int
		picks   int
		within  float64 // of the share of all picks
	}{
		{cluster.LeastSessions, []int{1, 1, 1, 1}, 1000, 0},
		{cluster.LeastSessions, []int{5, 1, 1, 1}, 1000, 0.002},
		{cluster.LeastSessions, []int{3, 7}, 1000, 0.002},
		{cluster.RoundRobin, []int{1, 1, 1, 1}, 1000, 0},
		{cluster.RoundRobin, []int{5, 1, 1, 1}, 1000, 0.002},
		{cluster.RoundRobin, []int{100, 1}, 1010, 0.002},
	} {
		t.Run(fmt.Sprint(tt.method, tt.weights), func(t *testing.T) {
			c := cluster.New("c", cluster.Settings{Method: tt.method, Nodes: nodes(tt.weights...)})
			sum := 0
			for _, w := range tt.weights {
				sum += w
			}
			for range tt.picks {
				if _, err := c.Pick(cluster.Want{}); err != nil {
					t.Fatal(err)
				}
			}
			for i, got := range sessions(c) {
				want := float64(tt.picks) * float64(tt.weights[i]) / float64(sum)
				if diff := math.Abs(float64(got)-want) / float64(tt.picks); diff > tt.within {
					t.Errorf("node %d of weight %d has %d sessions, want %.0f", i+1, tt.weights[i], got, want)
				}
			}
		})
	}
}

func TestRoundRobinSpreadsTheHeavyNode(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Method: cluster.RoundRobin, Nodes: nodes(5, 1, 1, 1)})
	inARow, worst := 0, 0
	for range 80 {
		n, err := c.Pick(cluster.Want{})
		if err != nil {
			t.Fatal(err)
		}
		if inARow++; n.Name != "n1" {
			inARow = 0
		}
		worst = max(worst, inARow)
	}
	if worst > 3 {
		t.Errorf("the node of weight 5 of 8 was picked %d times in a row", worst)
	}
}

func TestLeastSessionsEvensOutWhatLeft(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1, 1)})
	for range 300 {
		if _, err := c.Pick(cluster.Want{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 60 {
		c.Leave(c.Node("n2"))
	}
	for range 60 {
		if n, _ := c.Pick(cluster.Want{}); n.Name != "n2" {
			t.Fatalf("%s was picked while n2 had the fewest sessions", n.Name)
		}
	}
	if got := sessions(c); !slices.Equal(got, []int{100, 100, 100}) {
		t.Errorf("sessions: %v", got)
	}
}

func TestTriedNodesAreNotPickedAgain(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1, 1)})
	var tried []*cluster.Node
	for range 3 {
		n, err := c.Pick(cluster.Want{Tried: tried})
		if err != nil || slices.Contains(tried, n) {
			t.Fatal(n, err)
		}
		c.Leave(n)
		tried = append(tried, n)
	}
	if _, err := c.Pick(cluster.Want{Tried: tried}); !errors.Is(err, cluster.ErrNoNode) {
		t.Errorf("all were tried: %v", err)
	}
	if _, err := c.Pick(cluster.Want{}); err != nil {
		t.Errorf("another request may try them: %v", err)
	}
}

func TestFailedNodeIsLeftOutForAGrowingWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		n := c.Node("n1")
		other := []*cluster.Node{c.Node("n2")}
		var told []bool
		c.OnEjection = func(_ *cluster.Node, out bool, _ cluster.Reason, _ time.Duration) { told = append(told, out) }
		var last time.Duration
		for range 8 {
			c.Failed(n)
			c.Failed(n) // the same outage, seen by another request
			began := time.Now()
			if _, err := c.Pick(cluster.Want{Tried: other}); !errors.Is(err, cluster.ErrNoNode) {
				t.Fatal("picked right after it failed")
			}
			time.Sleep(c.Retry())
			if _, err := c.Pick(cluster.Want{Tried: other}); err != nil {
				t.Fatal("still ejected when its pause was over")
			}
			c.Leave(n)
			pause := time.Since(began)
			if pause < last || last > 0 && pause > 2*last {
				t.Errorf("pause of %v after one of %v", pause, last)
			}
			last = pause
		}
		if last < 10*time.Second || last > 20*time.Second {
			t.Errorf("the longest pause is %v", last)
		}
		c.Failed(n)
		c.Answered(n, time.Now().Add(1))
		c.Answered(n, time.Now().Add(1))
		if _, err := c.Pick(cluster.Want{Tried: other}); err != nil {
			t.Error("ejected although it answered")
		}
		if !slices.Equal(told, []bool{true, false}) {
			t.Errorf("told %v", told)
		}
	})
}

// TestOneOfAllThatFailedIsFoundSoon has nodes that fail in turn until their pauses are long, and then all at once.
func TestOneOfAllThatFailedIsFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1, 1)})
		for _, n := range c.Nodes()[1:] {
			for range 8 {
				c.Failed(n)
				time.Sleep(c.Retry())
			}
		}
		for range 8 {
			for _, n := range c.Nodes() {
				c.Failed(n)
			}
			if _, err := c.Pick(cluster.Want{}); !errors.Is(err, cluster.ErrNoNode) {
				t.Fatal("picked right after it failed")
			}
			if c.Retry() == 0 || c.Retry() > 400*time.Millisecond {
				t.Fatalf("the next try is %v away", c.Retry())
			}
			time.Sleep(c.Retry())
			for _, n := range c.Nodes() {
				others := slices.DeleteFunc(slices.Clone(c.Nodes()), func(o *cluster.Node) bool { return o == n })
				if _, err := c.Pick(cluster.Want{Tried: others}); err != nil {
					t.Fatalf("%s is not tried", n.Name)
				}
			}
		}
	})
}

// TestFailsAgainBeforeItIsPicked has requests of a node's sessions notice its outage, and handshakes come later.
func TestFailsAgainBeforeItIsPicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		n := c.Node("n1")
		for range 3 {
			c.Failed(n)
			time.Sleep(c.Retry() + time.Millisecond)
		}
		c.Failed(n)
		c.Answered(n, time.Now().Add(1))
		c.Failed(n)
		time.Sleep(time.Minute)
		seen := map[*cluster.Node]int{}
		for range 4 {
			got, err := c.Pick(cluster.Want{})
			if err != nil {
				t.Fatal(err)
			}
			seen[got]++
		}
		if seen[n] != 2 || seen[c.Node("n2")] != 2 {
			t.Errorf("picks %v", seen)
		}
	})
}

func TestSuspicionNeedsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		n, other := c.Node("n1"), c.Node("n2")
		heard := n.Heard.Load()
		c.Answered(n, time.Now().Add(1))
		if c.Suspect(n, heard, cluster.ReasonSilent) {
			t.Error("ejected although it answered another request meanwhile")
		}
		if !c.Suspect(n, n.Heard.Load(), cluster.ReasonSilent) {
			t.Error("not ejected although it has said nothing since the request was sent")
		}
		if c.Suspect(other, other.Heard.Load(), cluster.ReasonSilent) {
			t.Error("the last node is ejected for its silence")
		}
		for range 4 {
			if got, err := c.Pick(cluster.Want{}); got != other {
				t.Errorf("picked %v, %v", got, err)
			}
		}
	})
}

func TestCutsCountOnlyInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		n, other := c.Node("n1"), c.Node("n2")
		ejected := func() bool { return c.Statuses()[0].Ejected }
		for range 5 {
			c.Cut(n)
			c.Cut(n)
			c.Answered(n, time.Now().Add(1))
		}
		if ejected() {
			t.Error("ejected although it answered between")
		}
		c.Cut(n)
		c.Cut(n)
		c.NoSession(n)
		c.Cut(n)
		if ejected() {
			t.Error("ejected for cuts although it answered between, with something else than a session")
		}
		for range 3 {
			c.Cut(n)
		}
		if !ejected() {
			t.Error("not ejected after three cuts in a row")
		}
		for range 3 {
			c.Cut(other)
		}
		if got, err := c.Pick(cluster.Want{}); got != other {
			t.Errorf("picked %v, %v: the last node is not ejected for cuts", got, err)
		}
	})
}

// A good probe that began later ends an ejection of a node to which no connection came about, and of no other.
func TestProbesEndAnEjection(t *testing.T) {
	silence := func(why cluster.Reason) func(*cluster.Cluster, *cluster.Node) {
		return func(c *cluster.Cluster, n *cluster.Node) { c.Suspect(n, n.Heard.Load(), why) }
	}
	for name, tt := range map[string]struct {
		fail func(*cluster.Cluster, *cluster.Node)
		ends bool
	}{
		"refused":         {(*cluster.Cluster).Failed, true},
		"connect_timeout": {silence(cluster.ReasonNoConnect), true},
		"unreachable":     {silence(cluster.ReasonUnreachable), true},
		"silent":          {silence(cluster.ReasonSilent), false},
		"tls":             {silence(cluster.ReasonTLS), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
			n, told := c.Node("n1"), ""
			c.OnEjection = func(_ *cluster.Node, out bool, why cluster.Reason, pause time.Duration) {
				told += fmt.Sprint(out, why, pause, " ")
			}
			c.Reached(n, time.Now())
			began := time.Now()
			time.Sleep(time.Second)
			tt.fail(c, n)
			c.Reached(n, began)
			if s := c.Statuses()[0]; !s.Ejected || time.Until(s.Retry) != 500*time.Millisecond {
				t.Errorf("%s: after a probe that began before: %+v", name, s)
			}
			time.Sleep(time.Second)
			if s := c.Statuses()[0]; !s.Ejected || !s.Retry.IsZero() {
				t.Errorf("%s: after its pause: %+v", name, s)
			}
			c.Reached(n, time.Now())
			want := fmt.Sprint(true, name, "500ms ")
			if tt.ends {
				want += fmt.Sprint(false, name, "0s ")
			}
			if s := c.Statuses()[0]; s.Ejected == tt.ends || told != want {
				t.Errorf("%s: after a probe: %+v, told %s", name, s, told)
			}
		})
	}
}

func TestReturnedNodeGetsNoBacklogOfTurns(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Method: cluster.RoundRobin, Nodes: nodes(1, 1)})
	c.Failed(c.Node("n2"))
	for range 100 {
		if n, _ := c.Next(nil); n.Name != "n1" {
			t.Fatal("a node that failed got a turn")
		}
	}
	c.Answered(c.Node("n2"), time.Now().Add(1))
	got := map[string]int{}
	for range 100 {
		n, _ := c.Next(nil)
		got[n.Name]++
	}
	if got["n1"] < 49 || got["n1"] > 51 {
		t.Errorf("turns after the return: %v", got)
	}
}

func TestConcurrentPicksKeepTheCount(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 2, 3, 4, 5)})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n, err := c.Pick(cluster.Want{})
				if err != nil {
					continue
				}
				switch rand.IntN(10) {
				case 0:
					c.Failed(n)
				case 1:
					c.Answered(n, time.Now().Add(1))
				}
				n.Acquire()
				sid := fmt.Sprint("s", i)
				c.Sessions.Open(sid, n, time.Now().Add(time.Hour))
				c.Sessions.End(sid)
				n.Release()
			}
		})
	}
	wg.Wait()
	for _, s := range c.Statuses() {
		if s.Sessions != 0 || s.Leases != 0 {
			t.Errorf("%s is left with %d sessions, %d leases", s.Node.Name, s.Sessions, s.Leases)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{4, 64, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			weights := make([]int, n)
			for i := range weights {
				weights[i] = 1 + i%5
			}
			c := cluster.New("c", cluster.Settings{Nodes: nodes(weights...)})
			b.ReportAllocs()
			for b.Loop() {
				node, err := c.Pick(cluster.Want{})
				if err != nil {
					b.Fatal(err)
				}
				if rand.IntN(2) == 0 {
					c.Leave(node)
				}
			}
		})
	}
}

func TestOneWarningAMinuteForEachNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("chat", cluster.Settings{Nodes: nodes(1, 1)})
		for range 3 {
			for _, n := range c.Nodes() {
				var due atomic.Int32
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						if c.MayWarn(n) {
							due.Add(1)
						}
					})
				}
				wg.Wait()
				if got := due.Load(); got != 1 {
					t.Errorf("%s: %d warnings, want 1", n.Name, got)
				}
			}
			time.Sleep(time.Minute - time.Nanosecond)
			if c.MayWarn(c.Nodes()[0]) {
				t.Error("a second warning within a minute")
			}
			time.Sleep(time.Nanosecond)
		}
	})
}
