package control_test

import (
	"context"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// What a replica has counted of polling sessions is counted by others when it has ended, once, and by the next one where there is no other.
func TestCountsAreHandedOn(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	c, end := startUntil(t, open(t, server), "n1", "n2")
	c.poll("n1", 2500)
	c.poll("n2", 3)
	end()
	affinitytest.Eventually(t, "they are written", func() bool { return server.Do("SCARD", "sidway:chat:!handed") == "2503" })
	server.Do("SADD", "sidway:chat:!handed", "x", "x n1", "x n1 y", "x n1 -4", "x n3 4")
	a, b := start(t, open(t, server), "n1", "n2"), start(t, open(t, server), "n1", "n2")
	for _, r := range []replica{a, b} {
		affinitytest.Eventually(t, "they are counted", func() bool {
			n1, n1s := r.count("n1")
			n2, n2s := r.count("n2")
			return n1+n1s == 2500 && n2+n2s == 3
		})
	}
}

// Replicas know of each other's sessions, of those of a dead one for some seconds, and of what is left of an older one not at all.
func TestCountsAreShared(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	server.Do("HSET", "sidway:chat:!counts", "dead", "7 n1=1000,1000 n1=p7")
	server.Do("HSET", "sidway:chat:!counts", "strange", "what is = that=x n1=-4,1 n1=5 n2 n1=p n1=p-3")
	a, b := start(t, open(t, server), "n1", "n2"), start(t, open(t, server), "n1", "n2")
	var ends []context.CancelFunc
	for range 2 {
		c, cancel := startUntil(t, open(t, server), "n1", "n2")
		c.join("n2", 10)
		ends = append(ends, cancel)
	}
	a.join("n1", 3)
	b.join("n1", 4)
	affinitytest.Eventually(t, "all know of the others", func() bool {
		_, of := a.count("n1")
		_, and := b.count("n1")
		_, n2 := a.count("n2")
		return of == 4 && and == 3 && n2 == 20
	})
	b.poll("n1", 6)
	affinitytest.Eventually(t, "and of how they poll", func() bool { return a.PollingElsewhere("n1") == 6 && b.PollingElsewhere("n1") == 0 })
	a.Cluster.Sessions.Upgraded("n10", a.Cluster.Node("n1"), time.Now().Add(time.Hour), 20*time.Second) // which b has bound, and counts
	all := func(r replica) int { s := r.Cluster.Statuses()[0]; return s.All() }
	affinitytest.Eventually(t, "what upgraded elsewhere counts once", func() bool {
		_, of := b.count("n1")
		return of == 4 && all(a) == 4+4-1 && all(b) == 4+4-1
	})
	for _, end := range ends {
		end()
	}
	affinitytest.Eventually(t, "the dead are forgotten", func() bool {
		_, n2 := a.count("n2")
		_, n1 := a.count("n1")
		return n2 == 0 && n1 == 4 && all(a) == 4+4 // and nobody knows whose sessions upgraded
	})
	server.Kill()
	affinitytest.Eventually(t, "what was heard gets old", func() bool { _, others := a.count("n1"); return others == 0 })
	if own, _ := a.count("n1"); own != 4 {
		t.Errorf("counts %d of its own", own)
	}
}
