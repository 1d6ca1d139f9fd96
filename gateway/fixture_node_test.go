package gateway_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scriptedNode is a node that is nothing but sockets: it records each byte that it gets on each connection and what
// became of the connection, and lets a function answer each request in raw bytes.
type scriptedNode struct {
	t      testing.TB
	name   string
	addr   string
	l      net.Listener
	answer answerer

	mu     sync.Mutex
	conns  []*nodeConn
	closed bool
	came   chan struct{} // closed and made anew with each connection
	work   sync.WaitGroup
}

// answerer answers one request on c: it may write to c, wait for <-c.gone, cut or reset it. What it leaves of the
// body is read by the node afterwards.
type answerer func(c *nodeConn, r *nodeRequest)

// nodeRequest is a request as net/http reads it. Head is it as it came.
type nodeRequest struct {
	*http.Request
	Head string
	N    int // which one of its connection, from 0
}

// nodeConn is one connection that the gateway made.
type nodeConn struct {
	*wire
	node *scriptedNode
	gone chan struct{} // closed when the gateway closed or reset it, or the test is over

	mu    sync.Mutex
	more  *sync.Cond
	got   []byte
	ended error // io.EOF: closed; ECONNRESET: reset
}

// startNode serves until the test ends. Without an answerer it answers like plainly.
func startNode(t testing.TB, name string, answer answerer) *scriptedNode {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if answer == nil {
		answer = plainly
	}
	n := &scriptedNode{t: t, name: name, addr: l.Addr().String(), l: l, answer: answer, came: make(chan struct{})}
	n.work.Go(n.accept)
	t.Cleanup(n.stop)
	return n
}

// stop refuses further connections and cuts those that are there.
func (n *scriptedNode) stop() {
	n.l.Close()
	n.mu.Lock()
	n.closed = true
	for _, c := range n.conns {
		c.Close()
	}
	n.mu.Unlock()
	n.work.Wait()
}

func (n *scriptedNode) accept() {
	for {
		conn, err := n.l.Accept()
		if err != nil {
			return
		}
		c := &nodeConn{wire: nodeWire(conn), node: n, gone: make(chan struct{})}
		c.more = sync.NewCond(&c.mu)
		n.mu.Lock()
		n.conns = append(n.conns, c)
		if n.closed {
			c.Close()
		}
		close(n.came)
		n.came = make(chan struct{})
		n.mu.Unlock()
		n.work.Go(c.record)
		n.work.Go(c.serve)
	}
}

// record reads all that comes until the connection ends.
func (c *nodeConn) record() {
	defer close(c.gone)
	buf := make([]byte, 64<<10)
	for {
		m, err := c.Read(buf)
		c.mu.Lock()
		c.got = append(c.got, buf[:m]...)
		if err != nil {
			c.ended = err
		}
		c.more.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// tape reads what was recorded from an offset on, and waits for more.
type tape struct {
	c   *nodeConn
	off int
}

func (p *tape) Read(b []byte) (int, error) {
	c := p.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for p.off == len(c.got) {
		if c.ended != nil {
			return 0, io.EOF
		}
		c.more.Wait()
	}
	m := copy(b, c.got[p.off:])
	p.off += m
	return m, nil
}

func (c *nodeConn) serve() {
	p := &tape{c: c}
	br := bufio.NewReader(p)
	for i := 0; ; i++ {
		start := p.off - br.Buffered()
		r, err := http.ReadRequest(br)
		if err != nil {
			c.send(answer(400, "not a request", "Connection: close")) // as a real node; a gateway that left reads nothing
			return
		}
		head, _, _ := bytes.Cut(c.bytes()[start:], []byte("\r\n\r\n"))
		c.node.answer(c, &nodeRequest{Request: r, Head: string(head) + "\r\n", N: i})
		if r.Header.Get("Upgrade") != "" {
			return // whatever comes now is recorded and is no request
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
	}
}

// send writes raw bytes; that the gateway has gone already is no fault of the node.
func (c *nodeConn) send(s string) { io.WriteString(c, s) }

// cut ends the connection in order, reset at once.
func (c *nodeConn) cut() { c.Close() }

func (c *nodeConn) reset() {
	c.SetLinger(0)
	c.Close()
}

// bytes returns all that came so far.
func (c *nodeConn) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[:len(c.got):len(c.got)]
}

// await waits until the connection has received s.
func (c *nodeConn) await(s string) {
	c.node.t.Helper()
	eventually(c.node.t, fmt.Sprintf("%s: %q; got %q", c.node.name, s, tail(c.bytes())), func() bool {
		return bytes.Contains(c.bytes(), []byte(s))
	})
}

// awaitEnd waits until the gateway has ended the connection, and reports whether it did so by a reset.
func (c *nodeConn) awaitEnd() (reset bool) {
	c.node.t.Helper()
	select {
	case <-c.gone:
	case <-time.After(patience):
		c.node.t.Fatalf("%s: the gateway did not end its connection; got %q", c.node.name, tail(c.bytes()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Is(c.ended, syscall.ECONNRESET)
}

// open reports whether the gateway has left the connection open so far.
func (c *nodeConn) open() bool {
	select {
	case <-c.gone:
		return false
	default:
		return true
	}
}

// wholeRequests counts the requests that came with all of their bodies, as net/http reads them.
func (c *nodeConn) wholeRequests() int {
	br := bufio.NewReader(bytes.NewReader(c.bytes()))
	for n := 0; ; n++ {
		r, err := http.ReadRequest(br)
		if err != nil {
			return n
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return n
		}
	}
}

// all returns the connections that came so far.
func (n *scriptedNode) all() []*nodeConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*nodeConn(nil), n.conns...)
}

// conn waits for the connection of that number, from 0.
func (n *scriptedNode) conn(i int) *nodeConn {
	n.t.Helper()
	late := time.After(patience)
	for {
		n.mu.Lock()
		came := n.came
		if i < len(n.conns) {
			defer n.mu.Unlock()
			return n.conns[i]
		}
		n.mu.Unlock()
		select {
		case <-came:
		case <-late:
			n.t.Fatalf("%s: connection %d did not come", n.name, i)
		}
	}
}

// received returns what came on all connections together.
func (n *scriptedNode) received() string {
	var b strings.Builder
	for _, c := range n.all() {
		b.Write(c.bytes())
	}
	return b.String()
}

// wholeRequests counts the whole requests on all connections.
func (n *scriptedNode) wholeRequests() int {
	sum := 0
	for _, c := range n.all() {
		sum += c.wholeRequests()
	}
	return sum
}

// tail is the end of what may be long, for a message.
func tail(b []byte) []byte { return b[max(0, len(b)-500):] }
