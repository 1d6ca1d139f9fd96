package cluster_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

// What other replicas count weighs as much as what is counted here, and is never mixed up with it.
func TestSessionsOfOthers(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	counts := map[string]int{"n1": 10, "gone": 7, "n3": 30}
	c.SetOthers(counts, nil)
	clear(counts)
	if got := picks(t, c, 5); got["n2"] != 5 {
		t.Errorf("beside 10 sessions elsewhere: %v", got)
	}
	if got := picks(t, c, 15); got["n1"] != 5 || got["n2"] != 10 {
		t.Errorf("beside 10 sessions elsewhere: %v", got)
	}
	c.Leave(c.Node("n2"))
	c.Leave(c.Node("n2"))
	if got := picks(t, c, 2); got["n2"] != 2 {
		t.Errorf("own changes do not count on top: %v", got)
	}
	list := nodes(1, 1, 1)
	c.Update(cluster.Settings{Nodes: list})
	if got := picks(t, c, 30); got["n3"] != 0 {
		t.Errorf("a node that others knew before: %v", got)
	}
	c.SetOthers(map[string]int{"n2": 5}, nil)
	if got := sessions(c); !slices.Equal(got, []int{20, 30, 0}) {
		t.Errorf("own sessions: %v", got)
	}
	if s := c.Statuses()[1]; s.Others != 5 {
		t.Errorf("%+v", s)
	}
	if got := picks(t, c, 20+35+5); got["n3"] < 38 || got["n1"] < 18 {
		t.Errorf("n3, which nobody counts on any more: %v", got)
	}
	c.SetOthers(map[string]int{"n1": -100}, nil)
	if s := c.Statuses()[0]; s.Others != 0 {
		t.Errorf("%+v", s)
	}
}

// A node that nobody has asked is untried until it has answered, failed, or has a session of whichever replica.
func TestUntried(t *testing.T) {
	for name, asks := range map[string]func(c *cluster.Cluster, n *cluster.Node){
		"it answered":                     func(c *cluster.Cluster, n *cluster.Node) { c.Answered(n, time.Now()) },
		"it answered with no session":     func(c *cluster.Cluster, n *cluster.Node) { c.NoSession(n) },
		"it cut a handshake":              func(c *cluster.Cluster, n *cluster.Node) { c.Cut(n) },
		"it failed":                       func(c *cluster.Cluster, n *cluster.Node) { c.Failed(n) },
		"a session is being made":         func(c *cluster.Cluster, n *cluster.Node) { c.Join(n) },
		"another replica has one of them": func(c *cluster.Cluster, _ *cluster.Node) { c.SetOthers(map[string]int{"n1": 1}, nil) },
	} {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		began := time.Now()
		asks(c, c.Node("n1"))
		s := c.Statuses()
		if s[0].Untried || !s[1].Untried {
			t.Errorf("%s: untried are n1: %v, n2: %v", name, s[0].Untried, s[1].Untried)
		}
		if tried := s[0].Tried; s[0].Ejected == tried.Before(began) {
			t.Errorf("%s: tried last at %v", name, tried)
		}
	}
}

// A session that upgraded at another replica than the one that bound it counts once, until its binding must have expired there, or for as long as
// the replicas stay the same: while nobody knows, it counts twice rather than not at all.
func TestSessionsThatUpgradedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Sessions.Run(ctx, func(context.Context, string) time.Time { return time.Time{} }) }()
		soon := func() time.Time { return time.Now().Add(10 * time.Second) }
		own, _ := c.Pick(cluster.Want{})
		c.Sessions.Open("own", own, soon())
		c.Sessions.Upgraded("own", own, soon(), 20*time.Second)
		n1 := c.Node("n1")
		for _, sid := range []string{"a", "b", "fails"} {
			c.Sessions.Upgraded(sid, n1, soon(), 20*time.Second)
			c.Sessions.Upgraded(sid, n1, soon(), 20*time.Second) // a second tunnel is no second session
		}
		c.Sessions.Upgraded("unbound", n1, time.Time{}, 20*time.Second)
		c.Sessions.ProbeFailed("fails", soon())
		c.Sessions.ProbeFailed("fails", soon())
		c.Sessions.ProbeFailed("fails", soon()) // which is no more
		c.Sessions.End("b")                     // which the other replica still counts
		if got := c.Sessions.Taken(); !maps.Equal(got, map[string]int{"n1": 2}) {
			t.Errorf("taken: %v", got)
		}
		c.SetOthers(map[string]int{"n1": 7, "n2": 3}, map[string]cluster.Twice{"n1": {Here: 2}, "n2": {Here: 4, There: 9, Rest: 5}})
		if s := c.Statuses(); s[0].All() != s[0].Sessions+7-2 || s[1].All() != 0 {
			t.Errorf("%+v", s)
		}
		if got := picks(t, c, 5); got["n2"] != 5 {
			t.Errorf("picked: %v", got)
		}
		time.Sleep(17 * time.Second)
		synctest.Wait()
		if got := c.Sessions.Taken(); len(got) > 0 {
			t.Errorf("when the bindings have expired: %v", got)
		}
		c.Sessions.Upgraded("c", n1, soon(), 20*time.Second)
		c.Sessions.ForgetTaken()
		c.Sessions.ProbeFailed("c", soon())
		if got := c.Sessions.Taken(); len(got) > 0 {
			t.Errorf("when a replica has gone: %v", got)
		}
		cancel()
		<-done
	})
}

func TestAgentsShare(t *testing.T) {
	for _, method := range methods {
		c := cluster.New("c", cluster.Settings{Method: method, Nodes: nodes(2, 2, 2)})
		shares := func(share float64, want int) {
			t.Helper()
			c.SetShare(c.Node("n1"), share)
			c.Update(cluster.Settings{Method: method, Nodes: nodes(2, 2, 2), SlowStart: time.Duration(rand.Int64())}) // which it survives
			c.Update(cluster.Settings{Method: method, Nodes: nodes(2, 2, 2)})
			var all []*cluster.Node
			for i := range 1000 {
				n, err := c.Pick(cluster.Want{Key: key(i)})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, n)
			}
			got := sessions(c)[0]
			for _, n := range all {
				c.Leave(n)
			}
			if math.Abs(float64(got-want)) > 50 {
				t.Errorf("method %d, share %v: %d of 1000, want %d", method, share, got, want)
			}
		}
		shares(1, 333)
		shares(0.5, 200)
		shares(0, 0)
		shares(0.01, 5)
		shares(0.25, 111)
		shares(math.NaN(), 0)
		shares(-1, 0)
		shares(7, 333)
		if s := c.Statuses()[0]; s.Weight != 2 || s.Draining {
			t.Errorf("%+v", s)
		}
	}
}

func TestAgentsShareCountsAtOnce(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: nodes(1, 1)})
	picks(t, c, 200)
	c.SetShare(c.Node("n1"), 0.5)
	if got := picks(t, c, 50); got["n2"] != 50 {
		t.Errorf("a node of half its weight, which has as many sessions: %v", got)
	}
	c.SetShare(c.Node("n1"), 1)
	if got := picks(t, c, 50); got["n1"] != 50 {
		t.Errorf("a node of its whole weight, which has fewer sessions: %v", got)
	}
}

// Where the probes find all nodes unhealthy, they may be what is broken.
func TestPanic(t *testing.T) {
	turns := func(weights ...int) cluster.Settings {
		return cluster.Settings{Method: cluster.RoundRobin, Nodes: nodes(weights...)}
	}
	c := cluster.New("c", turns(1, 1, 1, 1))
	var told []bool
	var outages []bool
	c.OnPanic = func(panic bool) { told = append(told, panic) }
	c.OnOutage = func(outage bool, _ string) { outages = append(outages, outage) }
	picked := func(what string, names ...string) {
		t.Helper()
		got := slices.Sorted(maps.Keys(picks(t, c, 40)))
		if !slices.Equal(got, names) {
			t.Errorf("%s: picked %v, want %v", what, got, names)
		}
		for _, s := range c.Statuses() {
			if want := len(told)%2 == 1 && !s.Healthy && !s.Draining && s.Node.Name != "n4"; s.Panic != want {
				t.Errorf("%s: %+v", what, s)
			}
		}
	}
	c.SetDraining(c.Node("n3"), true)
	c.SetShare(c.Node("n4"), 0)
	c.SetHealthy(c.Node("n1"), false)
	picked("one of two is unhealthy", "n2")
	c.SetHealthy(c.Node("n2"), false)
	picked("both are", "n1", "n2")
	c.SetHealthy(c.Node("n3"), false)
	picked("and one that drains", "n1", "n2")
	c.Failed(c.Node("n1"))
	picked("one is ejected too", "n2")
	c.Answered(c.Node("n1"), time.Now().Add(time.Hour))
	c.Update(turns(1, 1, 1, 1, 1))
	picked("a new one comes", "n5")
	c.Update(turns(1, 1, 1, 1))
	picked("and goes", "n1", "n2")
	c.SetDraining(c.Node("n3"), false)
	picked("another one ends to drain", "n1", "n2", "n3")
	c.SetHealthy(c.Node("n2"), true)
	picked("one is healthy again", "n2")
	if !slices.Equal(told, []bool{true, false, true, false}) || outages != nil {
		t.Errorf("told %v, outages %v", told, outages)
	}
}

// A node that failed has to answer before an outage is over: that it is tried again, or found healthy, proves nothing.
func TestOutageEndsWithAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1)})
		var told []bool
		c.OnOutage = func(outage bool, _ string) { told = append(told, outage) }
		n := c.Node("n1")
		c.Failed(n)
		time.Sleep(c.Retry())
		c.SetHealthy(n, false)
		c.SetHealthy(n, true)
		c.Update(cluster.Settings{Nodes: nodes(2)})
		picks(t, c, 1)
		if !slices.Equal(told, []bool{true}) {
			t.Errorf("told %v before it has answered", told)
		}
		c.Answered(n, time.Now())
		if !slices.Equal(told, []bool{true, false}) {
			t.Errorf("told %v", told)
		}
	})
}

// An equal Settings is no change, and what changes of one costs nothing that is known.
func TestUpdateOfEachSetting(t *testing.T) {
	list := func() []cluster.Config { return labelled(1, 2) }
	c := cluster.New("c", cluster.Settings{Nodes: list()})
	picks(t, c, 30)
	c.SetDraining(c.Node("n2"), true)
	c.SetOthers(map[string]int{"n1": 3}, nil)
	c.Failed(c.Node("n3"))
	was := c.Statuses()
	s := cluster.Settings{Nodes: list()}
	for name, change := range map[string]func(){
		"the method":  func() { s.Method = cluster.Hash },
		"a release":   func() { s.Release = canary },
		"slow start":  func() { s.SlowStart = time.Minute },
		"a new label": func() { s.Nodes = list(); s.Nodes[0].Labels["zone"] = "b" },
		"no labels":   func() { s.Nodes = nodes(1, 1, 1) },
	} {
		s = cluster.Settings{Nodes: list()}
		if c.Update(s); c.Update(cluster.Settings{Nodes: list()}) {
			t.Error("an equal one is a change")
		}
		if change(); !c.Update(s) || c.Update(s) {
			t.Errorf("%s: is no change, or is one twice", name)
		}
		for i, got := range c.Statuses() {
			want := was[i]
			if want.Node.Key() != got.Node.Key() || !maps.Equal(got.Node.Labels, s.Nodes[i].Labels) {
				t.Errorf("%s: %+v", name, got)
			}
			if want.Node = got.Node; got != want {
				t.Errorf("%s: %+v became %+v", name, want, got)
			}
		}
	}
	s = cluster.Settings{Nodes: list()}
	c.Update(s)
	s.Nodes[0].Name = "changed afterwards"
	if c.Node("n1") == nil || c.Update(cluster.Settings{Nodes: list()}) {
		t.Error("the caller's list is the cluster's")
	}
}

func TestEverythingAtOnce(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: labelled(4, 4)})
	c.OnPanic, c.OnOutage = func(bool) {}, func(bool, string) {}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 1500 {
				n, err := c.Pick(cluster.Want{Key: key(i)})
				if err != nil {
					n = nil
				}
				switch known := c.Nodes(); i % 50 {
				case 0:
					c.Update(cluster.Settings{
						Method: methods[rand.IntN(4)], Nodes: labelled(1+rand.IntN(5), rand.IntN(5)), Release: canary, SlowStart: time.Duration(rand.IntN(int(time.Second))),
					})
				case 1:
					c.SetOthers(map[string]int{fmt.Sprint("n", worker): i}, nil)
				case 2, 3, 4:
					c.SetHealthy(known[rand.IntN(len(known))], rand.IntN(2) == 0)
				case 5, 6:
					c.SetShare(known[rand.IntN(len(known))], rand.Float64()-0.1)
				case 7, 8, 9:
					c.SetDraining(known[rand.IntN(len(known))], rand.IntN(3) == 0)
				case 10:
					c.Failed(known[rand.IntN(len(known))])
				case 11:
					c.Statuses()
					c.Next(known[:1])
				}
				if n != nil {
					c.Refuses(n)
					c.Made(n, time.Now())
					c.Leave(n)
				}
			}
		})
	}
	wg.Wait()
	c.Update(cluster.Settings{Method: cluster.RoundRobin, Nodes: labelled(5, 4)})
	for _, s := range c.Statuses() {
		c.SetHealthy(s.Node, true)
		c.SetDraining(s.Node, false)
		c.SetShare(s.Node, 1)
		c.Answered(s.Node, time.Now().Add(time.Hour))
		if s.Sessions != 0 {
			t.Errorf("%s is left with %d sessions", s.Node.Name, s.Sessions)
		}
	}
	if got := picks(t, c, 900); len(got) != 9 || slices.Min(slices.Collect(maps.Values(got))) < 90 {
		t.Errorf("turns: %v", got)
	}
}

// An outage says what keeps new sessions from the nodes.
func TestWhyThereIsNoNode(t *testing.T) {
	c := cluster.New("c", cluster.Settings{Nodes: []cluster.Config{
		{Name: "n1", Address: "n1:1", Weight: 1}, {Name: "n2", Address: "n2:1", Weight: 1}, {Name: "n3", Address: "n3:1", Weight: 1}, {Name: "n4", Address: "n4:1", Weight: 1},
	}})
	var told []string
	c.OnOutage = func(outage bool, why string) { told = append(told, fmt.Sprint(outage, " ", why)) }
	c.SetHealthy(c.Node("n2"), false)
	c.SetDraining(c.Node("n1"), true)
	c.SetShare(c.Node("n3"), 0)
	c.SetDraining(c.Node("n4"), true) // so n2 is all that is left, and its probes are not believed
	c.SetDraining(c.Node("n2"), true)
	c.SetDraining(c.Node("n4"), false)
	if got := fmt.Sprint(told); got != "[true 3 drained, 1 of weight 0% false 2 drained, 1 of weight 0%]" {
		t.Error(got)
	}
}
