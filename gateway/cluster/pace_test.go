package cluster_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

var paced = cluster.Pace{Handshakes: 200, Burst: 300}

// until picks whenever a node may be picked, for so long, and returns how many sessions each node has then.
func until(t *testing.T, c *cluster.Cluster, passed time.Duration) []int {
	t.Helper()
	for i, end := 0, time.Now().Add(passed); ; i++ {
		_, err := c.Pick(cluster.Want{Key: key(i)})
		if p, ok := errors.AsType[cluster.PacedError](err); ok {
			if p.Wait <= 0 {
				t.Fatalf("the next token comes in %v", p.Wait)
			}
			if time.Now().Add(p.Wait).After(end) {
				return sessions(c)
			}
			time.Sleep(p.Wait)
		} else if err != nil || i == 100_000 {
			t.Fatalf("no pace after %d sessions: %v", i, err)
		}
	}
}

// However many come, each node gets its pace: all of it, and no more.
func TestPaceOfEachNode(t *testing.T) {
	for _, method := range methods {
		synctest.Test(t, func(t *testing.T) {
			c := cluster.New("c", cluster.Settings{Method: method, Nodes: nodes(1, 1, 2, 1), Pace: paced})
			for _, step := range []struct {
				passed time.Duration
				most   int
			}{{time.Millisecond, 300}, {10 * time.Second, 2300}, {time.Second, 2500}} {
				for i, got := range until(t, c, step.passed) {
					if got > step.most || got < step.most-2 {
						t.Errorf("method %d: node %d has %d sessions, want %d", method, i+1, got, step.most)
					}
				}
			}
		})
	}
}

func TestPaceOfZeroBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cluster.Settings{Nodes: nodes(1), Pace: cluster.Pace{Handshakes: 0.7}}
		c := cluster.New("c", s)
		if got := until(t, c, time.Millisecond)[0]; got != 2 {
			t.Errorf("%d at once, want twice 0.7", got)
		}
		s.Pace.Burst = 2
		if c.Update(s) {
			t.Error("what holds by default is a change")
		}
	})
}

// A request that has been to a node waits for the others where they lack tokens, and for none where there is none.
func TestPaceOfWhatIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1), Pace: cluster.Pace{Handshakes: 1, Burst: 1}})
		first, _ := c.Pick(cluster.Want{})
		second, _ := c.Pick(cluster.Want{})
		if _, err := c.Pick(cluster.Want{Tried: []*cluster.Node{first}}); !errors.Is(err, cluster.PacedError{Wait: time.Second + 1}) {
			t.Errorf("got %v", err)
		}
		if _, err := c.Pick(cluster.Want{Tried: []*cluster.Node{first, second}}); err != cluster.ErrNoNode {
			t.Errorf("got %v", err)
		}
		if n, err := c.Next(nil); n == nil {
			t.Errorf("a request of no session got %v", err)
		}
		c.Unpick(first)
		for range 2 {
			if n, err := c.Pick(cluster.Want{}); n != first && err == nil {
				t.Errorf("got %v", n.Name)
			}
		}
		if got := sessions(c); got[0] != 1 || got[1] != 1 {
			t.Errorf("sessions %v", got)
		}
	})
}

// A node that warms up gets the part of its pace that it gets of its weight; nodes that a cluster begins with get all of it.
func TestPaceOfAWarmingNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cluster.Settings{Nodes: nodes(4, 4), Pace: paced, SlowStart: warmUp}
		c := cluster.New("c", s)
		until(t, c, time.Second)
		s.Nodes = nodes(4, 4, 4)
		c.Update(s)
		if got := until(t, c, time.Millisecond)[2]; got < 29 || got > 31 {
			t.Errorf("%d at once, want a tenth of 300", got)
		}
		// From 0.1 to 0.4 of 200 a second, in 10 s: 500.
		if got := until(t, c, 10*time.Second)[2]; got < 520 || got > 540 {
			t.Errorf("%d in 10 s, want 530", got)
		}
		time.Sleep(warmUp)
		before := until(t, c, time.Millisecond)[2]
		if got := until(t, c, 10*time.Second)[2] - before; got < 1998 || got > 2001 {
			t.Errorf("%d in 10 s when it is warm", got)
		}
	})
}

// Another pace holds at once, and what a node has had still counts.
func TestPaceIsChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cluster.Settings{Nodes: nodes(1, 1)}
		c := cluster.New("c", s)
		picks(t, c, 10_000)
		change := func(p cluster.Pace) {
			t.Helper()
			if s.Pace = p; !c.Update(s) {
				t.Errorf("%+v is no change", p)
			}
		}
		change(paced)
		if got := until(t, c, time.Millisecond); got[0] != 5300 || got[1] != 5300 {
			t.Errorf("sessions %v after a pace is set", got)
		}
		change(cluster.Pace{Handshakes: 100, Burst: 1000})
		if got := until(t, c, time.Second); got[0] < 5399 || got[0] > 5401 {
			t.Errorf("sessions %v after a second at another pace", got)
		}
		change(cluster.Pace{})
		picks(t, c, 10_000)
	})
}

// A release gets no more than its share where the others lack tokens, and all where there are no others.
func TestPaceKeepsAReleaseToItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: labelled(2, 2), Pace: paced, Release: canary})
		got := until(t, c, 10*time.Second)
		if old, fresh := got[0]+got[1], got[2]+got[3]; old < 4598 || fresh < old/9-1 || fresh > old/9+1 {
			t.Errorf("sessions %v, want a tenth at the release", got)
		}
		for _, n := range c.Nodes()[:2] {
			c.SetDraining(n, true)
		}
		if got := until(t, c, 20*time.Second); got[2] < 4000 || got[3] < 4000 {
			t.Errorf("sessions %v when only the release is left", got)
		}
	})
}

func TestPacedPickDoesNotAllocate(t *testing.T) {
	for _, method := range methods {
		c := cluster.New("c", cluster.Settings{Method: method, Nodes: labelled(3, 3), Pace: cluster.Pace{Handshakes: 1e6}, Release: canary})
		tried := c.Nodes()[:1]
		if got := testing.AllocsPerRun(1000, func() {
			if n, err := c.Pick(cluster.Want{Tried: tried, Key: "k"}); err == nil {
				c.Unpick(n)
			}
		}); got != 0 {
			t.Errorf("method %d: %v allocations", method, got)
		}
	}
}

// A cluster all of whose nodes warm up is throttled nowhere.
func TestPaceWhereAllNodesWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cluster.Settings{Nodes: nodes(1, 1), Pace: paced, SlowStart: warmUp}
		c := cluster.New("c", s)
		for _, n := range c.Nodes() {
			c.SetDraining(n, true)
			c.SetDraining(n, false)
		}
		for i, n := range until(t, c, time.Millisecond) {
			if n < 299 || n > 301 {
				t.Errorf("node %d has %d at once, want 300", i, n)
			}
		}
	})
}
