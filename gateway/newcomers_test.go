package gateway_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway"
)

// TestSessionsThatNobodyUses has them come for ten minutes, each of which ends unused so many.
func TestSessionsThatNobodyUses(t *testing.T) {
	for name, c := range map[string]struct {
		made, unused, adopted int // in each minute
		client                func(i int) string
		told                  bool
		found                 string
	}{
		"none is used":              {60, 60, 0, func(i int) string { return fmt.Sprint(i) }, true, "https://page.example "},
		"one client only":           {60, 40, 0, func(i int) string { return []string{"a", "a", "b"}[i%3] }, true, "https://page.example a"},
		"some clients leave":        {60, 25, 0, func(int) string { return "a" }, false, ""},
		"used at another replica":   {60, 40, 40, func(int) string { return "a" }, false, ""},
		"hardly any is made":        {9, 9, 0, func(int) string { return "a" }, false, ""},
		"a flood that is over soon": {0, 30, 0, func(int) string { return "a" }, false, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var n gateway.Newcomers
			unused := uint64(0)
			if c.made == 0 {
				c.made = 1
				for range 100 {
					n.Came(0, "a", "")
				}
			}
			for minute := range 10 {
				for i := range c.made {
					found, told := n.Came(unused, c.client(i), "https://page.example")
					if told != (c.told && minute > 0 && i == 0) || told && found != c.found {
						t.Errorf("%s: minute %d: told %v of %q", name, minute, told, found)
					}
					time.Sleep(time.Minute / time.Duration(c.made) / 2)
				}
				for range c.adopted {
					n.Adopted()
				}
				if c.made > 1 || minute == 1 {
					unused += uint64(c.unused)
				}
				time.Sleep(time.Minute/2 + time.Second)
			}
		})
	}
}

// Sessions end a minute or two after they were made: those who come then have not made them.
func TestTheFloodIsBlamedNotWhoComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n gateway.Newcomers
		n.Came(0, "office", "")
		for range 1200 {
			n.Came(0, "flood", "")
		}
		time.Sleep(time.Minute + time.Second)
		for range 54 {
			n.Came(0, "office", "")
		}
		time.Sleep(time.Minute + time.Second)
		if found, told := n.Came(1197, "office", ""); !told || found != " flood" {
			t.Errorf("told %v of %q", told, found)
		}
	})
}

func TestUnusedSessionsAreTold(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	s, log := warned(t, withNodes(startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		engine(fmt.Sprint("sid", made.Add(1)))(c, r)
	})))
	c, sessions, node := dial(t, s.addr), s.clusters[0].Sessions, s.clusters[0].Node("n1")
	c.handshake(handshakeTarget)
	const origin = "https://page.example"
	for _, allowed := range []string{"https://chat.example.com", "HTTP://chat.example.com", ""} {
		c.send(get(handshakeTarget, "Origin: "+allowed))
		c.answer()
	}
	used := c.handshake(handshakeTarget)
	c.expect(get(pollTarget(used)), 200, "6")
	if sessions.Used(used) {
		t.Error("a poll is no use of a session")
	}
	c.send(get(handshakeTarget, "Origin: "+origin))
	c.answer()
	for i := range 12 {
		s.clusters[0].Join(node)
		sessions.Open(fmt.Sprint("idle", i), node, time.Now())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go sessions.Run(ctx, func(context.Context, string) time.Time { return time.Time{} })
	eventually(t, "they expire", func() bool { return s.metric("sidway_sessions_unused_total", "c1") == 12 })
	gateway.AfterAMinute(s.Gateway)
	c.handshake(handshakeTarget)
	s.once(log, "or does a client only make sessions?\" cluster=c1 unused=12 of=6 origin="+origin+" client=127.0.0.1 n=6", "unused_sessions", 1)
}
