package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// Bytes behind an answer that fills the buffer to the brim belong to no answer.
func TestSurplusBehindAFullBuffer(t *testing.T) {
	t.Parallel()
	surplus := answer(200, "4not yours")
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if c != c.node.conn(0) {
			c.send(answer(200, "6"))
			return
		}
		const buffer = 64 << 10
		body := buffer - len(head(200, "Content-Length: 65000"))
		c.send(head(200, fmt.Sprintf("Content-Length: %d", body)) + strings.Repeat("a", body) + surplus)
	})
	s := startGateway(t, withNodes(node))
	s.bind(aSID, node)
	c := dial(t, s.addr)
	for n := range 5 {
		c.send(get(pollTarget(aSID)))
		if r := c.answer(); strings.Contains(r.Text, "not yours") || n > 0 && r.Text != "6" {
			t.Errorf("got %d %.50q", r.StatusCode, r.Text)
		}
	}
}

// A node may send bytes behind its answer at any time, even when a loop has already been told of the request that uses the
// connection next.
func TestSurplusJustBeforeTheNextUse(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { c.send(answer(200, "6")) })
	s := startGateway(t, withNodes(node))
	s.bind(aSID, node)
	c := dial(t, s.addr)
	c.expect(get(pollTarget(aSID)), 200, "6")
	surplus := func() { node.conn(0).send(answer(200, "4not yours")) }
	if loop.EarlyHup { // epoll: events come in the order in which they happened
		ours, theirs := socketPair(t)
		l := s.loops[0] // the first connection's
		l.Send(watching{l: l, fd: ours, event: surplus})
		s.inOneBatch(func() {
			unix.Write(theirs, []byte("x"))
			c.send(get(pollTarget(aSID)))
		})
	} else {
		s.inOneBatch(func() {
			surplus()
			c.send(get(pollTarget(aSID)))
		})
	}
	c.expect("", 200, "6")
}

// A node that sends what nobody asked for could do so at any time, so that for a while no connection to it is used twice.
func TestNodeThatSendsUnasked(t *testing.T) {
	t.Parallel()
	surplus := answer(200, "not yours")
	for name, c := range map[string]struct {
		first, later string // what it sends with its first answer, and when its connection is idle
		told         bool
	}{
		"at once":        {surplus, "", true},
		"later":          {"", surplus, true},
		"a byte":         {"", "4", true},
		"408 at the end": {"", head(408, "Content-Length: 0", "Connection: close"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "n1", func(n *nodeConn, r *nodeRequest) {
				said := answer(200, r.URL.Path)
				if n == n.node.conn(0) {
					said += c.first
				}
				n.send(said)
			})
			s := startGateway(t, withNodes(node))
			client := dial(t, s.addr)
			ask := func(path string, conns int) {
				t.Helper()
				client.expect(get(path), 200, path)
				s.inOneBatch(func() {}) // the loop is done with the answer
				if n := len(node.all()); n != conns {
					t.Errorf("%s: the node has got %d connections, want %d", path, n, conns)
				}
			}
			ask("/a", 1)
			node.conn(0).send(c.later)
			node.conn(0).awaitEnd()
			ask("/b", 2)
			if !c.told {
				if ask("/c", 2); len(s.faults()) != 0 {
					t.Errorf("told: %+v", s.faults())
				}
				return
			}
			if f := s.faults(); len(f) != 1 || f[0].Reason != "unasked_bytes" || f[0].Subject != "n1" || f[0].Cluster != "c1" {
				t.Errorf("told: %+v", f)
			}
			ask("/c", 3)
			s.clusters[0].Nodes()[0].Unasked.Add(-int64(time.Minute)) // goes by
			ask("/d", 4)
			ask("/e", 4)
		})
	}
}

func socketPair(t *testing.T) (int, int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
	return pair[0], pair[1]
}

// watching is a handler that has its loop watch fd, and calls event when there is something to read for the first time.
type watching struct {
	l     *loop.Loop
	fd    int
	event func()
}

func (w watching) Receive() { w.l.Watch(w.fd, w, 0) }

func (w watching) Event(_ int, events loop.Events) {
	if events&loop.Readable != 0 {
		sock.Receive(w.fd, w.l.Shared)
		w.event()
	}
}
