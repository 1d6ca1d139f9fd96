package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTimesOfASession: what passes until a client has its session, until its WebSocket is there, and from each ping to its pong.
func TestTimesOfASession(t *testing.T) {
	t.Parallel()
	const slow = 100 * time.Millisecond
	up, ponged := make(chan struct{}), make(chan struct{})
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.URL.RawQuery, "transport=polling") {
			time.Sleep(slow)
		}
		if r.URL.Path == "/other" {
			c.send(switching(r))
		} else if engine(aSID)(c, r); r.Header.Get("Upgrade") == "" {
			return
		}
		for _, after := range []chan struct{}{up, ponged} {
			select {
			case <-after:
			case <-c.gone:
				return
			}
			c.send("\x81\x012")
		}
	})
	s := startGateway(t, withNodes(n))
	c := dial(t, s.addr)
	c.handshake(handshakeTarget)
	for i, target := range []string{upgradeTarget(aSID), directTarget, "/other"} {
		w := raw(t, s.addr, get(target, asksWebSocket...))
		if r := w.start("GET"); r.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(r.StatusCode)
		}
		if i == 1 {
			w.message() // the open packet
		}
		tell(t, up)
		if got := w.message(); got != "2" {
			t.Fatalf("%q instead of a ping", got)
		}
		time.Sleep(slow)
		w.send(masked("3"))
		tell(t, ponged)
		want := float64(min(i+1, 2)) // none of a WebSocket that is not Socket.IO's
		eventually(t, "heartbeats", func() bool { return s.metric("sidway_heartbeat_seconds", "c1") == want })
		if i == 2 {
			w.Close()
			eventually(t, "its end", func() bool { return s.metric("sidway_tunnels", "c1") < 3 })
		}
	}
	for series, want := range map[string]float64{
		"sidway_handshake_seconds c1 polling": 1, "sidway_handshake_seconds c1 websocket": 1,
		"sidway_node_seconds c1 n1 upgrade": 1, "sidway_heartbeat_seconds c1": 2,
	} {
		words := strings.Fields(series)
		if got := s.metric(words[0], words[1:]...); got != want {
			t.Errorf("%s is observed %v times, want %v", series, got, want)
		}
	}
	for name, least := range map[string]time.Duration{"sidway_handshake_seconds": slow, "sidway_heartbeat_seconds": 2 * slow} {
		if got := s.sum(name); got < least.Seconds() || got > patience.Seconds() {
			t.Errorf("%s: %v s in all", name, got)
		}
	}
}

// tell has whoever listens go on.
func tell(t *testing.T, c chan<- struct{}) {
	t.Helper()
	select {
	case c <- struct{}{}:
	case <-time.After(patience):
		t.Fatal("nobody listens")
	}
}

// TestSessionsByTransport: what is counted of sessions is shown as it is.
func TestSessionsByTransport(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if engine(aSID)(c, r); r.Header.Get("Upgrade") != "" {
			<-c.gone
			c.cut()
		}
	})
	s := startGateway(t, withNodes(n))
	shows := func(what string, polling, sockets, ended float64) {
		t.Helper()
		eventually(t, what, func() bool {
			return s.metric("sidway_sessions_by_transport", "c1", "n1", "polling") == polling &&
				s.metric("sidway_sessions_by_transport", "c1", "n1", "websocket") == sockets &&
				s.metric("sidway_session_seconds", "c1", "websocket") == ended
		})
	}
	dial(t, s.addr).handshake(handshakeTarget)
	shows("a polling session", 1, 0, 0)
	w := raw(t, s.addr, get(directTarget, asksWebSocket...))
	w.start("GET")
	shows("a WebSocket beside it", 1, 1, 0)
	w.Close()
	shows("its end", 1, 0, 1)
}
