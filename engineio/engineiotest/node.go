// Package engineiotest is a small real Engine.IO node on loopback for tests of what stands before nodes: both
// revisions, polling with JSONP, WebSockets, upgrades, pings and CORS, and the strictness that makes sessions fragile
// (a second concurrent poll or an aborted one ends the session). It echoes messages, writes down what it received, and
// can be told to misbehave.
//
//	n := engineiotest.Start(t, engineiotest.Options{})
//	// … a client talks to n.URL() …
//	n.WaitUntil("the poll is aborted", func() bool { return n.Ended(sid) == engineiotest.PollAborted })
//
// It knows nothing of Socket.IO, does not compress, and is not meant to be fast.
package engineiotest

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// Options are how a node differs from Node's engine.io 6 with its defaults.
type Options struct {
	PingInterval    time.Duration // 0 for 25 s
	PingTimeout     time.Duration // 0 for 20 s
	MaxPayload      int64         // bytes in a POST, 0 for 1,000,000
	NoEIO3          bool          // refuses revision 3
	NoUpgrades      bool          // offers none and refuses those that come
	Bytes           bool          // frames payloads of revision 3 as bytes, as old servers do where the client takes them
	Silent          bool          // does not echo
	StrictPreflight bool          // answers 400 to a preflight with an unknown sid, as old servers do
	SID             func() string // makes sids, nil for 20 random characters
	Greeting        string        // a message that follows the open packet in the same payload, "" for none
	KeepAlive       time.Duration // announced, and kept, for idle connections; 0 announces nothing and keeps them
}

// Request is one request as it came in. It is written down before it is answered.
type Request struct {
	Method string
	Target string // as sent: path and query
	Host   string
	Header http.Header
	Body   []byte // of POSTs
	Remote string // the address of the connection's other end
}

// Node is a running node. Its methods may be called concurrently.
type Node struct {
	tb      testing.TB
	o       Options
	addr    string
	serving sync.WaitGroup

	mu       sync.Mutex
	server   *http.Server
	down     bool
	conns    map[*tracked]struct{}
	sessions map[string]*session
	ended    map[string]Reason
	messages map[string][]string
	requests []Request
	script   func(http.ResponseWriter, *http.Request) bool
	held     chan struct{} // closed when requests go on, nil while they are not held
	changed  chan struct{} // closed at the next change, nil while nobody waits for one
}

// Start starts a node on a free port of 127.0.0.1 and closes it when the test ends.
func Start(tb testing.TB, o Options) *Node {
	tb.Helper()
	if o.PingInterval == 0 {
		o.PingInterval = 25 * time.Second
	}
	if o.PingTimeout == 0 {
		o.PingTimeout = 20 * time.Second
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 1_000_000
	}
	if o.SID == nil {
		o.SID = randomSID
	}
	n := &Node{tb: tb, o: o, addr: "127.0.0.1:0", ended: map[string]Reason{}, messages: map[string][]string{}}
	n.Up()
	tb.Cleanup(n.Down)
	return n
}

// Addr returns the node's host and port, which stay the same through Down and Up.
func (n *Node) Addr() string { return n.addr }

// URL returns the node's address as http://host:port.
func (n *Node) URL() string { return "http://" + n.addr }

// Up starts a node that is down: on its old address, with no session.
func (n *Node) Up() {
	n.tb.Helper()
	listener, err := net.Listen("tcp", n.addr)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.addr = listener.Addr().String()
	server := &http.Server{Handler: n, IdleTimeout: n.o.KeepAlive}
	n.mu.Lock()
	n.server = server
	n.down = false
	n.conns = map[*tracked]struct{}{}
	n.sessions = map[string]*session{}
	n.mu.Unlock()
	n.serving.Go(func() {
		if err := server.Serve(&tracker{listener, n}); !errors.Is(err, http.ErrServerClosed) {
			n.tb.Error(err)
		}
	})
}

// Down ends the node like a SIGKILL: connections are reset, new ones refused, sessions forgotten. It returns when
// nothing of the node runs any more; a script must end with its request's context.
func (n *Node) Down() {
	n.mu.Lock()
	n.down = true
	for _, s := range n.sessions {
		n.endLocked(s, NodeDown)
	}
	conns := slices.Collect(maps.Keys(n.conns))
	server := n.server
	n.mu.Unlock()
	for _, conn := range conns {
		_ = conn.SetLinger(0)
		conn.Close()
	}
	server.Close()
	n.serving.Wait()
}

// tracker is the listener; it knows the open connections, those of WebSockets too, which the server forgets.
type tracker struct {
	net.Listener
	n *Node
}

type tracked struct {
	*net.TCPConn
	n *Node
}

// Accept waits for the next connection.
func (t *tracker) Accept() (net.Conn, error) {
	conn, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &tracked{conn.(*net.TCPConn), t.n}
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	t.n.conns[c] = struct{}{}
	t.n.changeLocked()
	return c, nil
}

// Close closes the connection, which may be closed already.
func (c *tracked) Close() error {
	c.n.mu.Lock()
	delete(c.n.conns, c)
	c.n.changeLocked()
	c.n.mu.Unlock()
	return c.TCPConn.Close()
}

// Connections returns how many connections are open, those of WebSockets included.
func (n *Node) Connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// Script sets what sees each request first, and replaces it by true or leaves it to the node by false; nil ends that.
// A request is written down before the script sees it.
func (n *Node) Script(f func(http.ResponseWriter, *http.Request) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.script = f
}

// Hold makes the node silent: requests are taken and written down, but neither handled nor answered until release is
// called, which may be more than once. Requests that wait already and WebSockets go on.
func (n *Node) Hold() (release func()) {
	held := make(chan struct{})
	n.mu.Lock()
	n.held = held
	n.mu.Unlock()
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		close(held)
		n.held = nil
	})
}

// Requests returns what was received since the start, in order.
func (n *Node) Requests() []Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.requests)
}

// Sessions returns the sids of the live sessions.
func (n *Node) Sessions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	sids := make([]string, 0, len(n.sessions))
	for sid := range n.sessions {
		sids = append(sids, sid)
	}
	return sids
}

// Ended returns why a session ended, "" while it lives or if it never did.
func (n *Node) Ended(sid string) Reason {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended[sid]
}

// Polling reports whether a poll of the session waits here for its answer.
func (n *Node) Polling(sid string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[sid]
	return s != nil && s.polling
}

// Upgraded reports whether a live session runs over a WebSocket.
func (n *Node) Upgraded(sid string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[sid]
	return s != nil && s.upgraded
}

// Send sends a text message to a session, and reports whether there is such a session.
func (n *Node) Send(sid, message string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[sid]
	if s != nil {
		s.pushLocked(packet{kind: '4', data: []byte(message)})
	}
	return s != nil
}

// Messages returns the data of the messages that a session has received, in order, also after its end.
func (n *Node) Messages(sid string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.messages[sid])
}

// End closes a session from the node's side, with a close packet to a polling client and a close frame to a WebSocket.
// A polling session without a poll stays until the next one takes the close packet away.
func (n *Node) End(sid string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch s := n.sessions[sid]; {
	case s == nil:
	case s.polling || s.upgraded:
		n.endLocked(s, NodeClosed)
	default:
		s.closing = true
	}
}

// WaitUntil returns when cond holds, which is asked at each change of the node. It fails the test after ten seconds.
func (n *Node) WaitUntil(what string, cond func() bool) {
	n.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		n.mu.Lock()
		if n.changed == nil {
			n.changed = make(chan struct{})
		}
		changed := n.changed
		n.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			n.tb.Fatalf("waited in vain until %s", what)
		}
	}
}

// changeLocked wakes those who wait for a change.
func (n *Node) changeLocked() {
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}
