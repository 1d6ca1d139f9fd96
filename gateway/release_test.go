package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
)

// releasing stops the gateway and has polls released until the test ends.
func (s *site) releasing(waves int, over time.Duration) {
	s.Stop()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.ReleasePolls(ctx, waves, over) }()
	s.t.Cleanup(func() { cancel(); <-done })
}

func (s *site) released(outcome string) float64 {
	return s.metric("sidway_polls_released_total", outcome)
}

// Sessions whose poll waits when a gateway stops go on through another one, and may upgrade there.
func TestReleasedPollsGoOnElsewhere(t *testing.T) {
	t.Parallel()
	for version, noop := range map[int]string{3: "1:6", 4: "6"} {
		t.Run(fmt.Sprintf("EIO %d", version), func(t *testing.T) {
			t.Parallel()
			nodes, store := engines(t, 2, engineiotest.Options{}), affinity.NewMemory(100)
			s, other := startGateway(t, withEngines(nodes...), withStore(store)), startGateway(t, withEngines(nodes...), withStore(store))
			handshake := fmt.Sprintf("/socket.io/?EIO=%d&transport=polling", version)
			clients := map[string]*rawClient{}
			for range 20 {
				c := dial(t, s.addr)
				sid := c.handshake(handshake)
				clients[sid] = c
				c.send(get(handshake + "&sid=" + sid))
			}
			eventually(t, "the polls wait", func() bool { return s.metric("sidway_leases") == 20 })
			s.releasing(4, 100*time.Millisecond)
			for sid, c := range clients {
				if r := c.answer(); r.StatusCode != 200 || r.Text != noop || !r.Close {
					t.Fatalf("got %d %q, Connection: close %v", r.StatusCode, r.Text, r.Close)
				}
				clients[sid] = dial(t, other.addr)
				clients[sid].send(get(handshake + "&sid=" + sid))
			}
			eventually(t, "all were released", func() bool { return s.released("released") == 20 })
			for sid, c := range clients {
				ws := dial(t, other.addr)
				ws.websocket(strings.Replace(handshake, "polling", "websocket", 1) + "&sid=" + sid)
				ws.send(masked("2probe"))
				if got := ws.message(); got != "3probe" {
					t.Fatalf("got %q", got)
				}
				if r := c.answer(); r.Text != noop {
					t.Fatalf("got %q", r.Text)
				}
				ws.send(masked("5") + masked("4hello"))
				if got := ws.message(); got != "4hello" {
					t.Fatalf("got %q", got)
				}
			}
			for _, n := range nodes {
				for sid := range clients {
					if why := n.Ended(sid); why != "" {
						t.Errorf("a session ended: %s", why)
					}
				}
			}
		})
	}
}

// Polls are released wave by wave, and those that have not waited for long with the last one alone.
func TestReleaseInWaves(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withEngines(engines(t, 1, engineiotest.Options{})...))
	for range 8 {
		c := dial(t, s.addr)
		c.send(get(pollTarget(c.handshake(handshakeTarget))))
	}
	eventually(t, "the polls wait", func() bool { return s.metric("sidway_leases") == 8 })
	s.Stop()
	for _, wave := range []struct {
		age        time.Duration
		left, want int
	}{{time.Hour, 2, 0}, {0, 2, 4}, {0, 2, 2}, {0, 1, 2}} {
		if n := gateway.ReleaseWave(s.Gateway, wave.left, wave.age); n != wave.want {
			t.Errorf("%+v: released %d", wave, n)
		}
	}
	eventually(t, "all are released", func() bool { return s.released("released") == 8 })
}

// upgrades returns an answerer whose polls wait for an answer, and what it does with upgrades.
func upgrades(polls <-chan string, upgrade answerer) answerer {
	return func(c *nodeConn, r *nodeRequest) {
		if r.Header.Get("Upgrade") != "" {
			upgrade(c, r)
			return
		}
		select {
		case text := <-polls:
			c.send(answer(200, text))
		case <-c.gone:
		}
	}
}

// A node that does not take the upgrade keeps its poll, and is not asked again.
func TestReleaseRefused(t *testing.T) {
	t.Parallel()
	for name, upgrade := range map[string]answerer{
		"400":               func(c *nodeConn, _ *nodeRequest) { c.send(answer(400, `{"code":3,"message":"Bad request"}`)) },
		"200":               func(c *nodeConn, _ *nodeRequest) { c.send(answer(200, "hello")) },
		"no HTTP":           func(c *nodeConn, _ *nodeRequest) { c.send("hello\r\n\r\n") },
		"another key":       func(c *nodeConn, r *nodeRequest) { r.Header.Set("Sec-WebSocket-Key", socketKey); c.send(switching(r)) },
		"cut":               func(c *nodeConn, _ *nodeRequest) { c.cut() },
		"another upgrade":   func(c *nodeConn, r *nodeRequest) { c.send(switching(r) + "\x88\x00") },
		"cut after the 101": func(c *nodeConn, r *nodeRequest) { c.send(switching(r)); c.cut() },
		"another answer":    func(c *nodeConn, r *nodeRequest) { c.send(switching(r) + frame("4hello")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			polls := make(chan string)
			node := startNode(t, "n1", upgrades(polls, upgrade))
			s := startGateway(t, withNodes(node))
			s.bind(aSID, node)
			client := raw(t, s.addr, get(pollTarget(aSID)))
			node.conn(0).await("sid=")
			s.releasing(1, 0)
			node.conn(1).awaitEnd()
			eventually(t, "it is counted", func() bool { return s.released("refused") == 1 })
			began := time.Now()
			eventually(t, "others would be looked for", func() bool { return time.Since(began) > 600*time.Millisecond })
			if n := len(node.all()); n != 2 {
				t.Errorf("%d connections", n)
			}
			polls <- "4late"
			if r := client.answer(); r.StatusCode != 200 || r.Text != "4late" {
				t.Errorf("got %d %q", r.StatusCode, r.Text)
			}
		})
	}
}

// words are the frames that a gateway has sent behind its request.
func words(c *nodeConn) (all []string) {
	_, b, _ := bytes.Cut(c.bytes(), []byte("\r\n\r\n"))
	for len(b) >= 6 {
		n := int(b[1] &^ 0x80)
		if b[1]&0x80 == 0 || len(b) < 6+n {
			return append(all, "not masked, or cut")
		}
		word := []byte(fmt.Sprintf("%x ", b[0]))
		for i := range n {
			word = append(word, b[6+i]^b[2+i%4])
		}
		all, b = append(all, string(word)), b[6+n:]
	}
	return all
}

const probing, closing = "81 2probe", "88 \x03\xe8"

// What the node answers the poll with reaches the client as it is. The probe is always ended in order: behind the node's answer to it,
// whether the poll is over by then or not, since nodes differ in what they make of a WebSocket that ends sooner.
func TestReleaseEndsInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after bool // of the answer to the probe, the poll is answered
		leaves        bool // or its client leaves
		outcome       string
	}{
		"the poll is answered behind the probe": {after: true, outcome: "released"},
		"before":                                {before: true, outcome: "released"},
		"the client leaves":                     {leaves: true, after: true, outcome: "left"},
		"the client leaves before it":           {leaves: true, before: true, outcome: "left"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			polls, answers := make(chan string), make(chan struct{})
			node := startNode(t, "n1", upgrades(polls, func(c *nodeConn, r *nodeRequest) {
				c.send(switching(r))
				<-answers
				c.send(frame("3probe"))
			}))
			s := startGateway(t, withNodes(node))
			s.bind(aSID, node)
			client := raw(t, s.addr, get(pollTarget(aSID)+"&room=7", "Cookie: a=b", "Authorization: Bearer x", "Origin: http://site",
				"Sec-WebSocket-Extensions: permessage-deflate"))
			node.conn(0).await("sid=")
			s.releasing(1, 0)
			probe := node.conn(1)
			eventually(t, "the probe", func() bool { return len(words(probe)) == 1 })
			head, _, _ := strings.Cut(string(probe.bytes()), "\r\n\r\n")
			for _, line := range []string{
				"GET " + upgradeTarget(aSID) + "&room=7 HTTP/1.1", "Host: chat.example.com", "Cookie: a=b", "Authorization: Bearer x",
				"Origin: http://site", "Sec-WebSocket-Version: 13", "Upgrade: websocket", "X-Forwarded-For: ",
			} {
				if !strings.Contains(head, line) {
					t.Errorf("no %q in %q", line, head)
				}
			}
			if strings.Contains(head, "Extensions") {
				t.Errorf("with extensions: %q", head)
			}
			end := func() {
				if c.leaves {
					client.Close()
					node.conn(0).awaitEnd()
					return
				}
				polls <- "4real\x1e4packets"
				if r := client.answer(); r.StatusCode != 200 || r.Text != "4real\x1e4packets" || !r.Close {
					t.Errorf("got %d %q", r.StatusCode, r.Text)
				}
			}
			if c.before {
				end()
			}
			if got := words(probe); len(got) != 1 || got[0] != probing {
				t.Errorf("before its answer the node heard %q", got)
			}
			close(answers)
			if c.after {
				end()
			}
			eventually(t, "the end in order", func() bool { return len(words(probe)) == 2 })
			if got := words(probe); got[0] != probing || got[1] != closing {
				t.Errorf("the node heard %q", got)
			}
			probe.cut()
			eventually(t, "it is counted", func() bool { return s.released(c.outcome) == 1 })
		})
	}
}

// A session that upgrades through this gateway is left alone: nodes refuse a second upgrade, or the first.
func TestReleaseLeavesUpgradesAlone(t *testing.T) {
	t.Parallel()
	nodes := engines(t, 1, engineiotest.Options{})
	s := startGateway(t, withEngines(nodes...))
	c, ws := dial(t, s.addr), dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	c.send(get(pollTarget(sid)))
	ws.websocket(upgradeTarget(sid))
	s.releasing(1, 0)
	other := dial(t, startGateway(t, withEngines(nodes...), withStore(s.store)).addr)
	other.send(get(handshakeTarget))
	other.answer()
	ws.send(masked("2probe"))
	if got := ws.message(); got != "3probe" {
		t.Fatalf("got %q", got)
	}
	if r := c.answer(); r.Text != "6" {
		t.Errorf("got %q", r.Text)
	}
	ws.send(masked("5") + masked("4hello"))
	if got := ws.message(); got != "4hello" {
		t.Errorf("got %q", got)
	}
	for _, outcome := range []string{"released", "refused", "left", "untouched"} {
		if n := s.released(outcome); n > 0 {
			t.Errorf("%v polls %s", n, outcome)
		}
	}
}

// A node that cannot be reached any more, or has a name, is dealt with as well.
func TestReleaseConnects(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{"released", "untouched"} {
		for _, named := range []bool{false, true} {
			t.Run(fmt.Sprint(outcome, named), func(t *testing.T) {
				t.Parallel()
				polls := make(chan string)
				node := startNode(t, "n1", upgrades(polls, func(c *nodeConn, r *nodeRequest) {
					c.send(switching(r) + frame("3probe"))
					<-c.gone
				}))
				if named {
					_, port, _ := net.SplitHostPort(node.addr)
					node.addr = net.JoinHostPort("localhost", port)
				}
				s := startGateway(t, withNodes(node))
				s.bind(aSID, node)
				client := raw(t, s.addr, get(pollTarget(aSID)))
				node.conn(0).await("sid=")
				if outcome == "untouched" {
					node.l.Close()
				}
				s.releasing(1, 0)
				if outcome == "released" {
					eventually(t, "the probe", func() bool { return len(words(node.conn(1))) == 1 })
				} else {
					eventually(t, "it is counted", func() bool { return s.released(outcome) == 1 })
				}
				polls <- "6"
				if r := client.answer(); r.Text != "6" {
					t.Errorf("got %q", r.Text)
				}
				eventually(t, "it is counted", func() bool { return s.released(outcome) == 1 })
			})
		}
	}
}
