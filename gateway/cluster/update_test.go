package cluster_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

// picks returns how often each of n picks took which node.
func picks(t *testing.T, c *cluster.Cluster, n int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range n {
		picked, err := c.Pick(cluster.Want{})
		if err != nil {
			t.Fatal(err)
		}
		counts[picked.Name]++
	}
	return counts
}

func TestUpdateKeepsWhatIsKnownByName(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	picks(t, c, 20)
	old := c.Node("n1")
	old.Acquire()
	list := nodes(1, 1, 1)
	list[0].Weight = 3
	if !c.Update(cluster.Settings{Nodes: list}) {
		t.Error("another list changes nothing")
	}
	if c.Update(cluster.Settings{Nodes: list}) {
		t.Error("an equal list is a change")
	}
	if old.Weight != 1 || c.Node("n1").Weight != 3 {
		t.Errorf("weight %d became %d", old.Weight, c.Node("n1").Weight)
	}
	if got := sessions(c); !slices.Equal(got, []int{10, 10, 0}) {
		t.Errorf("sessions: %v", got)
	}
	old.Release()
	c.Leave(old)
	if s := c.Statuses()[0]; s.Sessions != 9 || s.Leases != 0 {
		t.Errorf("what began before ended elsewhere: %+v", s)
	}
	picks(t, c, 31)
	if got := sessions(c); !slices.Equal(got, []int{30, 10, 10}) {
		t.Errorf("sessions by weight 3, 1, 1: %v", got)
	}
}

func TestNodeThatIsRemoved(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	gone := c.Node("n2")
	picks(t, c, 10)
	c.Update(cluster.Settings{Nodes: nodes(1)})
	if c.Node("n2") != nil || len(c.Nodes()) != 1 {
		t.Error("it is still there")
	}
	if got := picks(t, c, 5); got["n1"] != 5 {
		t.Errorf("picked %v", got)
	}
	// What it had in hand ends as it may.
	c.Failed(gone)
	c.Answered(gone, time.Now())
	c.Suspect(gone, 0, cluster.ReasonSilent)
	c.Refuses(gone)
	c.Made(gone, time.Now())
	for range 5 {
		c.Leave(gone)
	}
	c.Update(cluster.Settings{Nodes: nodes(1, 1)})
	if got := sessions(c); !slices.Equal(got, []int{10, 0}) {
		t.Errorf("sessions when it is back: %v", got)
	}
	if got := picks(t, c, 10); got["n2"] != 10 {
		t.Errorf("picked %v", got)
	}
}

func TestEjectionEndsWithTheAddress(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	c.Failed(c.Node("n1"))
	list := nodes(1, 1)
	list[0].Address = "127.0.0.1:4001"
	c.Update(cluster.Settings{Nodes: list})
	if s := c.Statuses()[0]; s.Ejected {
		t.Error("the process at another address is ejected for what this one did")
	}
	if got := picks(t, c, 2); got["n1"] != 1 {
		t.Errorf("picked %v", got)
	}
}

// Healthy, ejected and draining are three facts, and none ends another.
func TestFactsStandAlone(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	n := c.Node("n1")
	excluded := func(why string) {
		t.Helper()
		if got := picks(t, c, 4); got["n1"] != 0 {
			t.Errorf("%s: picked %v", why, got)
		}
		if _, err := c.Next([]*cluster.Node{c.Node("n2")}); !errors.Is(err, cluster.ErrNoNode) {
			t.Errorf("%s: an ordinary request goes to it", why)
		}
	}
	c.SetHealthy(n, false)
	excluded("unhealthy")
	c.Answered(n, time.Now())
	c.Made(n, time.Now())
	excluded("unhealthy, but it answers")
	c.SetDraining(n, true)
	c.SetHealthy(n, true)
	excluded("draining")
	c.Failed(n)
	c.SetDraining(n, false)
	excluded("ejected while it was draining")
	c.Answered(n, time.Now())
	if got := picks(t, c, 4); got["n1"] != 4 {
		t.Errorf("picked %v", got)
	}
	if s := c.Statuses()[0]; !s.Healthy || s.Ejected || s.Draining {
		t.Errorf("%+v", s)
	}
}

func TestOutageOfNodesThatMayNotBePicked(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	var told []bool
	c.OnOutage = func(outage bool, _ string) { told = append(told, outage) }
	c.SetDraining(c.Node("n1"), true)
	c.SetShare(c.Node("n2"), 0)
	if _, err := c.Pick(cluster.Want{}); !errors.Is(err, cluster.ErrNoNode) {
		t.Error(err)
	}
	c.SetShare(c.Node("n2"), 1)
	c.Update(cluster.Settings{})
	c.Update(cluster.Settings{Nodes: nodes(1)})
	if !slices.Equal(told, []bool{true, false, true, false}) {
		t.Errorf("told %v", told)
	}
}

// A cluster whose nodes are not known yet has no outage, until they turn out to be none.
func TestNoOutageBeforeTheNodesAreKnown(t *testing.T) {
	for name, tt := range map[string]struct {
		then cluster.Settings
		told []bool
	}{
		"some": {cluster.Settings{Nodes: nodes(1)}, nil},
		"none": {cluster.Settings{}, []bool{true}},
	} {
		c := cluster.New("c", cluster.Settings{Incomplete: true})
		var told []bool
		c.OnOutage = func(outage bool, _ string) { told = append(told, outage) }
		c.Update(cluster.Settings{Incomplete: true, SlowStart: time.Second})
		if !c.Incomplete() {
			t.Error("it is said to be complete")
		}
		if c.Update(tt.then); c.Incomplete() || !slices.Equal(told, tt.told) {
			t.Errorf("%s: told %v", name, told)
		}
	}
}

// A node is remembered for a while.
func TestRemovedNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		began := time.Now()
		c.Update(cluster.Settings{Nodes: nodes(1)})
		time.Sleep(time.Minute)
		c.Update(cluster.Settings{Nodes: nodes(2)})
		if got := c.Removed("n2"); !got.Equal(began) || !c.Removed("n1").IsZero() || !c.Removed("n3").IsZero() {
			t.Errorf("removed at %v", got)
		}
		c.Update(cluster.Settings{Nodes: nodes(2, 1)})
		if got := c.Removed("n2"); !got.IsZero() {
			t.Errorf("one that is back is said to be removed at %v", got)
		}
		c.Update(cluster.Settings{Nodes: nodes(2)})
		time.Sleep(2 * time.Hour)
		c.Update(cluster.Settings{Nodes: nodes(3)})
		if got := c.Removed("n2"); !got.IsZero() {
			t.Errorf("remembered for long: %v", got)
		}
	})
}

// A node that refuses handshakes makes no session of them, and would have the fewest for ever.
func TestNodeThatRefusesGetsItsShareOnly(t *testing.T) {
	for name, before := range map[string]int{"all are new": 0, "others are full": 200} {
		t.Run(name, func(t *testing.T) {
			c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
			picks(t, c, before)
			c.Update(cluster.Settings{Nodes: nodes(1, 1, 1)})
			refused := 0
			for range 300 {
				n, err := c.Pick(cluster.Want{})
				if err != nil {
					t.Fatal(err)
				}
				if n.Name == "n3" {
					refused++
					c.Refuses(n)
					c.Leave(n)
				}
			}
			if refused > 105 {
				t.Errorf("it was asked %d times of 300", refused)
			}
			for range 50 {
				if n, _ := c.Pick(cluster.Want{}); n.Name == "n3" {
					c.Made(n, time.Now())
				}
			}
			if got := sessions(c); got[2] < 48 {
				t.Errorf("when it makes sessions again: %v", got)
			}
		})
	}
}
