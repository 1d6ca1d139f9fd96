package gateway

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
)

// laneNode is a connection to a node on a lane: idle, or with the request of one c.
type laneNode struct {
	loop.Seat
	lane     *lane
	node     *cluster.Node
	client   *laneClient // nil: idle
	fd       int
	token    loop.Token
	unsent   []byte        // of the request
	readable bool          // the last read left no room: there may be more
	hup      bool          // the node sends no more than what waits to be read
	until    time.Duration // it may be used again
}

// Event implements loop.Handler.
func (s *laneNode) Event(_ int, events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.hup = true
	}
	if len(s.unsent) > 0 && !s.flush() {
		return
	}
	switch {
	case events&unix.EPOLLIN == 0 && !s.hup:
	case s.client != nil:
		s.read()
	case !loop.Quiet(s.fd):
		s.drop()
	}
}

// send writes a request, or leaves it for when the connection is made. It reports whether any of it was written.
func (s *laneNode) send(b []byte) (bool, error) {
	n, err := loop.Send(s.fd, b)
	if err != nil && err != unix.EAGAIN {
		return false, err
	}
	if n < len(b) {
		s.unsent = bytes.Clone(b[n:])
	}
	return n > 0, nil
}

// flush writes what is left of the request, and reports whether the connection still stands.
func (s *laneNode) flush() bool {
	n, err := loop.Send(s.fd, s.unsent)
	if err != nil && err != unix.EAGAIN {
		s.client.lost(errCut)
		return false
	}
	if s.unsent = s.unsent[n:]; n > 0 {
		s.client.sent()
	}
	return true
}

// read brings what the node sent to the c, to the end where there is one.
func (s *laneNode) read() {
	for r := s.client; ; {
		n, err := loop.Receive(s.fd, s.lane.loop.Shared)
		switch {
		case err == unix.EAGAIN:
			return
		case err != nil:
			r.lost(errCut)
			return
		}
		s.readable = n == len(s.lane.loop.Shared)
		r.hear(s.lane.loop.Shared[:n])
		if !s.hup || s.client != r || r.n != s {
			return
		}
	}
}

// free ends the c's use of the connection. It is kept if it can carry another request: if whole, which says that the
// answer was read to its end and nothing behind it, and if the node keeps it as well.
func (s *laneNode) free(p *http1.Response, whole bool) {
	s.client = nil
	keep := http1.KeepFor(p.KeepAlive)
	if !whole || p.Close || s.hup || len(s.unsent) > 0 || keep <= 0 || s.lane.closed {
		s.close()
		return
	}
	s.until = s.lane.loop.Now() + keep
	s.lane.idle[s.node] = append(s.lane.idle[s.node], s)
	if _, set := s.Timer(); !set {
		s.lane.loop.SetTimer(&s.Seat, s.until)
	}
}

// Expire implements loop.Handler: the connection may have been idle for too long.
func (s *laneNode) Expire() {
	switch {
	case s.client != nil: // set again when it is free
	case s.lane.loop.Now() < s.until:
		s.lane.loop.SetTimer(&s.Seat, s.until)
	default:
		s.drop()
	}
}

// Turn implements loop.Handler.
func (s *laneNode) Turn() {}

// Receive implements loop.Handler.
func (s *laneNode) Receive() {}

// drop closes an idle connection.
func (s *laneNode) drop() {
	idle := s.lane.idle[s.node]
	if i := slices.Index(idle, s); i >= 0 {
		s.lane.idle[s.node] = slices.Delete(idle, i, i+1)
	}
	s.close()
}

func (s *laneNode) close() {
	s.client = nil
	s.lane.loop.StopTimer(&s.Seat)
	s.lane.loop.Forget(s.token)
	unix.Close(s.fd)
}
