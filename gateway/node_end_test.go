package gateway_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/loop"
)

// A node may end the connection right behind its 101: the tunnel brings what came before, and then the end.
func TestNodeThatSwitchesAndEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target string
		says   []string // each in a segment of its own, the last one with the end
		want   string
	}{
		"upgrade":             {upgradeTarget(aSID), []string{"101" + frame("3probe")}, frame("3probe")},
		"upgrade, nothing":    {upgradeTarget(aSID), []string{"101"}, ""},
		"direct connect":      {directTarget, []string{"101" + frame(openPacket("sid1"))}, frame(openPacket("sid1"))},
		"open packet follows": {directTarget, []string{"101", frame(openPacket("sid1"))}, frame(openPacket("sid1"))},
		"WebSocket elsewhere": {"/open", []string{"101" + frame("hello")}, frame("hello")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "n1", func(n *nodeConn, r *nodeRequest) {
				last := len(c.says) - 1
				for i, said := range c.says {
					if i == last {
						n.cork()
					}
					n.send(strings.Replace(said, "101", switching(r), 1))
				}
				n.CloseWrite()
			})
			s := startGateway(t, withNodes(node))
			s.bind(aSID, node)
			var clients sync.WaitGroup
			for range 30 {
				clients.Go(func() {
					client := dial(t, s.addr)
					client.websocket(c.target)
					if got := client.read(len(c.want)); got != c.want {
						t.Errorf("got %q", got)
					}
					client.closed()
				})
			}
			clients.Wait()
		})
	}
}

// cork holds back what is written next until the end, so that both come together.
func (c *nodeConn) cork() {
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) })
	}
	if err != nil {
		c.node.t.Error(err)
	}
}

// Close may come just when answers have been given and connections wait for the next request.
func TestCloseBetweenRequests(t *testing.T) {
	t.Parallel()
	for range 10 {
		release := make(chan struct{})
		node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
			<-release
			plainly(c, r)
		})
		s := startGateway(t, withNodes(node))
		clients := make([]*rawClient, 50)
		for i := range clients {
			clients[i] = raw(t, s.addr, get("/page"))
		}
		eventually(t, "all wait at the node", func() bool { return s.metric("sidway_leases") == float64(len(clients)) })
		close(release)
		clients[0].answer()
		s.Close()
		for _, c := range clients {
			c.ended()
		}
	}
}

// A sid that no store knows is asked for once.
func TestUnknownSIDIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	store := &wrapStore{Store: affinity.NewMemory(10)}
	s := startGateway(t, withNodes(node), withStore(store))
	if status, text := dial(t, s.addr).ask(get(pollTarget("unknown"))); status != 400 || !strings.Contains(text, "Session ID unknown") {
		t.Errorf("got %d %q", status, text)
	}
	if _, lookups := store.counts(); lookups != 1 {
		t.Errorf("looked up %d times", lookups)
	}
}

// A client that leaves ends its POST to a node that takes no more of it.
func TestClientThatLeavesEndsTheWrite(t *testing.T) {
	t.Parallel()
	l := narrow(t)
	s := startNarrow(t, l)
	body := strings.Repeat("a", 60_000)
	for _, streamed := range []bool{false, true} {
		length := lengthOf(body)
		if streamed {
			length = "Content-Length: 900000"
		}
		client := dial(t, s.addr)
		client.send(request("POST", pollTarget(aSID), body, length))
		accept(t, l, "POST /")
		client.SetLinger(0)
		client.Close()
		eventually(t, "the lease is given back", func() bool { return s.metric("sidway_leases") == 0 })
	}
}

// A client that has sent requests behind others may half-close, but not reset.
func TestResetBehindSeveralRequests(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", silent)
	s := startGateway(t, withNodes(node))
	s.bind(aSID, node)
	client := dial(t, s.addr)
	client.send(get(pollTarget(aSID)) + get("/page"))
	node.conn(0).await("sid=")
	client.SetLinger(0)
	client.Close()
	eventually(t, "the lease is given back", func() bool { return s.metric("sidway_leases") == 0 })
}

// A node that answers a POST of which it has taken a part gets no other request on that connection, for whose head the rest
// of the body would be taken.
func TestAnswerBeforeTheNodeTookAll(t *testing.T) {
	t.Parallel()
	l := narrow(t)
	s := startNarrow(t, l)
	client, body := dial(t, s.addr), strings.Repeat("a", 60_000)
	eventually(t, "the client is accepted", func() bool { return s.metric("sidway_connections") == 1 })
	s.inOneBatch(func() { client.send(request("POST", pollTarget(aSID), body, lengthOf(body))) })
	first := accept(t, l, "POST /")
	said := strings.Repeat("too large ", 20_000) // more than is read at once
	io.WriteString(first, answer(413, said))
	if r := client.answerTo("POST"); r.StatusCode != 413 || r.Text != said {
		t.Fatalf("got %d %.100q %v", r.StatusCode, r.Text, r.Err)
	}
	client.send(get("/page"))
	io.WriteString(accept(t, l, "GET /page"), answer(200, "hello"))
	if r := client.answer(); r.StatusCode != 200 || r.Text != "hello" {
		t.Errorf("got %d %q", r.StatusCode, r.Text)
	}
	if rest, _ := io.ReadAll(first); len(rest) >= len(body) {
		t.Errorf("the node took all %d bytes of the body, which proves nothing", len(rest))
	}
}

// A node that says to a part of a POST that it is at work gets the rest of it before its answer is waited for.
func TestInterimAnswerBeforeTheNodeTookAll(t *testing.T) {
	t.Parallel()
	l := narrow(t)
	client, body := dial(t, startNarrow(t, l).addr), strings.Repeat("a", 60_000)
	client.send(request("POST", pollTarget(aSID), body, lengthOf(body)))
	node := accept(t, l, "POST /")
	io.WriteString(node, "HTTP/1.1 103 Early Hints\r\n\r\n")
	got, b := "", make([]byte, 4096)
	for !strings.HasSuffix(got, "\r\n\r\n"+body) {
		n, err := node.Read(b)
		if got += string(b[:n]); err != nil {
			t.Fatalf("%v after %d bytes", err, len(got))
		}
	}
	io.WriteString(node, answer(200, "ok"))
	if client.start("POST").StatusCode != 103 {
		t.Error("no early hints")
	}
	if r := client.answerTo("POST"); r.StatusCode != 200 || r.Text != "ok" {
		t.Errorf("got %d %q", r.StatusCode, r.Text)
	}
}

// A client may take its answers piece by piece, up to the last one.
func TestLastAnswerIsTakenSlowly(t *testing.T) {
	t.Parallel()
	long := "4" + strings.Repeat("a", 60_000)
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) { c.send(answer(200, long)) })
	s := startGateway(t, withNodes(node))
	s.bind(aSID, node)
	slow := net.Dialer{Control: takesLittle}
	for n := range 10 {
		socket, err := slow.DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		conn := clientWire(socket)
		before, asked := node.wholeRequests(), 1+n/2
		io.WriteString(conn, strings.Repeat(get(pollTarget(aSID)), asked-1)+get(pollTarget(aSID), "Connection: close"))
		eventually(t, "the node has answered", func() bool { return node.wholeRequests() > before })
		if leaves := n%2 == 1; !leaves {
			conn.SetDeadline(time.Now().Add(patience))
			if all, err := io.ReadAll(conn); err != nil || strings.Count(string(all), "\r\n\r\n"+long) != asked {
				t.Errorf("%d bytes, %v", len(all), err)
			}
		}
		conn.Close()
	}
	eventually(t, "all are gone", func() bool { return s.metric("sidway_connections") == 0 })
}

// A client may leave just when its new session has been written to the store.
func TestClientThatLeavesWithItsSessionStored(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	leave := make(chan *rawClient, 1)
	store := &wrapStore{Store: affinity.NewMemory(10), onBind: func() {
		c := <-leave
		c.SetLinger(0)
		c.Close()
	}}
	s := startGateway(t, withNodes(node), withStore(store))
	for range 300 {
		c := dial(t, s.addr)
		leave <- c
		c.send(get(handshakeTarget))
	}
	eventually(t, "all are gone", func() bool { return s.metric("sidway_connections") == 0 })
	eventually(t, "no lease is left", func() bool { return s.metric("sidway_leases") == 0 })
	short, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if s.Drain(short); short.Err() != nil {
		t.Error("a request is still counted")
	}
}

// takesLittle has a socket take little before somebody reads.
func takesLittle(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 2048)
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 536)
	})
}

// inOneBatch does f while the loops do nothing, so that they find all that it sends at once.
func (s *site) inOneBatch(f func()) {
	var began sync.WaitGroup
	done := make(chan struct{})
	for _, l := range s.loops {
		began.Add(1)
		l.Send(pausing{&began, done})
	}
	began.Wait()
	f()
	close(done)
}

// pausing is a handler that keeps its loop from anything else.
type pausing struct {
	began *sync.WaitGroup
	done  <-chan struct{}
}

func (p pausing) Receive()             { p.began.Done(); <-p.done }
func (pausing) Event(int, loop.Events) {}

// narrow listens for connections that take little before somebody reads.
func narrow(t *testing.T) net.Listener {
	t.Helper()
	little := net.ListenConfig{Control: takesLittle}
	l, err := little.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// startNarrow serves a cluster with the node behind l alone, on which the session aSID lives.
func startNarrow(t *testing.T, l net.Listener) *site {
	t.Helper()
	node := l.Addr().String()
	c := cluster.New("c1", cluster.Settings{Nodes: []cluster.Config{{Name: "n1", Address: node, Weight: 1}}})
	s := startGateway(t, func(o *siteOptions) { o.routes = []gateway.Route{{Path: "/socket.io/", Cluster: c}} })
	s.bindAs(aSID, affinity.Binding{
		Node: "n1", Version: 4, PingInterval: time.Minute, PingTimeout: time.Minute, MaxPayload: 1e6,
	})
	return s
}

// accept returns the next connection, of which a request that begins like this has been received.
func accept(t *testing.T, l net.Listener, begins string) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	b := make([]byte, len(begins))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != begins {
		t.Fatalf("%q %v", b, err)
	}
	return c
}

// A client that leaves behind a long body is seen once the body has been forwarded.
func TestClientThatLeavesBehindALongBody(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		io.Copy(io.Discard, r.Body)
		<-c.gone
	})
	s := startGateway(t, withNodes(node))
	body := strings.Repeat("a", 100_000)
	for name, leave := range map[string]func(*rawClient){
		"closes": func(c *rawClient) { c.Close() },
		"ends":   func(c *rawClient) { c.CloseWrite() },
		"resets": func(c *rawClient) { c.SetLinger(0); c.Close() },
	} {
		for range 10 {
			client := dial(t, s.addr)
			client.send(request("PUT", "/page", body, lengthOf(body)))
			leave(client)
			eventually(t, name+": the connection is gone", func() bool { return s.metric("sidway_connections") == 0 })
			eventually(t, name+": the lease is given back", func() bool { return s.metric("sidway_leases") == 0 })
		}
	}
}

// A reset is seen although bytes of the client wait to be read, because the node takes no more of them.
func TestResetBehindABodyThatTheNodeDoesNotTake(t *testing.T) {
	t.Parallel()
	l := narrow(t)
	s := startNarrow(t, l)
	client := dial(t, s.addr)
	client.send(request("PUT", "/page", "", "Content-Length: 30000000"))
	accept(t, l, "PUT /page")
	client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	client.send(strings.Repeat("a", 20_000_000)) // until nobody takes more
	client.SetLinger(0)
	client.Close()
	eventually(t, "the lease is given back", func() bool { return s.metric("sidway_leases") == 0 })
}
