package cluster_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sidway/sidway/gateway/cluster"
)

var canary = cluster.Release{Label: "version", Value: "v2", Share: 0.1}

// labelled returns nodes of the versions v1 and v2.
func labelled(v1, v2 int) []cluster.Config {
	list := nodes(make([]int, v1+v2)...)
	for i := range list {
		list[i].Labels = map[string]string{"version": "v1"}
		if i >= v1 {
			list[i].Labels = map[string]string{"version": "v2", "zone": "a"}
		}
	}
	return list
}

// ofRelease picks n nodes and returns how many belong to the release.
func ofRelease(t *testing.T, n int, pick func() (*cluster.Node, error)) (released int) {
	t.Helper()
	for range n {
		picked, err := pick()
		if err != nil {
			t.Fatal(err)
		}
		if picked.Labels["version"] == "v2" {
			released++
		}
	}
	return released
}

func picker(c *cluster.Cluster) func() (*cluster.Node, error) {
	return func() (*cluster.Node, error) { return c.Pick(cluster.Want{Key: key(rand.Int())}) }
}

// The share is held at every moment, by each method, though half of the nodes have it and sessions end.
func TestReleaseGetsItsShare(t *testing.T) {
	for _, method := range methods {
		for _, share := range []float64{0, 0.001, 0.1, 1.0 / 3, 0.5, 0.95, 1} {
			c := cluster.New("c", cluster.Settings{Method: method, Nodes: labelled(2, 2), Release: cluster.Release{Label: "version", Value: "v2", Share: share}})
			released := 0
			for i := range 2000 {
				n, err := c.Pick(cluster.Want{Key: key(i)})
				if err != nil {
					t.Fatal(err)
				}
				if n.Labels["version"] == "v2" {
					released++
				}
				if off := math.Abs(float64(released) - share*float64(i+1)); off > 1 {
					t.Fatalf("method %d: %d of %d sessions, want %v of them", method, released, i+1, share)
				}
				if rand.IntN(2) == 0 {
					c.Leave(n)
				}
			}
		}
	}
}

func TestReleaseIsBalancedWithin(t *testing.T) {
	list := labelled(3, 2)
	list[0].Weight, list[4].Weight = 2, 3
	for _, method := range []cluster.Method{cluster.LeastSessions, cluster.RoundRobin} {
		c := cluster.New("c", cluster.Settings{Method: method, Nodes: list, Release: cluster.Release{Label: "version", Value: "v2", Share: 0.2}})
		picks(t, c, 1000)
		for i, want := range []int{400, 200, 200, 50, 150} {
			if got := sessions(c)[i]; got < want-2 || got > want+2 {
				t.Errorf("method %d: n%d has %d sessions, want %d", method, i+1, got, want)
			}
		}
	}
}

// Where the nodes of one side are none to be had the other takes its sessions, which are not made up for afterwards.
func TestReleaseWithoutNodes(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: labelled(2, 2), Release: canary})
	pick := picker(c)
	for name, change := range map[string]func(n *cluster.Node, away bool){
		"unhealthy": func(n *cluster.Node, away bool) { c.SetHealthy(n, !away) },
		"draining":  c.SetDraining,
		"no share":  func(n *cluster.Node, away bool) { c.SetShare(n, map[bool]float64{true: 0, false: 1}[away]) },
	} {
		for i, want := range []int{0, 300} { // without the release's, without the others
			side := c.Nodes()[2-2*i : 4-2*i]
			for _, n := range side {
				change(n, true)
			}
			if got := ofRelease(t, 300, pick); got != want {
				t.Errorf("%s: %d of 300 sessions, want %d", name, got, want)
			}
			for _, n := range side {
				change(n, false)
			}
			if got := ofRelease(t, 100, pick); got < 9 || got > 11 {
				t.Errorf("%s and back: %d of 100 sessions", name, got)
			}
		}
	}
	tried := c.Nodes()[2:]
	if got := ofRelease(t, 20, func() (*cluster.Node, error) { return c.Pick(cluster.Want{Tried: tried}) }); got != 0 {
		t.Errorf("%d nodes were tried again", got)
	}
}

// A session that is tried again stays on its side, and is not counted twice.
func TestReleaseCountsASessionOnce(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: labelled(4, 4), Release: canary})
	pick := func() (*cluster.Node, error) {
		n, err := c.Pick(cluster.Want{})
		if err != nil {
			return n, err
		}
		c.Leave(n)
		again, err := c.Pick(cluster.Want{Tried: []*cluster.Node{n}})
		if again.Labels["version"] != n.Labels["version"] {
			t.Errorf("%s, and then %s", n.Name, again.Name)
		}
		return again, err
	}
	if got := ofRelease(t, 2000, pick); got < 199 || got > 201 {
		t.Errorf("%d of 2000 sessions", got)
	}
}

// Sessions and ordinary requests are shared out each for themselves.
func TestReleaseGetsItsShareOfOrdinaryRequests(t *testing.T) {
	for _, share := range []float64{0.1, 0.5} {
		c := cluster.New("c", cluster.Settings{Nodes: labelled(2, 2), Release: cluster.Release{Label: "version", Value: "v2", Share: share}})
		next := func() (*cluster.Node, error) {
			picks(t, c, 1)
			return c.Next(nil)
		}
		if got := ofRelease(t, 1000, next); math.Abs(float64(got)-1000*share) > 1 {
			t.Errorf("%d of 1000 requests, want %v of them", got, share)
		}
	}
}

// Sessions that no node could take are no sessions.
func TestReleaseAfterAnOutage(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: labelled(1, 1), Release: cluster.Release{Label: "version", Value: "v2", Share: 0.5}})
	drain := func(draining bool) {
		for _, n := range c.Nodes() {
			c.SetDraining(n, draining)
		}
	}
	pick := func() (*cluster.Node, error) {
		drain(true)
		if n, err := c.Pick(cluster.Want{}); err == nil {
			t.Errorf("%s is draining", n.Name)
		}
		drain(false)
		return c.Pick(cluster.Want{})
	}
	if got := ofRelease(t, 100, pick); got < 49 || got > 51 {
		t.Errorf("%d of 100 sessions", got)
	}
}

// A release begins, grows, is done and is over, and nothing that is known of the nodes is lost.
func TestReleaseChanges(t *testing.T) {
	list := labelled(2, 2)
	s := cluster.Settings{Nodes: list}
	c := cluster.New("c", s)
	picks(t, c, 400)
	c.SetDraining(c.Node("n1"), true)
	was := c.Nodes()
	for _, share := range []float64{0.1, 0.5, 1} {
		s.Release = cluster.Release{Label: "version", Value: "v2", Share: share}
		if !c.Update(s) || c.Update(s) {
			t.Error("a change is none, or none is one")
		}
		if got := ofRelease(t, 1000, picker(c)); math.Abs(float64(got)-1000*share) > 1 {
			t.Errorf("%d of 1000 sessions, want %v of them", got, share)
		}
	}
	s.Release = cluster.Release{Label: "zone", Value: "a", Share: 0}
	c.Update(s)
	if got := ofRelease(t, 100, picker(c)); got != 0 {
		t.Errorf("by another label: %d", got)
	}
	s.Release = cluster.Release{}
	c.Update(s)
	for i, n := range c.Nodes() {
		if n != was[i] {
			t.Errorf("%s is another node", n.Name)
		}
	}
	if got := picks(t, c, 1000); got["n1"] != 0 || got["n3"] == 0 {
		t.Errorf("picks: %v", got)
	}
	sum := 0
	for _, n := range sessions(c) {
		sum += n
	}
	if sum != 400+3*1000+100+1000 {
		t.Errorf("%d sessions", sum)
	}
}
