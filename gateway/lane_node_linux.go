package gateway

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// laneNode is a connection to a node on a lane: idle, or with the request of one client.
type laneNode struct {
	loop.Seat
	lane     *lane
	node     *cluster.Node
	client   *laneClient // nil: idle
	fd       int
	token    loop.Token
	unsent   []byte        // of the request
	readable bool          // the last read left no room: there may be more
	reused   bool          // it has carried a request before
	hup      bool          // the node sends no more than what waits to be read
	until    time.Duration // it may be used again
	closed   bool
}

// Event implements loop.Handler.
func (n *laneNode) Event(_ int, events loop.Events) {
	if events&loop.Hup != 0 {
		n.hup = true
	}
	if len(n.unsent) > 0 && !n.flush() {
		return
	}
	switch {
	case events&loop.Readable == 0 && !n.hup:
	case n.client != nil:
		n.read()
	case !sock.Quiet(n.fd):
		n.drop()
	}
}

// Fail implements loop.Failer.
func (n *laneNode) Fail() {
	if n.client != nil {
		n.client.Fail()
		return
	}
	n.drop()
}

// send writes a request, or leaves it for when the connection is made. It reports whether any of it was written.
func (n *laneNode) send(b []byte) (bool, error) {
	wrote, err := sock.Send(n.fd, b)
	if err != nil && err != unix.EAGAIN {
		return false, err
	}
	if wrote < len(b) {
		n.unsent = bytes.Clone(b[wrote:])
	}
	return wrote > 0, nil
}

// flush writes what is left of the request, and reports whether the connection still stands.
func (n *laneNode) flush() bool {
	wrote, err := sock.Send(n.fd, n.unsent)
	if err != nil && err != unix.EAGAIN {
		n.client.lost(errCut)
		return false
	}
	if n.unsent = n.unsent[wrote:]; wrote > 0 {
		n.client.sent()
	}
	return true
}

// read brings what the node sent to the client, to the end where there is one.
func (n *laneNode) read() {
	for c := n.client; ; {
		got, err := sock.Receive(n.fd, n.lane.loop.Shared)
		switch {
		case err == unix.EAGAIN:
			return
		case err != nil && n.reused && c.stage == asking && c.x.mayBeUnread(err):
			c.lost(errUnsent)
			return
		case err != nil:
			c.lost(errCut)
			return
		}
		n.readable = got == len(n.lane.loop.Shared)
		if !n.lane.g.guarded(func() { c.hear(n.lane.loop.Shared[:got]) }) { // n may be another's, or closed, by now
			c.Fail()
			return
		}
		if !n.hup || n.client != c || c.n != n {
			return
		}
	}
}

// free ends the client's use of the connection. It is kept if it can carry another request: if whole, which says that the
// answer was read to its end and nothing behind it, and if the node keeps it as well.
func (n *laneNode) free(p *http1.Response, whole bool) {
	n.client = nil
	keep := http1.KeepFor(p.KeepAlive)
	if !whole || n.readable || p.Close || n.hup || len(n.unsent) > 0 || keep <= 0 || n.lane.closed || !n.lane.mayKeep() {
		n.close()
		return
	}
	n.reused = true
	n.until = n.lane.loop.Now() + keep
	n.lane.idle[n.node] = append(n.lane.idle[n.node], n)
	n.lane.idling++
	if _, set := n.Timer(); !set {
		n.lane.loop.SetTimer(&n.Seat, n.until)
	}
}

// Expire implements loop.Handler: the connection may have been idle for too long.
func (n *laneNode) Expire() {
	switch {
	case n.client != nil: // set again when it is free
	case n.lane.loop.Now() < n.until:
		n.lane.loop.SetTimer(&n.Seat, n.until)
	default:
		n.drop()
	}
}

// Turn implements loop.Handler.
func (n *laneNode) Turn() {}

// Receive implements loop.Handler.
func (n *laneNode) Receive() {}

// drop closes an idle connection.
func (n *laneNode) drop() {
	idle := n.lane.idle[n.node]
	if i := slices.Index(idle, n); i >= 0 {
		n.lane.idle[n.node] = slices.Delete(idle, i, i+1)
		n.lane.idling--
	}
	n.close()
}

func (n *laneNode) close() {
	if n.client = nil; n.closed {
		return
	}
	n.closed = true
	n.lane.loop.StopTimer(&n.Seat)
	n.lane.loop.Forget(n.token)
	sock.Close(n.fd)
}
