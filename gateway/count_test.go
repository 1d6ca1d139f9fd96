package gateway_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
)

func TestSessionIsCountedUntilItEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, s *site, n *engineiotest.Node, sid string){
		"close packet of the client": func(t *testing.T, s *site, _ *engineiotest.Node, sid string) {
			dial(t, s.addr).expect(post(sid, "1"), 200, "ok")
		},
		"close packet among others": func(t *testing.T, s *site, _ *engineiotest.Node, sid string) {
			dial(t, s.addr).expect(post(sid, "4a\x1e1"), 200, "ok")
		},
		"close packet of the node": func(t *testing.T, s *site, n *engineiotest.Node, sid string) {
			poll := raw(t, s.addr, get(pollTarget(sid)))
			n.WaitUntil("the poll waits", func() bool { return n.Polling(sid) })
			n.End(sid)
			poll.expect("", 200, "1")
		},
		"the node forgot it": func(t *testing.T, s *site, n *engineiotest.Node, sid string) {
			n.Down()
			n.Up()
			if status, body := dial(t, s.addr).ask(get(pollTarget(sid))); status != 400 || !strings.Contains(body, "Session ID unknown") {
				t.Errorf("%d %q", status, body)
			}
			if _, err := s.store.Lookup(t.Context(), sid); err == nil {
				t.Error("its binding is still there")
			}
			dial(t, s.addr).handshake(handshakeTarget) // the node is healthy: it gets the next session
			if got := s.metric("sidway_node_ejected"); got != 0 {
				t.Error("the node is ejected")
			}
			s.clusters[0].Leave(s.clusters[0].Node("n1"))
		},
		"the node is gone": func(t *testing.T, s *site, n *engineiotest.Node, sid string) {
			n.Down()
			dial(t, s.addr).expect(get(pollTarget(sid)), 200, "1")
		},
		"its tunnel ends": func(t *testing.T, s *site, n *engineiotest.Node, sid string) {
			c := dial(t, s.addr)
			c.websocket(upgradeTarget(sid))
			c.send(masked("2probe"))
			c.message()
			c.send(masked("5"))
			n.WaitUntil("upgraded", func() bool { return n.Upgraded(sid) })
			if got := s.sessions()["n1"]; got != 1 {
				t.Errorf("%d sessions with the tunnel, want 1", got)
			}
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := engineiotest.Start(t, engineiotest.Options{})
			s := startGateway(t, withEngines(n))
			sid := dial(t, s.addr).handshake(handshakeTarget)
			if got := s.sessions()["n1"]; got != 1 {
				t.Fatalf("%d sessions after the handshake, want 1", got)
			}
			end(t, s, n, sid)
			eventually(t, "the session is counted no more", func() bool { return s.sessions()["n1"] == 0 })
		})
	}
}

func TestFailedProbeKeepsTheSessionCounted(t *testing.T) {
	t.Parallel()
	n := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(n))
	sid := dial(t, s.addr).handshake(handshakeTarget)
	c := dial(t, s.addr)
	c.websocket(upgradeTarget(sid))
	c.send(masked("2probe"))
	c.message()
	c.Close()
	eventually(t, "the tunnel ends", func() bool { return s.metric("sidway_tunnels") == 0 })
	if got := s.sessions()["n1"]; got != 1 {
		t.Errorf("%d sessions after a failed probe, want 1", got)
	}
	dial(t, s.addr).expect(post(sid, "4hello"), 200, "ok")
}

func TestAnswerWithoutASessionIsNotCounted(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
		c.send(answer(403, `{"code":4,"message":"Forbidden"}`, "Content-Type: application/json"))
	})
	s := startGateway(t, withNodes(node))
	c := dial(t, s.addr)
	c.expect(get(handshakeTarget), 403, `{"code":4,"message":"Forbidden"}`)
	up := raw(t, s.addr, get(directTarget, asksWebSocket...))
	if r := up.answer(); r.StatusCode != 403 || !r.Close {
		t.Errorf("the direct connect got %d", r.StatusCode)
	}
	eventually(t, "no session is counted", func() bool { return s.sessions()["n1"] == 0 })
}

// TestNothingIsLeft makes 2,000 sessions of each kind and ends them; goleak looks for goroutines afterwards.
func TestNothingIsLeft(t *testing.T) {
	nodes := engines(t, 2, engineiotest.Options{})
	s := startGateway(t, withEngines(nodes...))
	poll := func() {
		c := dial(t, s.addr)
		defer c.Close()
		sid := c.handshake(handshakeTarget)
		c.expect(post(sid, "4hello"), 200, "ok")
		c.expect(get(pollTarget(sid)), 200, "4hello")
		c.expect(post(sid, "1"), 200, "ok")
	}
	upgrade := func() {
		c, ws := dial(t, s.addr), dial(t, s.addr)
		defer c.Close()
		defer ws.Close()
		sid := c.handshake(handshakeTarget)
		ws.websocket(upgradeTarget(sid))
		ws.send(masked("2probe"))
		ws.message()
		ws.send(masked("5") + masked("4hello"))
		if got := ws.message(); got != "4hello" {
			t.Errorf("%q", got)
		}
	}
	direct := func() {
		ws := dial(t, s.addr)
		defer ws.Close()
		ws.websocket(directTarget)
		ws.message()
		ws.send(masked("4hello"))
		if got := ws.message(); got != "4hello" {
			t.Errorf("%q", got)
		}
	}
	many := func(n int, session func()) {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				for range n / 20 {
					session()
				}
			})
		}
		wg.Wait()
		eventually(t, "connections and sessions end", func() bool {
			return s.metric("sidway_connections") == 0 && s.sessions()["n1"]+s.sessions()["n2"] == 0
		})
	}
	for _, session := range []func(){poll, upgrade, direct} {
		many(100, session)
	}
	idle := func() bool { return nodes[0].Connections()+nodes[1].Connections() == 0 }
	eventually(t, "the nodes' connections end", idle)
	before := descriptors(t)
	for _, session := range []func(){poll, upgrade, direct} {
		many(2000, session)
	}
	eventually(t, "the nodes' connections end", idle)
	eventually(t, fmt.Sprintf("the descriptors are %d again", before), func() bool { return descriptors(t) <= before })
}

// descriptors counts what this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestServesThePageOfItsNodes(t *testing.T) {
	t.Parallel()
	n := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(n))
	r := raw(t, s.addr, get("/index.html?a=1")).answer()
	if r.StatusCode != 200 || !strings.Contains(r.Text, "/index.html?a=1") {
		t.Errorf("%d %q", r.StatusCode, r.Text)
	}
}

// A session's end is seen however the node frames the answer that tells of it, and a failed upgrade is none.
func TestEndsThatAreCounted(t *testing.T) {
	t.Parallel()
	unknown := `{"code":1,"message":"Session ID unknown"}`
	for name, c := range map[string]struct {
		target, answer string
		left           int // sessions
	}{
		"close packet":           {pollTarget(aSID), answer(200, "1"), 0},
		"close packet in chunks": {pollTarget(aSID), head(200, chunked) + "1\r\n1\r\n0\r\n\r\n", 0},
		"unknown sid in chunks":  {pollTarget(aSID), head(400, chunked) + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(unknown), unknown), 0},
		"close packet by itself": {pollTarget(aSID), head(200, "Content-Length: 1") + "|" + "1", 0},
		"message in chunks":      {pollTarget(aSID), head(200, chunked) + "2\r\n41\r\n0\r\n\r\n", 1},
		"upgrade that is cut":    {upgradeTarget(aSID), "", 1},
		"poll that is cut":       {pollTarget(aSID), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "n1", func(n *nodeConn, r *nodeRequest) {
				switch {
				case !strings.Contains(r.Head, "sid="):
					engine(aSID)(n, r)
				case c.answer == "":
					n.cut()
				default:
					first, rest, _ := strings.Cut(c.answer, "|")
					n.send(first)
					if rest != "" {
						time.Sleep(5 * time.Millisecond) // so that it is read by itself
						n.send(rest)
					}
				}
			})
			s := startGateway(t, withNodes(node))
			client := dial(t, s.addr)
			client.handshake(handshakeTarget)
			if strings.Contains(c.target, "websocket") {
				client.ask(get(c.target, asksWebSocket...))
			} else {
				client.ask(get(c.target))
			}
			if got := s.sessions()["n1"]; got != c.left {
				t.Errorf("%d sessions, want %d", got, c.left)
			}
		})
	}
}
