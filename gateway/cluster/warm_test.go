package cluster_test

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

const warmUp = 30 * time.Second

// checkWeight compares what a node is picked by with a part of its configured weight.
func checkWeight(t *testing.T, c *cluster.Cluster, name string, part float64) {
	t.Helper()
	for _, s := range c.Statuses() {
		if s.Node.Name == name && math.Abs(s.Weight-part*float64(s.Node.Weight)) > 0.002*float64(s.Node.Weight) {
			t.Errorf("%s has the weight %.3f of %d, want %.3f of it", name, s.Weight, s.Node.Weight, part)
		}
	}
}

// A node that comes to a cluster that works gets its part of a weight that grows, by each method.
func TestSlowStartOfANewNode(t *testing.T) {
	for _, method := range methods {
		synctest.Test(t, func(t *testing.T) {
			s := cluster.Settings{Method: method, Nodes: nodes(4, 2), SlowStart: warmUp}
			c := cluster.New("c", s)
			checkWeight(t, c, "n1", 1)
			checkWeight(t, c, "n2", 1)
			s.Nodes = nodes(4, 2, 2)
			c.Update(s)
			for _, step := range []struct {
				passed time.Duration
				weight float64
			}{{0, 0.1}, {10 * time.Second, 0.4}, {10 * time.Second, 0.7}, {10 * time.Second, 1}, {time.Hour, 1}} {
				time.Sleep(step.passed)
				checkWeight(t, c, "n3", step.weight)
				c.Update(cluster.Settings{Method: method, Nodes: s.Nodes, SlowStart: warmUp}) // which is none
				var all []*cluster.Node
				for i := range 2000 {
					n, err := c.Pick(cluster.Want{Key: key(i)})
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, n)
				}
				want := 2000 * 2 * step.weight / (6 + 2*step.weight)
				if got := float64(sessions(c)[2]); math.Abs(got-want) > 60 {
					t.Errorf("method %d, weight %.1f: %v of 2000 sessions, want %.0f", method, step.weight, got, want)
				}
				for _, n := range all {
					c.Leave(n)
				}
			}
			checkWeight(t, c, "n1", 1)
		})
	}
}

// While a node warms up sessions are given out all the time: the weight is looked at when they are.
func TestSlowStartGoesOnWhilePicking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cluster.Settings{Nodes: nodes(1, 1), SlowStart: warmUp}
		c := cluster.New("c", s)
		picks(t, c, 1000)
		s.Nodes = nodes(1, 1, 1)
		c.Update(s)
		for passed := time.Duration(0); passed <= warmUp; passed += warmUp / 100 {
			picks(t, c, 30)
			got := sessions(c)
			weight := min(1, 0.1+0.9*float64(passed)/float64(warmUp))
			if want := weight * float64(got[0]); passed > warmUp/10 && math.Abs(float64(got[2])-want) > 2 {
				t.Fatalf("%v: %d sessions beside %d, want %.0f", passed, got[2], got[0], want)
			}
			time.Sleep(warmUp / 100)
		}
	})
}

// Where all nodes are new there is nobody to compare them with.
func TestSlowStartHoldsNobodyBackWhereAllAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty := cluster.New("c", cluster.Settings{SlowStart: warmUp})
		empty.Update(cluster.Settings{Nodes: nodes(1, 1), SlowStart: warmUp})
		checkWeight(t, empty, "n1", 1)

		list := nodes(1, 3)
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1), SlowStart: warmUp})
		for i := range list {
			list[i].Name = fmt.Sprint("other", i+1)
		}
		c.Update(cluster.Settings{Nodes: list, SlowStart: warmUp})
		checkWeight(t, c, "other1", 0.1)
		if got := picks(t, c, 400); got["other1"] != 100 || got["other2"] != 300 {
			t.Errorf("picks: %v", got)
		}
	})
}

// What a node was away for, and whether it warms up afterwards.
func TestSlowStartOfANodeThatIsBack(t *testing.T) {
	for name, tt := range map[string]struct {
		away func(c *cluster.Cluster, n *cluster.Node)
		part float64
	}{
		"unhealthy": {func(c *cluster.Cluster, n *cluster.Node) {
			c.SetHealthy(n, false)
			time.Sleep(time.Second)
			c.SetHealthy(n, true)
		}, 0.1},
		"drained": {func(c *cluster.Cluster, n *cluster.Node) {
			c.SetDraining(n, true)
			time.Sleep(time.Second)
			c.SetDraining(n, false)
		}, 0.1},
		"no share": {func(c *cluster.Cluster, n *cluster.Node) { c.SetShare(n, 0); time.Sleep(time.Second); c.SetShare(n, 1) }, 0.1},
		"healthy, said twice": {func(c *cluster.Cluster, n *cluster.Node) {
			c.SetHealthy(n, true)
			c.SetDraining(n, false)
		}, 1},
		"ejected shortly": {func(c *cluster.Cluster, n *cluster.Node) {
			c.Failed(n)
			time.Sleep(4 * time.Second)
			c.Answered(n, time.Now())
		}, 1},
		"ejected for long": {func(c *cluster.Cluster, n *cluster.Node) {
			for range 6 {
				c.Failed(n)
				time.Sleep(time.Second)
			}
			c.Answered(n, time.Now())
		}, 0.1},
		"ejected for long, and nobody knows better": {func(c *cluster.Cluster, n *cluster.Node) {
			for range 6 {
				c.Failed(n)
				time.Sleep(c.Retry())
			}
			c.Pick(cluster.Want{})
		}, 0.1},
		"ejected shortly, after having been for long": {func(c *cluster.Cluster, n *cluster.Node) {
			c.Failed(n)
			time.Sleep(time.Minute)
			c.Answered(n, time.Now())
			time.Sleep(time.Minute)
			c.Failed(n)
			time.Sleep(time.Second)
			c.Answered(n, time.Now())
		}, 1},
		"ejected shortly, after having been drained": {func(c *cluster.Cluster, n *cluster.Node) {
			c.SetDraining(n, true)
			c.SetDraining(n, false)
			time.Sleep(time.Minute)
			checkWeight(t, c, "n2", 1)
			c.Failed(n)
			time.Sleep(time.Second)
			c.Answered(n, time.Now())
		}, 1},
		"moved into a release, after having been ejected": {func(c *cluster.Cluster, n *cluster.Node) {
			c.Failed(n)
			time.Sleep(time.Second)
			c.Pick(cluster.Want{}) // to see whether it works
			c.Answered(n, time.Now())
			time.Sleep(time.Minute)
			list := nodes(1, 2)
			list[1].Labels = map[string]string{"version": "v2"}
			c.Update(cluster.Settings{Nodes: list, Release: canary, SlowStart: warmUp})
		}, 1},
		"removed": {func(c *cluster.Cluster, n *cluster.Node) {
			c.Update(cluster.Settings{Nodes: nodes(1), SlowStart: warmUp})
			c.Update(cluster.Settings{Nodes: nodes(1, 2), SlowStart: warmUp})
		}, 0.1},
		"another address": {func(c *cluster.Cluster, n *cluster.Node) {
			list := nodes(1, 2)
			list[1].Address = "127.0.0.1:4001"
			c.Update(cluster.Settings{Nodes: list, SlowStart: warmUp})
		}, 0.1},
		"another weight": {func(c *cluster.Cluster, n *cluster.Node) {
			c.Update(cluster.Settings{Nodes: nodes(1, 3), SlowStart: warmUp})
		}, 1},
		"no slow start": {func(c *cluster.Cluster, n *cluster.Node) {
			c.SetDraining(n, true)
			c.SetDraining(n, false)
			c.Update(cluster.Settings{Nodes: nodes(1, 2)})
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 2), SlowStart: warmUp})
				tt.away(c, c.Node("n2"))
				checkWeight(t, c, "n2", tt.part)
				checkWeight(t, c, "n1", 1)
				if tt.part < 1 {
					time.Sleep(warmUp / 2)
					checkWeight(t, c, "n2", 0.55)
				}
				time.Sleep(warmUp / 2)
				checkWeight(t, c, "n2", 1)
			})
		})
	}
}

// A node whose weight grows has no turns to catch up on.
func TestSlowStartMakesNoBacklogOfTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cluster.Settings{Method: cluster.RoundRobin, Nodes: nodes(1, 1), SlowStart: warmUp}
		c := cluster.New("c", s)
		picks(t, c, 100)
		s.Nodes = nodes(1, 1, 1)
		c.Update(s)
		picks(t, c, 2)
		time.Sleep(warmUp)
		for range 5 {
			if got := picks(t, c, 9); got["n3"] < 2 || got["n3"] > 4 {
				t.Errorf("turns: %v", got)
			}
		}
	})
}
