package gateway_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
)

// holdsPolls answers like engine, but a request with hold in its query only when release is closed.
func holdsPolls(release <-chan struct{}) answerer {
	return func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "hold") {
			select {
			case <-release:
			case <-c.gone:
			}
		}
		engine(aSID)(c, r)
	}
}

// Live sessions are served above the overflow too, but only as far as descriptors go.
func TestRoomForLiveSessionsEnds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n := startNode(t, "n1", holdsPolls(release))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.Connections = 1 }))
	s.bind(aSID, n)
	open := 1 + gateway.Overflow(1)
	var held []*rawClient
	for range open {
		held = append(held, raw(t, s.addr, get(pollTarget(aSID)+"&hold=1")))
	}
	eventually(t, "all are with the node", func() bool { return s.metric("sidway_leases") == float64(open) })
	for _, k := range []struct {
		descriptors, status int
	}{{2*open + 1, 503}, {2*open + 2, 200}} { // the second leaves an idle connection to the node
		s.SetConnections(1, k.descriptors)
		c := raw(t, s.addr, get(pollTarget(aSID)))
		if r := c.answer(); r.StatusCode != k.status || k.status == 503 && r.Header.Get("Retry-After") == "" {
			t.Errorf("with %d open and %d descriptors: answered %d %q %v", open+1, k.descriptors, r.StatusCode, r.Text, r.Header)
		}
		c.ended()
		eventually(t, "it is gone", func() bool { return s.metric("sidway_connections") == float64(open) })
	}
	s.SetConnections(1, 2*open+1)
	eventually(t, "the idle connection has given way, which is another loop's perhaps", func() bool {
		c := raw(t, s.addr, get(pollTarget(aSID)))
		defer c.ended()
		return c.answer().StatusCode == 200
	})
	close(release)
	for _, c := range held {
		c.expect("", 200, "6")
	}
}

// At the limit of connections one whose first request is a live session's, and comes slowly, does not give way before those that
// have sent nothing.
func TestSlowFirstPOSTOfALiveSessionStays(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.Connections = 2 }))
	s.bind(aSID, n)
	slow := raw(t, s.addr, request("POST", postTarget(aSID), "4h", lengthOf("4hi")))
	eventually(t, "the POST is there", func() bool { return s.metric("sidway_requests_total", "post") == 1 })
	idle := dial(t, s.addr)
	eventually(t, "both are there", func() bool { return s.metric("sidway_connections") == 2 })
	eventually(t, "a stranger is served", func() bool { return raw(t, s.addr, get(handshakeTarget)).answer().StatusCode == 200 })
	idle.closed()
	slow.expect("i", 200, "ok")
}

// Strangers that send nothing give way to live sessions before the descriptors are used up.
func TestStrangersGiveWayToLiveSessions(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.Connections = 1 }))
	s.bind(aSID, n)
	const descriptors = 120
	s.SetConnections(1, descriptors)
	for range 2 * descriptors {
		dial(t, s.addr)
	}
	for range 10 {
		raw(t, s.addr, get(pollTarget(aSID))).expect("", 200, "6")
		eventually(t, "strangers have given way, those too that were counted when the poll came and not yet looked at", func() bool {
			return s.metric("sidway_connections") <= descriptors
		})
		dial(t, s.addr)
	}
}

// Strangers that have got their 503, and do not close, give way to a live session.
func TestAnsweredStrangersGiveWay(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.Connections = 1 }))
	s.bind(aSID, n)
	dial(t, s.addr)
	open := 1 + gateway.Overflow(1)
	for range open - 1 {
		if r := raw(t, s.addr, get("/socket.io/?EIO=4&transport=websocket", asksWebSocket...)).answer(); r.StatusCode != 503 {
			t.Fatalf("a stranger got %d", r.StatusCode)
		}
	}
	s.SetConnections(1, open)
	raw(t, s.addr, get(pollTarget(aSID))).expect("", 200, "6")
}

// Clients without keep-alive make a connection for each poll: strangers do not get the places of sessions between two polls.
func TestSessionsBetweenTwoPollsKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	const sessions, limit = 8, 20
	s := startGateway(t, withEngines(engineiotest.Start(t, engineiotest.Options{})), withLimits(func(l *gateway.Limits) { l.Connections = limit }))
	var clients []*rawClient
	for range sessions {
		c := dial(t, s.addr)
		c.handshake(handshakeTarget)
		clients = append(clients, c)
	}
	s.SetConnections(limit, 0)
	for _, c := range clients {
		c.Close()
	}
	eventually(t, "they are gone", func() bool { return s.metric("sidway_connections") == 0 })
	served := 0
	for range limit {
		c := dial(t, s.addr)
		c.send(get("/socket.io/?EIO=4&transport=websocket", asksWebSocket...))
		if c.start("GET").StatusCode == 101 {
			served++
			eventually(t, "its tunnel is counted", func() bool { return s.metric("sidway_tunnels") == float64(served) })
		}
	}
	if served != limit-sessions {
		t.Errorf("%d strangers got a WebSocket, want %d", served, limit-sessions)
	}
}
