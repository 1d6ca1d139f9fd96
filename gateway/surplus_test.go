package gateway_test

import (
	"fmt"
	"strings"
	"testing"

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
