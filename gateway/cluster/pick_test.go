package cluster_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

var methods = []cluster.Method{cluster.LeastSessions, cluster.RoundRobin, cluster.RandomTwo, cluster.Hash}

func key(i int) string { return fmt.Sprint("client-", i) }

// placed returns what node each of n keys gets in a cluster that has no sessions.
func placed(t *testing.T, c *cluster.Cluster, n int, tried ...*cluster.Node) []string {
	t.Helper()
	var names []string
	for i := range n {
		picked, err := c.Pick(cluster.Want{Tried: tried, Key: key(i)})
		if err != nil {
			t.Fatal(err)
		}
		c.Leave(picked)
		names = append(names, picked.Name)
	}
	return names
}

// Sessions come and go for long, and each node has its share of them, whatever has left.
func TestSharesUnderChurn(t *testing.T) {
	weights := []int{5, 2, 2, 1}
	for _, method := range []cluster.Method{cluster.LeastSessions, cluster.RandomTwo, cluster.Hash} {
		c := cluster.New("c", cluster.Settings{Method: method, Nodes: nodes(weights...)})
		var open []*cluster.Node
		for i := range 40_000 {
			if len(open) > 2000 || len(open) > 0 && rand.IntN(3) == 0 {
				last := len(open) - 1
				at := rand.IntN(len(open))
				c.Leave(open[at])
				open[at], open = open[last], open[:last]
				continue
			}
			n, err := c.Pick(cluster.Want{Key: key(i)})
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, n)
		}
		for i, got := range sessions(c) {
			fair := float64(len(open)) * float64(weights[i]) / 10
			if method == cluster.Hash {
				if float64(got) > 1.3*fair {
					t.Errorf("method %d: the node of weight %d has %d sessions, its fair share is %.0f", method, weights[i], got, fair)
				}
			} else if math.Abs(float64(got)-fair) > 0.01*float64(len(open)) {
				t.Errorf("method %d: the node of weight %d has %d sessions, want %.0f", method, weights[i], got, fair)
			}
		}
	}
}

// Whatever was tried, the node of the least load that was not is the next.
func TestLeastSessionsOfThoseThatAreLeft(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3)})
	for range 300 {
		counts := map[string]int{}
		for _, n := range c.Nodes() {
			counts[n.Name] = rand.IntN(1000)
		}
		c.SetOthers(counts, nil)
		load := func(n *cluster.Node) float64 { return float64(counts[n.Name]+1) / float64(n.Weight) }
		var tried []*cluster.Node
		for range c.Nodes() {
			n, err := c.Pick(cluster.Want{Tried: tried})
			if err != nil {
				t.Fatal(err)
			}
			c.Leave(n)
			if len(tried) > 0 && load(n) < load(tried[len(tried)-1]) {
				t.Fatalf("a load of %v after one of %v", load(n), load(tried[len(tried)-1]))
			}
			tried = append(tried, n)
		}
	}
}

// The worse of two is never picked, so that of two nodes the emptier gets all, and of many the fullest nothing.
func TestRandomTwoNeverPicksTheFullest(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Method: cluster.RandomTwo, Nodes: nodes(1, 1, 1, 1)})
	c.SetOthers(map[string]int{"n2": 10_000}, nil)
	got := picks(t, c, 3000)
	if got["n2"] != 0 {
		t.Errorf("the fullest was picked %d times", got["n2"])
	}
	for _, name := range []string{"n1", "n3", "n4"} {
		if got[name] < 950 || got[name] > 1050 {
			t.Errorf("picks: %v", got)
		}
	}
}

func TestHashFollowsWeightsAndIsTheSameAtEachReplica(t *testing.T) {
	const keys = 10_000
	weights := []int{4, 3, 2, 1}
	list := nodes(weights...)
	c := cluster.New("c", cluster.Settings{Method: cluster.Hash, Nodes: list})
	list[0], list[3] = list[3], list[0]
	other := cluster.New("other", cluster.Settings{Method: cluster.Hash, Nodes: list})
	names, again := placed(t, c, keys), placed(t, other, keys)
	counts := map[string]int{}
	for i, name := range names {
		if counts[name]++; again[i] != name {
			t.Fatalf("%s is at %s here and at %s elsewhere", key(i), name, again[i])
		}
	}
	for i, w := range weights {
		if got, want := counts[fmt.Sprintf("n%d", i+1)], keys*w/10; math.Abs(float64(got-want)) > 0.02*keys {
			t.Errorf("%d keys at the node of weight %d, want %d", got, w, want)
		}
	}
}

// What a change of the nodes has nothing to do with stays where it is.
func TestHashMovesNoMoreThanItMust(t *testing.T) {
	const keys = 5000
	all := nodes(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	c := cluster.New("c", cluster.Settings{Method: cluster.Hash, Nodes: all[:9]})
	before := placed(t, c, keys)
	moves := func(what string, after []string, allowed func(from, to string) bool, want float64) {
		t.Helper()
		moved := 0
		for i := range after {
			if before[i] == after[i] {
				continue
			}
			if moved++; !allowed(before[i], after[i]) {
				t.Fatalf("%s: a key moved from %s to %s", what, before[i], after[i])
			}
		}
		if got := float64(moved) / keys; math.Abs(got-want) > 0.03 {
			t.Errorf("%s: %.3f of the keys moved, want %.3f", what, got, want)
		}
	}
	c.Update(cluster.Settings{Method: cluster.Hash, Nodes: all})
	moves("a node more", placed(t, c, keys), func(_, to string) bool { return to == "n10" }, 1.0/10)
	c.Update(cluster.Settings{Method: cluster.Hash, Nodes: all[:8]})
	moves("a node less", placed(t, c, keys), func(from, _ string) bool { return from == "n9" }, 1.0/9)
	less := placed(t, c, keys)
	c.Update(cluster.Settings{Method: cluster.Hash, Nodes: all[:9]})
	for i, name := range placed(t, c, keys, c.Node("n9")) {
		if name != less[i] {
			t.Fatalf("%s goes to %s when n9 was tried, and to %s when it is gone", key(i), name, less[i])
		}
	}
	c.SetHealthy(c.Node("n9"), false)
	moves("a node is unhealthy", placed(t, c, keys), func(from, _ string) bool { return from == "n9" }, 1.0/9)
	c.SetHealthy(c.Node("n9"), true)
	c.SetShare(c.Node("n1"), 0.5)
	moves("a node of half the weight", placed(t, c, keys), func(from, _ string) bool { return from == "n1" }, 1.0/9-0.5/8.5)
	c.SetShare(c.Node("n1"), 1)
	moves("all is as it was", placed(t, c, keys), func(_, _ string) bool { return false }, 0)
}

// However popular a key is, no node gets more than a quarter above its share, and its sessions go to the first nodes of its order.
func TestHashBoundsTheLoad(t *testing.T) {
	const many = 2000
	for name, keys := range map[string]int{"one key": 1, "few keys": 7, "many keys": 500} {
		t.Run(name, func(t *testing.T) {
			weights := []int{1, 2, 3, 1, 1, 2}
			c := cluster.New("c", cluster.Settings{Method: cluster.Hash, Nodes: nodes(weights...)})
			c.SetOthers(map[string]int{"n3": 40}, nil)
			counts := map[string]int{"n3": 40}
			for i := range many {
				n, err := c.Pick(cluster.Want{Key: key(i % keys)})
				if err != nil {
					t.Fatal(err)
				}
				counts[n.Name]++
				if most := math.Ceil(1.25 * float64(i+41) * float64(n.Weight) / 10); float64(counts[n.Name]) > most {
					t.Fatalf("session %d is the %dth of %s, which may have %.0f", i+1, counts[n.Name], n.Name, most)
				}
			}
			if full := len(counts); name == "one key" && full == len(weights) {
				t.Errorf("all nodes have sessions of the one key: %v", counts)
			}
		})
	}
}

// A session that was refused by nodes in turn comes to all of them, by each method.
func TestEachMethodTriesAllNodes(t *testing.T) {
	for _, method := range methods {
		c := cluster.New("c", cluster.Settings{Method: method, Nodes: nodes(1, 3, 1, 9, 1, 2, 1)})
		picks(t, c, 100)
		seen := map[*cluster.Node]bool{}
		var tried []*cluster.Node
		for range 7 {
			n, err := c.Pick(cluster.Want{Tried: tried, Key: "k"})
			if err != nil || seen[n] {
				t.Fatalf("method %d: %v %v", method, n, err)
			}
			seen[n] = true
			tried = append(tried, n)
		}
		if n, err := c.Pick(cluster.Want{Tried: tried, Key: "k"}); err != cluster.ErrNoNode {
			t.Errorf("method %d: %v %v", method, n, err)
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	list := labelled(20, 10)
	for _, method := range methods {
		c := cluster.New("c", cluster.Settings{Method: method, Nodes: list[:29], SlowStart: time.Hour, Release: canary})
		c.Update(cluster.Settings{Method: method, Nodes: list, SlowStart: time.Hour, Release: canary})
		tried := c.Nodes()[:3]
		if got := testing.AllocsPerRun(1000, func() {
			for _, tried := range [][]*cluster.Node{nil, tried} {
				n, _ := c.Pick(cluster.Want{Tried: tried, Key: "10.0.0.1"})
				c.Next(tried)
				c.Leave(n)
			}
		}); got != 0 {
			t.Errorf("method %d: %v allocations", method, got)
		}
	}
}

// BenchmarkPickBy is BenchmarkPick for each method, and for what makes it dearer.
func BenchmarkPickBy(b *testing.B) {
	run := func(name string, n int, s cluster.Settings, change func(*cluster.Cluster)) {
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			s.Nodes = labelled(n-n/4, n/4)
			c := cluster.New("c", s)
			if change != nil {
				change(c)
			}
			var keys [1024]string
			for i := range keys {
				keys[i] = key(i)
			}
			b.ReportAllocs()
			for b.Loop() {
				node, err := c.Pick(cluster.Want{Key: keys[rand.IntN(len(keys))]})
				if err != nil {
					b.Fatal(err)
				}
				if rand.IntN(2) == 0 {
					c.Leave(node)
				}
			}
		})
	}
	for _, n := range []int{4, 64, 300} {
		run("least", n, cluster.Settings{}, nil)
		run("turns", n, cluster.Settings{Method: cluster.RoundRobin}, nil)
		run("two", n, cluster.Settings{Method: cluster.RandomTwo}, nil)
		run("hash", n, cluster.Settings{Method: cluster.Hash}, nil)
		run("release", n, cluster.Settings{Release: canary}, nil)
		run("paced", n, cluster.Settings{Pace: cluster.Pace{Handshakes: 1e9}}, nil)
		run("warming", n, cluster.Settings{SlowStart: time.Hour}, func(c *cluster.Cluster) {
			for _, n := range c.Nodes()[:n/4] {
				c.SetDraining(n, true)
				c.SetDraining(n, false)
			}
		})
	}
}
