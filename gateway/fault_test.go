package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/sock"
)

func TestRefusingNodeIsSeenByNoClient(t *testing.T) {
	t.Parallel()
	dead, good := startNode(t, "dead", nil), startNode(t, "good", engine("sid1"))
	s := startGateway(t, withNodes(dead, good))
	dead.stop()
	c := dial(t, s.addr)
	for range 50 {
		c.handshake(handshakeTarget)
		c.expect(request("POST", "/page", "four", "Content-Length: 4"), 200, "good POST /page four")
	}
}

func TestNodeThatComesBackWithinTheQueue(t *testing.T) {
	t.Parallel()
	node := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node))
	node.Down()
	waiting := raw(t, s.addr, get(handshakeTarget))
	eventually(t, "the handshake waits", func() bool { return s.metric("sidway_node_ejected") == 1 })
	node.Up()
	if r := waiting.answer(); r.StatusCode != 200 || !strings.HasPrefix(r.Text, `0{"sid"`) {
		t.Errorf("%d %q", r.StatusCode, r.Text)
	}
}

func TestNoNode(t *testing.T) {
	t.Parallel()
	dead := startNode(t, "dead", nil)
	dead.stop()
	s := startGateway(t, withNodes(dead), withLimits(func(l *gateway.Limits) { l.QueueTime, l.Queue = 300*time.Millisecond, 1 }))
	for name, request := range map[string]string{
		"handshake":      get(handshakeTarget, "Origin: http://a.example"),
		"direct connect": get(directTarget, append(asksWebSocket, "Origin: http://a.example")...),
		"page":           get("/page", "Origin: http://a.example"),
	} {
		r := raw(t, s.addr, request).answer()
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || r.Header.Get("Access-Control-Allow-Origin") != "http://a.example" {
			t.Errorf("%s: %d %v", name, r.StatusCode, r.Header)
		}
	}
	first := raw(t, s.addr, get(handshakeTarget))
	eventually(t, "one request waits", func() bool { return s.metric("sidway_requests_total", "handshake") >= 2 })
	began := time.Now()
	if status, _ := raw(t, s.addr, get(handshakeTarget)).ask(""); status != 503 {
		t.Errorf("beyond the queue: %d", status)
	}
	t.Logf("refused %v after it was asked, with the queue full", time.Since(began))
	if status, _ := first.ask(""); status != 503 {
		t.Errorf("in the queue: %d", status)
	}
}

// A browser shows no cause where its preflight fails, so that one is granted at once; the request behind it may wait.
func TestPreflightWaitsForNothing(t *testing.T) {
	t.Parallel()
	dead := startNode(t, "dead", nil)
	dead.stop()
	w := &wrapStore{Store: affinity.NewMemory(10), away: true}
	s := startGateway(t, withNodes(dead), withStore(w), withLimits(func(l *gateway.Limits) { l.QueueTime = time.Hour }))
	for name, target := range map[string]string{"no node": handshakeTarget, "no store": pollTarget("sid1")} {
		r := raw(t, s.addr, request("OPTIONS", target, "", "Origin: http://a.example", "Access-Control-Request-Method: POST")).answerTo("OPTIONS")
		if r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Origin") != "http://a.example" ||
			r.Header.Get("Access-Control-Allow-Methods") == "" {
			t.Errorf("%s: %d %v", name, r.StatusCode, r.Header)
		}
	}
}

func TestShortageOfDescriptorsIsOursAndNotTheNodes(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine("sid1"))
	var short atomic.Bool
	s := startGateway(t, withNodes(node), withDial(func(to netip.AddrPort) (int, error) {
		if short.Load() {
			return -1, os.NewSyscallError("socket", syscall.EMFILE)
		}
		return sock.Dial(to)
	}))
	s.bind("sid1", node)
	short.Store(true)
	r := raw(t, s.addr, get(handshakeTarget, "Origin: http://a.example")).answer()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || r.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("the handshake got %d %v", r.StatusCode, r.Header)
	}
	if s.metric("sidway_local_responses_total", "full") != 1 || s.metric("sidway_node_ejected") != 0 {
		t.Error("the node is blamed")
	}
	poll := raw(t, s.addr, get(pollTarget("sid1")))
	eventually(t, "the poll is held", func() bool { return s.metric("sidway_leases") == 1 })
	short.Store(false)
	poll.expect("", 200, "6")
}

func TestShortageOfPortsIsOfOneNode(t *testing.T) {
	t.Parallel()
	full, good := startNode(t, "full", nil), startNode(t, "good", engine("sid1"))
	s := startGateway(t, withNodes(full, good), withDial(func(to netip.AddrPort) (int, error) {
		if to.String() == full.addr {
			return -1, os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)
		}
		return sock.Dial(to)
	}))
	c := dial(t, s.addr)
	for range 10 {
		c.handshake(handshakeTarget)
		c.expect(request("POST", "/page", "four", "Content-Length: 4"), 200, "good POST /page four")
	}
	if s.metric("sidway_node_ejected") != 0 {
		t.Error("the node is blamed")
	}
	if got := s.sessions(); got["full"] != 0 {
		t.Errorf("sessions: %v", got)
	}
}

func TestClientThatLeavesEndsItsPollAtTheNode(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*rawClient){
		"closes": func(c *rawClient) { c.Close() },
		"resets": func(c *rawClient) { c.SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			node := startNode(t, "n1", silent)
			s := startGateway(t, withNodes(node))
			s.bind("sid1", node)
			c := raw(t, s.addr, get(pollTarget("sid1")))
			node.conn(0).await("\r\n\r\n")
			leave(c)
			left := time.Now()
			node.conn(0).awaitEnd()
			took := time.Since(left)
			t.Logf("the node saw it after %v", took)
			if took > time.Second {
				t.Errorf("the poll went on at the node for %v", took)
			}
			eventually(t, "the lease is given back", func() bool { return s.metric("sidway_leases") == 0 })
		})
	}
}

// A node that has taken a POST, which nodes answer at once, and says nothing to anybody is told of while its sessions wait. One that answers
// others is slow.
func TestANodeThatStandsStillIsTold(t *testing.T) {
	t.Parallel()
	for _, talks := range []bool{false, true} {
		t.Run(fmt.Sprint("talks ", talks), func(t *testing.T) {
			t.Parallel()
			ends := make(chan struct{})
			node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if r.Method == "POST" {
					readAll(r)
					<-ends
				}
				c.send(answer(200, "6"))
			})
			s := startGateway(t, withNodes(node), withLimits(func(l *gateway.Limits) { l.HandshakeTime = 100 * time.Millisecond }))
			t.Cleanup(sync.OnceFunc(func() { close(ends) }))
			s.bind(aSID, node)
			s.bind("another", node)
			c, other := raw(t, s.addr, post(aSID, "4message")), dial(t, s.addr)
			silent := func() bool {
				return slices.ContainsFunc(s.faults(), func(f gateway.Fault) bool { return f.Reason == "silent_node" && f.Subject == "n1" })
			}
			if !talks {
				eventually(t, "it is told", silent)
			}
			for end := time.Now().Add(time.Second); talks && time.Now().Before(end); {
				other.expect(get(pollTarget("another")), 200, "6")
				if silent() {
					t.Fatal("a node that answers others is told of")
				}
			}
			ends <- struct{}{}
			if r := c.answerTo("POST"); r.StatusCode != 200 {
				t.Errorf("the POST was answered %d %q", r.StatusCode, r.Text)
			}
		})
	}
}

func TestClientThatLeavesWhileItIsHeld(t *testing.T) {
	t.Parallel()
	dead := startNode(t, "dead", nil)
	dead.stop()
	s := startGateway(t, withNodes(dead), withLimits(func(l *gateway.Limits) { l.QueueTime = time.Hour }))
	c := raw(t, s.addr, get(handshakeTarget))
	eventually(t, "the handshake waits", func() bool { return s.metric("sidway_node_ejected") == 1 })
	c.Close()
	eventually(t, "nothing waits", func() bool { return s.metric("sidway_connections") == 0 })
}

func TestPipelinedRequestsSurviveAHalfClose(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.N == 0 {
			<-release
		}
		plainly(c, r)
	})
	s := startGateway(t, withNodes(node))
	upload := request("PUT", "/one", "5\r\nhello\r\n0\r\n\r\n", chunked)
	c := raw(t, s.addr, upload+get("/two"))
	node.conn(0).await("hello")
	c.send(get("/three"))
	c.CloseWrite()
	close(release)
	for _, path := range []string{"/one", "/two", "/three"} {
		if r := c.answer(); r.StatusCode != http.StatusOK || !strings.Contains(r.Text, path) {
			t.Errorf("%s: %d %q", path, r.StatusCode, r.Text)
		}
	}
	c.closed()
}

func TestSilentNodeIsWaitedFor(t *testing.T) {
	t.Parallel()
	node := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node))
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	release := node.Hold()
	poll, said := raw(t, s.addr, get(pollTarget(sid))), raw(t, s.addr, post(sid, "4hello"))
	node.WaitUntil("both requests came", func() bool { return len(node.Requests()) == 3 })
	release()
	said.expect("", 200, "ok")
	poll.expect("", 200, "4hello")
}

func TestTunnelEndsByTheTimersThatItsHandshakeAnnounced(t *testing.T) {
	t.Parallel()
	// The node's own pings do not count: only the client's bytes show that it lives.
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		c.send(switching(r) + frame(`0{"sid":"sid1","upgrades":[],"pingInterval":100,"pingTimeout":100}`))
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.send(frame("2"))
			case <-c.gone:
				return
			}
		}
	})
	s := startGateway(t, withNodes(node))
	c := dial(t, s.addr)
	c.websocket(directTarget)
	began := time.Now()
	c.ended()
	node.conn(0).awaitEnd()
	took := time.Since(began)
	t.Logf("ended after %v", took)
	if took < 10*time.Second || took > 15*time.Second {
		t.Errorf("a silent client with pings of 100 ms was cut after %v, want 10.2 s", took)
	}
	eventually(t, "it is counted as idle", func() bool { return s.metric("sidway_tunnels_ended_total", "client_idle") == 1 })
}

func TestDrain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	node := startNode(t, "n1", holding(release, "sid1"))
	s := startGateway(t, withNodes(node))
	idle, kept := dial(t, s.addr), dial(t, s.addr)
	idle.handshake(handshakeTarget)
	kept.handshake(handshakeTarget)
	poll := raw(t, s.addr, get(pollTarget("sid1")))
	node.conn(0).await("sid=sid1")

	drained := make(chan struct{})
	go func() { s.Drain(t.Context()); close(drained) }()
	eventually(t, "no connection is accepted", func() bool {
		conn, err := connect(s.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	kept.send(get("/page"))
	if r := kept.answer(); !r.Close {
		t.Error("a kept connection is not told to end")
	}
	select {
	case <-drained:
		t.Error("drained although a poll is in flight")
	default:
	}
	close(release)
	if r := poll.answer(); r.StatusCode != 200 || !r.Close {
		t.Errorf("the poll got %d, Connection: close %v", r.StatusCode, r.Close)
	}
	<-drained
	s.Close()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection was not closed")
	}
}

// TestDrainAwaitsTheNextPoll begins between two polls of a client, which then comes by the connection that it kept.
func TestDrainAwaitsTheNextPoll(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	node := startNode(t, "n1", holding(release, "sid1"))
	s := startGateway(t, withNodes(node))
	client := dial(t, s.addr)
	client.handshake(handshakeTarget)
	drained := make(chan struct{})
	s.Stop()
	go func() { s.Drain(t.Context()); close(drained) }()
	client.send(get(pollTarget("sid1")))
	node.conn(0).await("sid=sid1")
	select {
	case <-drained:
		t.Error("drained although a poll is in flight")
	default:
	}
	close(release)
	if r := client.answer(); r.StatusCode != 200 || !r.Close {
		t.Errorf("the poll got %d, Connection: close %v", r.StatusCode, r.Close)
	}
	<-drained
}

// A node whose backlog is full is told from one that takes connections and answers nothing, and from one to which there is no way.
func TestWhyANodeIsEjected(t *testing.T) {
	t.Parallel()
	full, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(full) })
	if err := errors.Join(unix.Bind(full, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(full, 1)); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(full)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(at.(*unix.SockaddrInet4).Port))
	for range 8 {
		fd, err := sock.Dial(address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sock.Close(fd) })
	}
	good := startNode(t, "good", numbered("sid"))
	far := netip.MustParseAddrPort("127.0.0.1:1")
	s := startGateway(t, withNodes(good), withLimits(func(l *gateway.Limits) { l.HandshakeTime = 200 * time.Millisecond }),
		withDial(func(to netip.AddrPort) (int, error) {
			if to == far {
				return -1, os.NewSyscallError("connect", syscall.EHOSTUNREACH)
			}
			return sock.Dial(to)
		}))
	for why, n := range map[string]*scriptedNode{
		"connect_timeout": {name: "full", addr: address.String()},
		"unreachable":     {name: "far", addr: far.String()},
		"silent":          startNode(t, "silent", silent),
	} {
		c := s.clusters[0]
		c.Update(cluster.Settings{Nodes: configOf(good, n)})
		eventually(t, n.name+" is ejected", func() bool {
			dial(t, s.addr).handshake(handshakeTarget)
			return s.metric("sidway_node_ejected", n.name) == 1
		})
		for _, status := range c.Statuses() {
			if status.Node.Name == n.name && string(status.Why) != why {
				t.Errorf("%s was ejected for %s, want %s", n.name, status.Why, why)
			}
		}
	}
}
