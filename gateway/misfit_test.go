package gateway_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// Each of these answers a handshake with what no Socket.IO server says to one.
var misfits = map[string]answerer{
	"not found":   func(c *nodeConn, _ *nodeRequest) { c.send(head(404, "Content-Length: 3") + "no\n") },
	"unavailable": func(c *nodeConn, _ *nodeRequest) { c.send(head(503, "Content-Length: 3") + "no\n") },
	"a page":      func(c *nodeConn, _ *nodeRequest) { c.send(answer(200, "<html>")) },
	"in chunks":   func(c *nodeConn, _ *nodeRequest) { c.send(head(200, chunked) + inChunks("<html>", 2)) },
	"not HTTP":    func(c *nodeConn, _ *nodeRequest) { c.send("SSH-2.0-OpenSSH_9.2\r\n"); c.cut() },
	"cut":         func(c *nodeConn, _ *nodeRequest) { c.cut() },
}

// A node that makes no sessions has the fewest, and would get every new one.
func TestNodeThatMakesNoSessionsGetsFew(t *testing.T) {
	t.Parallel()
	for name, fails := range misfits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := startNode(t, "bad", fails), startNode(t, "good", engine("sid1"))
			var log syncBuffer
			s := startGateway(t, withNodes(bad, good), withLog(slog.New(slog.NewTextHandler(&log, nil))))
			made, words := 0, "does it serve Socket.IO"
			for range 30 {
				if status, _ := raw(t, s.addr, get(handshakeTarget)).ask(""); status == 200 {
					made++
				}
			}
			if name == "a page" || name == "in chunks" {
				words = "holds no session that can be bound"
				made = int(s.metric("sidway_handshakes_total", "polling", "made"))
			}
			if words == "holds no session that can be bound" {
				words += "\\S* .* address=" + bad.addr + " path=/socket.io/ status=200"
				if n := s.metric("sidway_setup_faults_total", "no_session"); n < 3 { // one more for each time that the node is tried again
					t.Errorf("%v faults are counted", n)
				}
			}
			if made < 20 {
				t.Errorf("%d of 30 handshakes made a session", made)
			}
			if s.metric("sidway_node_ejected", "bad") != 1 || s.metric("sidway_node_ejected", "good") != 0 {
				t.Error("the node that makes no sessions is not ejected")
			}
			if n := len(regexp.MustCompile(words).FindAllString(log.String(), -1)); n != 1 || !strings.Contains(log.String(), "node=bad") || !strings.Contains(log.String(), "path=/socket.io/") {
				t.Errorf("told %d times: %s", n, log.String())
			}
		})
	}
}

// The only node is never ejected for that, but it is told of; and no client can have a node ejected by being refused.
func TestNodesThatRefuseClientsStayIn(t *testing.T) {
	t.Parallel()
	for status, tells := range map[int]bool{400: false, 401: false, 403: false, 429: false, 404: true, 500: true} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { c.send(head(status, "Content-Length: 3") + "no\n") })
			var log syncBuffer
			s := startGateway(t, withNodes(n), withLog(slog.New(slog.NewTextHandler(&log, nil))))
			for range 5 {
				raw(t, s.addr, get(handshakeTarget)).expect("", status, "no\n")
			}
			if s.metric("sidway_node_ejected") != 0 {
				t.Error("the only node is ejected")
			}
			if told := strings.Contains(log.String(), "does it serve Socket.IO"); told != tells {
				t.Errorf("told: %v: %s", told, log.String())
			}
		})
	}
}

// A node that accepts no connection any more goes on to answer on those that it has, as Node's do when they close. It comes back
// when it accepts one again.
func TestNodeThatAcceptsNoMoreIsEjectedOnce(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", engine("sid1")), startNode(t, "n2", engine("sid2"))
	s := startGateway(t, withNodes(n1, n2))
	var ejections atomic.Int64
	s.clusters[0].OnEjection = func(_ *cluster.Node, ejected bool, why cluster.Reason, _ time.Duration) {
		ejections.Add(1)
		if !ejected || why != cluster.ReasonRefused {
			t.Errorf("ejected %v, %s", ejected, why)
		}
	}
	s.bind("sid1", n1)
	poller := dial(t, s.addr)
	poller.expect(get(pollTarget("sid1")), 200, "6")
	n1.l.Close()
	for range 50 {
		poller.expect(get(pollTarget("sid1")), 200, "6")
		c := dial(t, s.addr)
		c.send(get(directTarget, asksWebSocket...))
		if r := c.start("GET"); r.StatusCode != 101 {
			t.Fatal(r.StatusCode)
		}
		c.Close()
	}
	if n := ejections.Load(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// The request of a WebSocket that does not ask for one comes by a proxy that strips what it does not know.
func TestStrippedUpgradeIsTold(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s, log := warned(t, withNodes(n))
	s.bind(aSID, n)
	for range 3 {
		if status, _ := raw(t, s.addr, get(upgradeTarget(aSID))).ask(""); status != 400 {
			t.Errorf("%d", status)
		}
	}
	if s.metric("sidway_setup_faults_total", "upgrade") != 3 || strings.Count(log.String(), "come without Upgrade") != 1 ||
		!strings.Contains(log.String(), "or do not connect at all where WebSockets are all that they may use") {
		t.Errorf("told %s", log.String())
	}
}

// Socket.IO 2 serves its client under every name that begins with the bundle's, so that anybody can have it answer with no session.
func TestStrangersEjectNobodyByOtherPaths(t *testing.T) {
	t.Parallel()
	answers := func(c *nodeConn, r *nodeRequest) {
		if r.URL.Path == "/socket.io/" {
			engine("sid1")(c, r)
			return
		}
		c.send(answer(200, "the bundle"))
	}
	s := startGateway(t, withNodes(startNode(t, "n1", answers), startNode(t, "n2", answers)))
	for range 20 {
		raw(t, s.addr, get("/socket.io/socket.io.jsX?EIO=3&transport=polling")).expect("", 200, "the bundle")
	}
	if s.metric("sidway_node_ejected") != 0 {
		t.Error("a node is ejected")
	}
	dial(t, s.addr).handshake(handshakeTarget)
}

// What a node says on its WebSockets stands in for answers, but not for ever.
func TestNodeThatOnlyTalksIsGivenUp(t *testing.T) {
	t.Parallel()
	talks := startNode(t, "talks", func(c *nodeConn, r *nodeRequest) {
		if r.Header.Get("Upgrade") == "" {
			<-c.gone
			return
		}
		talkOn(c, r)
	})
	good := startNode(t, "good", engine("sid1"))
	s := startGateway(t, withNodes(talks, good), withLimits(func(l *gateway.Limits) { l.HandshakeTime = 200 * time.Millisecond }))
	var sockets []*rawClient
	for s.sessions()["talks"] == 0 {
		ws := dial(t, s.addr)
		ws.websocket(directTarget)
		ws.message()
		sockets = append(sockets, ws)
	}
	for range 4 {
		dial(t, s.addr).handshake(handshakeTarget)
	}
	if s.metric("sidway_node_ejected", "talks") != 1 {
		t.Error("it is not ejected")
	}
	for _, ws := range sockets {
		ws.Close()
	}
}

// A node that refuses handshakes makes no session of them: it must not draw all newcomers because it has the fewest.
func TestNodeThatRefusesGetsNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 429} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var made, refused atomic.Int64
			good := func(c *nodeConn, r *nodeRequest) { engine(fmt.Sprint("sid", made.Add(1)))(c, r) }
			bad := startNode(t, "bad", func(c *nodeConn, _ *nodeRequest) {
				refused.Add(1)
				c.send(answer(status, "no"))
			})
			s := startGateway(t, withNodes(startNode(t, "n1", good), bad, startNode(t, "n2", good)))
			const tries = 60
			for range tries {
				raw(t, s.addr, get(handshakeTarget)).answer()
			}
			if n := refused.Load(); n == 0 || n > tries/3+3 {
				t.Errorf("%d of %d handshakes were refused", n, tries)
			}
		})
	}
}

// A proxy before a node may swallow upgrades: they count until one is answered.
func TestUpgradesWithoutAnAnswerAreCounted(t *testing.T) {
	t.Parallel()
	var answers atomic.Bool
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if answers.Load() {
			engine(aSID)(c, r)
			return
		}
		silent(c, r)
	})
	s := startGateway(t, withNodes(n))
	s.bind(aSID, n)
	unanswered := func() uint64 { return s.Figures()["c1"].Nodes["n1"].Unanswered }
	upgrade := func() *rawClient {
		c := raw(t, s.addr, "")
		c.send(get(upgradeTarget(aSID), asksWebSocket...))
		return c
	}
	upgrade()
	leaves := upgrade()
	eventually(t, "they are with the node", func() bool { return unanswered() == 2 })
	leaves.Close() // it has got no answer either
	answers.Store(true)
	dial(t, s.addr).websocket(upgradeTarget(aSID))
	if n := unanswered(); n != 0 {
		t.Errorf("%d are counted", n)
	}
}

// What nodes offer is told of where they differ, and not where none offers a WebSocket.
func TestANodeThatOffersNoWebSocketIsTold(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	offers := func(upgrades string) answerer {
		return func(c *nodeConn, _ *nodeRequest) {
			c.send(answer(200, fmt.Sprintf(`0{"sid":"sid%d","upgrades":[%s],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`, made.Add(1), upgrades)))
		}
	}
	all, none := offers(`"websocket"`), offers("")
	handshakes := func(s *site) {
		for range 18 {
			raw(t, s.addr, get(handshakeTarget)).answer()
		}
	}
	s, log := warned(t, withNodes(startNode(t, "n1", all), startNode(t, "n2", none), startNode(t, "n3", all)))
	handshakes(s)
	s.once(log, `a node offers its sessions no WebSocket, and others of its cluster do: see its transports and allowUpgrades" cluster=c1 node=n2`, "no_websocket", 4)
	for name, n := range s.Figures()["c1"].Nodes {
		if n.NoUpgrade != (name == "n2") {
			t.Errorf("%s: %+v", name, n)
		}
	}
	s, log = warned(t, withNodes(startNode(t, "n1", none), startNode(t, "n2", none)))
	handshakes(s)
	if n := s.metric("sidway_setup_faults_total", "c1", "no_websocket"); n != 0 || log.String() != "" {
		t.Errorf("told %v times: %s", n, log.String())
	}
}
