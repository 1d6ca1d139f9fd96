package gateway_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway"
)

// TestSessionsThatEndAtOnceAreFound has sessions begin and end for an hour.
func TestSessionsThatEndAtOnceAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		pause time.Duration // between two that begin
		short int           // how many of ten end at once
		told  bool
	}{
		"a circle":        {100 * time.Millisecond, 10, true},
		"most":            {100 * time.Millisecond, 6, true},
		"less than half":  {100 * time.Millisecond, 4, false},
		"a few":           {time.Millisecond, 1, false},
		"hardly any come": {4 * time.Second, 10, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var s gateway.Shorts
			told := false
			end := time.Now().Add(time.Hour)
			for begun := 1; begun < 10_000 && time.Now().Before(end); begun++ {
				if begun%10 < c.short {
					told = s.Ended("n1", uint64(begun)) || told
				}
				time.Sleep(c.pause)
			}
			if told != c.told {
				t.Errorf("%s: told %v", name, told)
			}
		})
	}
}

// TestSessionsThatEndInACircle has clients connect, speak, and end or be ended soon.
func TestSessionsThatEndInACircle(t *testing.T) {
	t.Parallel()
	const words, closes = "most sessions end within 3 s of their begin", "\x88\x80\x00\x00\x00\x00"
	for name, k := range map[string]struct {
		node   string // what it says before it hangs up; "": it does not
		client string // what it says in the end; "": it waits for its node
		reason string
		says   string // the status; "": nothing
	}{
		"nodes end them":           {"\x88\x00", "", "short_sessions", words + ", 20 of 20 within a minute, ended by the nodes' side: does the application disconnect its clients"},
		"clients are cut":          {"", masked("42"), "short_sessions", words + ", 20 of 20 within a minute, ended by the clients' side without a Close: does a proxy, a firewall or a CDN in front"},
		"clients end in order":     {"", masked("41") + closes, "short_sessions", ""},
		"their packets are larger": {"\x88\x02\x03\xf1", "", "max_body", "clients send packets that are longer than what their node takes, which ends their sessions: raise its maxHttpBufferSize"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				engine(aSID)(c, r)
				if k.node == "" {
					silent(c, r)
				} else {
					c.await(masked("40"))
					c.send(k.node)
				}
				c.cut()
			})
			s, log := warned(t, withNodes(n))
			for range 20 {
				c := dial(t, s.addr)
				c.websocket(directTarget)
				c.message()
				c.send(masked("40") + k.client)
				if k.client == "" {
					_, _ = c.Read(make([]byte, 100))
				}
				c.Close()
			}
			eventually(t, "they have ended", func() bool {
				return s.metric("sidway_tunnels") == 0 && (k.says == "" || log.String() != "")
			})
			f := s.faults()
			if k.says == "" {
				if len(f) != 0 || log.String() != "" {
					t.Errorf("remembered: %+v, and the log says %s", f, log.String())
				}
				return
			}
			if len(f) != 1 || f[0].Reason != k.reason || f[0].Subject != "n1" || !strings.HasPrefix(f[0].Text, k.says) {
				t.Errorf("remembered: %+v, not %s", f, k.says)
			}
			if what, _, _ := strings.Cut(k.says, ","); strings.Count(log.String(), what) != 1 {
				t.Error(log.String())
			}
		})
	}
}

// A session that polls and that its node closes at once is one of them; and a few that do so are no fault beside many that stay.
func TestPollingSessionsThatEndInACircle(t *testing.T) {
	t.Parallel()
	for name, stay := range map[string]int{"all of them": 0, "beside others": 50} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var made atomic.Int64
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if strings.Contains(r.Head, "sid=") {
					c.send(answer(200, "1"))
					return
				}
				engine(fmt.Sprint("sid", made.Add(1)))(c, r)
			})
			s, log := warned(t, withNodes(n))
			c := dial(t, s.addr)
			for range stay {
				c.handshake(handshakeTarget)
			}
			for range 40 {
				c.expect(get(pollTarget(c.handshake(handshakeTarget))), 200, "1")
			}
			if told := strings.Contains(log.String(), "n=20 of=20 by_nodes=20 by_clients_side=0 by_neither=0"); told != (stay == 0) {
				t.Errorf("told %v in %s", told, log.String())
			}
		})
	}
}
