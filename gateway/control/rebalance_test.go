package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/config"
)

// A node that comes gets its share of the sessions that live, from all replicas, no faster than is allowed, and then there is peace.
func TestRebalance(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := start(t, open(t, server), "n1", "n2"), start(t, open(t, server), "n1", "n2")
	on := func(node string) int {
		mine, _ := a.count(node)
		theirs, _ := b.count(node)
		return mine + theirs
	}
	a.join("n1", 60)
	b.join("n1", 30)
	a.join("n2", 30)
	b.join("n2", 60)
	affinitytest.Eventually(t, "both know of all sessions", func() bool {
		_, others := a.count("n2")
		_, and := b.count("n2")
		return others == 60 && and == 30
	})
	cfg := chat("n1", "n2", "n3")
	cfg.Nodes[2].Weight = 2
	const rate = 60
	cfg.Sessions = &config.Sessions{Move: true, Rebalance: rate}
	began := time.Now()
	unloads := func(r replica) bool {
		return r.Cluster.Node("n1").UnloadsFor() > 0 || r.Cluster.Node("n2").UnloadsFor() > 0
	}
	for _, r := range []replica{a, b} {
		r.Configure(cfg)
	}
	affinitytest.Eventually(t, "both watch what polls", func() bool { return unloads(a) && unloads(b) })
	affinitytest.Eventually(t, "n3 has its share", func() bool { return on("n3") >= 180*2/4-8 })
	if took := time.Since(began); took < time.Second {
		t.Errorf("82 sessions moved in %v, at %d a second", took, rate)
	}
	affinitytest.Eventually(t, "nobody has much more", func() bool { return on("n1") <= 50 && on("n2") <= 50 && on("n3") <= 100 })
	affinitytest.Eventually(t, "no more is to move", func() bool { return !unloads(a) && !unloads(b) })
	for _, r := range []replica{a, b} {
		c := r.Cluster
		if !c.Sessions.Watches("sid", c.Node("n1")) && !c.Sessions.Watches("sid", c.Node("n2")) || c.Sessions.Watches("sid", c.Node("n3")) {
			t.Error("moves that may be under way are not watched, or those of n3 are")
		}
	}
	if n := on("n1") + on("n2") + on("n3"); n != 180 {
		t.Errorf("%d sessions are left of 180", n)
	}
	said := fmt.Sprint(drained(a), drained(b))
	if !strings.Contains(said, "rebalance n1") || !strings.Contains(said, "more than its share: they move to other nodes, up to 60 a second") {
		t.Errorf("told: %s", said)
	}
}

// Small differences move nobody, nor do sessions of a cluster that does not ask for it.
func TestNoRebalance(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "n1", "n2")
	r.join("n1", 54)
	r.join("n2", 46)
	cfg := chat("n1", "n2")
	cfg.Sessions = &config.Sessions{Move: true, Rebalance: 1000}
	r.Configure(cfg)
	other := start(t, nil, "n1", "n2")
	other.join("n1", 100)
	cfg.Sessions = &config.Sessions{Move: true}
	other.Configure(cfg)
	last := start(t, nil, "n1", "n2") // by which is seen that the time has passed in which those would have
	last.join("n1", 100)
	cfg.Sessions = &config.Sessions{Move: true, Rebalance: 100}
	last.Configure(cfg)
	affinitytest.Eventually(t, "another cluster's moved", func() bool { n, _ := last.count("n1"); return n < 60 })
	for _, c := range []struct {
		r    replica
		want int
	}{{r, 54}, {other, 100}} {
		if n, _ := c.r.count("n1"); n != c.want {
			t.Errorf("n1 has %d sessions, had %d", n, c.want)
		}
	}
}
