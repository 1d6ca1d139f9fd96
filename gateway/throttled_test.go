package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

// oneEach is a rate that gives one at once and the next only after everybody has stopped waiting.
const oneEach = 1. / 60

// readable checks that a refusal by a limit says when to come again, to a page too.
func readable(t *testing.T, r reply) {
	t.Helper()
	if r.StatusCode != 429 || r.Header.Get("Retry-After") == "" || r.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
		t.Errorf("answered %d %q %v", r.StatusCode, r.Text, r.Header)
	}
}

const fromPage = "Origin: https://page.example"

// Requests for a session, upgrades and direct connects of one client are bounded together, those of another one and polls of a live
// session are not.
func TestHandshakesOfOneClient(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withTrusted("127.0.0.0/8"), withLimits(func(l *gateway.Limits) { l.ClientHandshakes = oneEach }))
	s.bind(aSID, n)
	as := func(client string) string { return "X-Forwarded-For: " + client }
	c := dial(t, s.addr)
	for _, client := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
		c.send(get(handshakeTarget, as(client)))
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("%s: answered %d %q", client, r.StatusCode, r.Text)
		}
	}
	for _, client := range []string{"192.0.2.1", "2001:db8::2"} {
		c.send(get(handshakeTarget, as(client), fromPage))
		readable(t, c.answer())
		for _, target := range []string{directTarget, upgradeTarget(aSID)} {
			readable(t, raw(t, s.addr, get(target, append([]string{as(client), fromPage}, asksWebSocket...)...)).answer())
		}
		for range 3 {
			c.send(get(pollTarget(aSID), as(client)))
			if r := c.answer(); r.StatusCode != 200 {
				t.Errorf("a live session's poll was answered %d %q", r.StatusCode, r.Text)
			}
		}
	}
	if got := s.metric("sidway_limited_total", "client_handshakes", "refused"); got != 6 {
		t.Errorf("%v are counted", got)
	}
	if f := s.Metrics().Faults(); len(f) != 1 || f[0].Reason != "limit" || f[0].Subject != "limits.client_handshakes" || f[0].Count != 6 {
		t.Errorf("whoever asks later is told %+v", f)
	}
}

func TestHandshakesOfAll(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withTrusted("127.0.0.0/8"), withLimits(func(l *gateway.Limits) { l.Handshakes = oneEach }))
	s.bind(aSID, n)
	c := dial(t, s.addr)
	for client, status := range map[string]int{"192.0.2.1": 0, "192.0.2.2": 0, "192.0.2.3": 0} {
		c.send(get(handshakeTarget, "X-Forwarded-For: "+client))
		status = c.answer().StatusCode
		if was := s.metric("sidway_handshakes_total"); was != 1 {
			t.Errorf("%s: answered %d, %v handshakes", client, status, was)
		}
	}
	c.send(get(pollTarget(aSID)))
	if r := c.answer(); r.StatusCode != 200 || s.metric("sidway_limited_total", "handshakes", "refused") != 2 {
		t.Errorf("answered %d %q", r.StatusCode, r.Text)
	}
}

// A burst waits for its turn.
func TestBurstWaits(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.ClientHandshakes = 4 }))
	c, began := dial(t, s.addr), time.Now()
	for range 10 {
		c.send(get(handshakeTarget))
		if r := c.answer(); r.StatusCode != 200 {
			t.Fatalf("answered %d %q", r.StatusCode, r.Text)
		}
	}
	if took := time.Since(began); took < 450*time.Millisecond {
		t.Errorf("8 may come at once, and 4 a second: 10 have taken %v", took)
	}
}

// A live session's request waits for longer than a stranger's, and both are counted.
func TestRequestsOfOneClient(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.ClientRequests, l.QueueTime = 0.25, patience }))
	s.bind(aSID, n)
	c := dial(t, s.addr)
	c.send(get("/page", fromPage))
	if r := c.answer(); r.StatusCode != 200 {
		t.Fatalf("answered %d %q", r.StatusCode, r.Text)
	}
	live := raw(t, s.addr, get(pollTarget(aSID)))
	eventually(t, "it waits", func() bool { return s.metric("sidway_limited_total", "client_requests", "waited") == 1 })
	body := "4hi"
	for _, q := range []string{get("/page", fromPage), get(handshakeTarget, fromPage), request("POST", "/page", body, lengthOf(body), fromPage)} {
		r := raw(t, s.addr, q).answer()
		if r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
	}
	if r := live.answer(); r.StatusCode != 200 {
		t.Errorf("the live session was answered %d %q", r.StatusCode, r.Text)
	}
}

// A client with as many connections as it may have gets live sessions served on others, and no more.
func TestConnectionsOfOneClient(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.ClientConnections = 2 }))
	s.bind(aSID, n)
	first := raw(t, s.addr, get(directTarget, asksWebSocket...))
	first.start("GET") // a tunnel counts as well
	second := dial(t, s.addr)
	second.kept()
	over := raw(t, s.addr, get(handshakeTarget, fromPage))
	readable(t, over.answer())
	over.send(get(pollTarget(aSID)))
	if r := over.answer(); r.StatusCode != 200 {
		t.Errorf("a live session was answered %d %q", r.StatusCode, r.Text)
	}
	began := time.Now()
	over.closed() // soon, since it is of no use to others
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it was kept for %v", took)
	}
	first.Close()
	eventually(t, "the tunnel has ended", func() bool { return s.metric("sidway_connections") == 1 })
	if r := raw(t, s.addr, get(handshakeTarget)).answer(); r.StatusCode != 200 {
		t.Errorf("with room again: answered %d %q", r.StatusCode, r.Text)
	}
}

// A trusted proxy's connections are those of its clients.
func TestConnectionsOfAProxy(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withTrusted("127.0.0.0/8"), withLimits(func(l *gateway.Limits) { l.ClientConnections = 1 }))
	for range 3 {
		dial(t, s.addr).kept()
	}
}

// What a client sends on its WebSocket beyond the rate waits, and arrives.
func TestTunnelRate(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.TunnelRate = 10_000 }))
	c := raw(t, s.addr, get(directTarget, asksWebSocket...))
	c.start("GET")
	began := time.Now()
	sent := make([]byte, 29_999)
	for i := range sent {
		sent[i] = '.'
	}
	c.send(string(sent) + "!")
	n.conn(0).await(string(sent) + "!")
	if took := time.Since(began); took < 900*time.Millisecond || s.metric("sidway_limited_total", "tunnel_rate", "waited") == 0 {
		t.Errorf("30 kB at 10 kB a second took %v", took)
	}
}

// Clients behind a proxy that names them by the PROXY protocol are counted each for itself, and one that leaves is counted no more.
func TestConnectionsBehindAProxyHeader(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), introduced, withTrusted("127.0.0.0/8"), withLimits(func(l *gateway.Limits) { l.ClientConnections = 1 }))
	other := strings.Replace(headerV1, "9.9.9.9", "9.9.9.8", 1)
	first := introduce(t, s.addr, headerV1, get(handshakeTarget), false)
	if r := first.answer(); r.StatusCode != 200 {
		t.Errorf("the first: %d", r.StatusCode)
	}
	if r := introduce(t, s.addr, headerV1, get(handshakeTarget, fromPage), false).answer(); r.StatusCode == 200 {
		t.Errorf("the second of the same client: %d", r.StatusCode)
	}
	if r := introduce(t, s.addr, other, get(handshakeTarget), false).answer(); r.StatusCode != 200 {
		t.Errorf("another client: %d", r.StatusCode)
	}
	first.Close()
	eventually(t, "its place is free", func() bool {
		return introduce(t, s.addr, headerV1, get(handshakeTarget, "Connection: close"), false).answer().StatusCode == 200
	})
}

// What all clients together do is the fault of none of them.
func TestWhoseLimitIsTold(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(l *gateway.Limits){
		"limits.handshakes":        func(l *gateway.Limits) { l.Handshakes = 0.25 },
		"limits.client_handshakes": func(l *gateway.Limits) { l.ClientHandshakes = 0.25 },
	} {
		s, log := warned(t, withNodes(startNode(t, "n1", engine(aSID))), withLimits(change))
		for range 3 {
			raw(t, s.addr, get(handshakeTarget)).answer()
		}
		own := name == "limits.client_handshakes"
		if got := log.String(); strings.Count(got, "limit="+name) != 1 || strings.Contains(got, "trusted_proxies") != own || strings.Contains(got, "client=127.0.0.1") != own {
			t.Errorf("%s: told %s", name, got)
		}
	}
}
