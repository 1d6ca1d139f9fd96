package gateway_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/sock"
)

// Each of these nodes fails a handshake or direct connect in its own way.
var failures = map[string]answerer{
	"reset":               func(c *nodeConn, _ *nodeRequest) { c.reset() },
	"closed":              func(c *nodeConn, _ *nodeRequest) { c.cut() },
	"silent":              silent,
	"cut within the head": func(c *nodeConn, _ *nodeRequest) { c.send("HTTP/1.1 200 OK\r\nContent-Le"); c.cut() },
	"cut within the body": func(c *nodeConn, _ *nodeRequest) { c.send(head(200, "Content-Length: 120") + `0{"sid":"half`); c.cut() },
	"silent within the body": func(c *nodeConn, _ *nodeRequest) {
		c.send(head(200, "Content-Length: 120") + `0{"sid":"half`)
		<-c.gone
	},
}

func TestHandshakeMovesOn(t *testing.T) {
	t.Parallel()
	for name, fails := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := startNode(t, "bad", fails), startNode(t, "good", engine("sid1"))
			s := startGateway(t, withNodes(bad, good), withLimits(func(l *gateway.Limits) { l.HandshakeTime = 200 * time.Millisecond }))
			eventually(t, "the node that fails is ejected", func() bool {
				dial(t, s.addr).handshake(handshakeTarget)
				return s.metric("sidway_node_ejected", "bad") == 1
			})
			if got := s.sessions(); got["bad"] != 0 || got["good"] == 0 {
				t.Errorf("sessions: %v", got)
			}
		})
	}
}

func TestDirectConnectMovesOn(t *testing.T) {
	t.Parallel()
	for name, fails := range failures {
		if strings.Contains(name, "body") {
			continue // a 101 has none
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := startNode(t, "bad", fails), startNode(t, "good", engine("sid1"))
			s := startGateway(t, withNodes(bad, good), withLimits(func(l *gateway.Limits) { l.HandshakeTime = 200 * time.Millisecond }))
			for range 2 {
				c := dial(t, s.addr)
				c.websocket(directTarget)
				if got := c.message(); got != openPacket("sid1") {
					t.Fatalf("%q", got)
				}
			}
			if got := s.sessions(); got["bad"] != 0 || got["good"] != 2 {
				t.Errorf("sessions: %v", got)
			}
		})
	}
}

func TestSlowRequestTakesNoNodeOut(t *testing.T) {
	t.Parallel()
	engine := engine("sid1")
	slowOnly := func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "slow") {
			silent(c, r)
			return
		}
		engine(c, r)
	}
	a, b := startNode(t, "a", slowOnly), startNode(t, "b", slowOnly)
	s := startGateway(t, withNodes(a, b), withLimits(func(l *gateway.Limits) { l.HandshakeTime = 300 * time.Millisecond }))
	for _, n := range []*scriptedNode{a, b} {
		s.bind("on-"+n.name, n)
	}
	slow := raw(t, s.addr, get(handshakeTarget+"&slow=1"))
	polls := dial(t, s.addr)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		polls.expect(get(pollTarget("on-a")), 200, "6")
		polls.expect(get(pollTarget("on-b")), 200, "6")
		if got := s.metric("sidway_node_ejected"); got != 0 {
			t.Fatal("a node is ejected for one slow request")
		}
	}
	slow.Close()
}

// TestSlowHandshakeIsSentOnce asks a node that answers others: it is slow, and a second node would only make a second session.
func TestSlowHandshakeIsSentOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := func(c *nodeConn, r *nodeRequest) {
		if !strings.Contains(r.Head, "sid=") {
			<-release
		}
		engine("sid1")(c, r)
	}
	a, b := startNode(t, "a", slow), startNode(t, "b", slow)
	const handshakeTime = 500 * time.Millisecond
	s := startGateway(t, withNodes(a, b), withLimits(func(l *gateway.Limits) { l.HandshakeTime = handshakeTime }))
	for _, n := range []*scriptedNode{a, b} {
		s.bind("on-"+n.name, n)
	}
	client := raw(t, s.addr, get(handshakeTarget))
	direct := dial(t, s.addr)
	direct.send(get(directTarget, asksWebSocket...))
	polls := dial(t, s.addr)
	for end := time.Now().Add(3 * handshakeTime); time.Now().Before(end); {
		polls.expect(get(pollTarget("on-a")), 200, "6")
		polls.expect(get(pollTarget("on-b")), 200, "6")
	}
	close(release)
	client.expect("", 200, openPacket("sid1"))
	if r := direct.answer(); r.StatusCode != 101 {
		t.Errorf("the direct connect got %d", r.StatusCode)
	}
	if got := handshakesAt(a, b); got != 2 {
		t.Errorf("the nodes got %d handshakes and direct connects in place of 2", got)
	}
	if s.metric("sidway_node_ejected") != 0 {
		t.Error("a slow node is ejected")
	}
}

// TestWebSocketsShowThatANodeLives has nodes that answer no request for a while, but talk on their WebSockets.
func TestWebSocketsShowThatANodeLives(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	talks := func(c *nodeConn, r *nodeRequest) {
		if r.Header.Get("Upgrade") == "" {
			<-release
			engine("sid1")(c, r)
			return
		}
		talkOn(c, r)
	}
	a, b := startNode(t, "a", talks), startNode(t, "b", talks)
	const handshakeTime = 500 * time.Millisecond
	s := startGateway(t, withNodes(a, b), withLimits(func(l *gateway.Limits) { l.HandshakeTime = handshakeTime }))
	var sockets []*rawClient
	for range 2 {
		ws := dial(t, s.addr)
		ws.websocket(directTarget)
		ws.message()
		sockets = append(sockets, ws)
	}
	client := raw(t, s.addr, get(handshakeTarget))
	for end := time.Now().Add(3 * handshakeTime); time.Now().Before(end); {
		for _, ws := range sockets {
			ws.message()
		}
	}
	if s.metric("sidway_node_ejected") != 0 {
		t.Error("a node is ejected although it talks")
	}
	close(release)
	client.expect("", 200, openPacket("sid1"))
}

// talkOn opens the WebSocket that r asks for, and says something on it time and again.
func talkOn(c *nodeConn, r *nodeRequest) {
	c.send(switching(r) + frame(openPacket("sid2")))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.send(frame("4hi"))
		case <-c.gone:
			return
		}
	}
}

// handshakesAt counts the handshakes and direct connects that reached any of the nodes.
func handshakesAt(nodes ...*scriptedNode) int {
	n := 0
	for _, node := range nodes {
		got := node.received()
		n += strings.Count(got, "GET "+handshakeTarget+" ") + strings.Count(got, "GET "+directTarget+" ")
	}
	return n
}

func TestHandshakeMovesOnOnlyOnce(t *testing.T) {
	t.Parallel()
	for name, fails := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var nodes []*scriptedNode
			for _, name := range []string{"a", "b", "c", "d"} {
				nodes = append(nodes, startNode(t, name, fails))
			}
			s := startGateway(t, withNodes(nodes...), withLimits(func(l *gateway.Limits) { l.HandshakeTime = 100 * time.Millisecond }))
			c := raw(t, s.addr, get(handshakeTarget))
			if strings.Contains(name, "silent") {
				eventually(t, "a second node is asked", func() bool { return handshakesAt(nodes...) == 2 })
				c.SetReadDeadline(time.Now().Add(400 * time.Millisecond)) // no third one is
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the client got something, or %v", err)
				}
			} else if status, _ := c.ask(""); status != 502 || s.metric("sidway_node_ejected") != 0 {
				t.Errorf("%d, and %v nodes ejected", status, s.metric("sidway_node_ejected"))
			}
			if got := handshakesAt(nodes...); got != 2 {
				t.Errorf("the nodes got %d handshakes in place of 2", got)
			}
		})
	}
}

// A client that leaves says nothing of the node that it waited for.
func TestClientThatLeavesEjectsNobody(t *testing.T) {
	t.Parallel()
	slow, other := startNode(t, "slow", silent), startNode(t, "other", silent)
	s := startGateway(t, withNodes(slow, other))
	for _, target := range []string{handshakeTarget, directTarget} {
		var lines []string
		if target == directTarget {
			lines = asksWebSocket
		}
		for range 10 {
			c := rawBytewise(t, s.addr, get(target, lines...))
			eventually(t, "it waits at a node", func() bool { return s.metric("sidway_leases") == 1 })
			c.Close()
			eventually(t, "the lease is given back", func() bool { return s.metric("sidway_leases") == 0 })
		}
	}
	if n := s.metric("sidway_node_ejected"); n != 0 {
		t.Errorf("%v nodes are ejected", n)
	}
}

// A handshake goes to a thousand nodes that refuse it. A poll on the same loop does not wait for the end of that.
func TestOthersAreServedWhileNodesRefuse(t *testing.T) {
	t.Parallel()
	good := startNode(t, "good", engine(aSID))
	settings := cluster.Settings{Nodes: configOf(good)}
	for i := range 1000 {
		settings.Nodes = append(settings.Nodes, cluster.Config{Name: fmt.Sprint("n", i), Address: fmt.Sprintf("127.1.%d.%d:1", i/250, i%250+1)})
	}
	var refused, before atomic.Int64 // before good was dialed
	trying, asked := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() {
		close(trying)
		<-asked
	})
	s := startGateway(t, withNodes(good), withDial(func(to netip.AddrPort) (int, error) {
		if to.String() == good.addr {
			before.CompareAndSwap(0, refused.Load())
		} else {
			first()
			refused.Add(1)
		}
		return sock.Dial(to)
	}))
	c := s.clusters[0]
	c.Update(settings)
	c.SetDraining(c.Node("good"), true)
	s.bind(aSID, good)
	var clients []*rawClient // the first and the last one are on one of the two loops
	for i := range 3 {
		clients = append(clients, dial(t, s.addr))
		eventually(t, "it is accepted", func() bool { return s.metric("sidway_connections") == float64(i+1) })
	}
	clients[0].send(get(handshakeTarget))
	<-trying
	clients[2].send(get(pollTarget(aSID)))
	close(asked)
	clients[2].expect("", 200, "6")
	if n := before.Load(); n > 100 {
		t.Errorf("the poll was sent after %d nodes had refused the handshake", n)
	}
	c.SetDraining(c.Node("good"), false)
	clients[0].expect("", 200, openPacket(aSID))
}

// A request for which no port is left, at any node, does not go through all of them.
func TestTriesAreBounded(t *testing.T) {
	t.Parallel()
	const enough = 1000
	var settings cluster.Settings
	for i := range 10 * enough {
		settings.Nodes = append(settings.Nodes, cluster.Config{Name: fmt.Sprint("n", i), Address: fmt.Sprint("127.0.0.1:", i+1)})
	}
	var tries atomic.Int64
	s := startGateway(t, withNodes(), withLimits(func(l *gateway.Limits) { l.Queue = 0 }), withDial(func(netip.AddrPort) (int, error) {
		tries.Add(1)
		return -1, os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)
	}))
	s.clusters[0].Update(settings)
	if status, _ := dial(t, s.addr).ask(get(handshakeTarget)); status != 503 || tries.Load() > enough {
		t.Errorf("%d after %d tries", status, tries.Load())
	}
}
