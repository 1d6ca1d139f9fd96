package gateway

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/pace"
)

const (
	// paceTime is how long a handshake waits for its turn: the reference client gives it up after 20 s.
	paceTime = 15 * time.Second
	// paceTick is how long a token may lie there before it is used: with a high pace several are given out at once.
	paceTick = time.Millisecond
)

// turnstile is where requests for a session wait that come faster than the pace of a cluster's nodes allows. It lets them through
// as tokens come, in turn between client addresses. Whatever else lets them go on, such as a node that is back or another pace, is
// found within retryPause. One timer serves all that wait.
type turnstile struct {
	cluster *cluster.Cluster
	waits   prometheus.Observer
	length  atomic.Int64 // of queue

	mu    sync.Mutex
	queue pace.Queue[netip.Prefix, *turn]
	timer *time.Timer
}

// turn is a request that waits at a turnstile.
type turn struct {
	*clientConn
	since time.Time
	key   string // of Hash

	// Guarded by the turnstile's mu.
	place   pace.Place[netip.Prefix]
	over    bool          // it stands in the queue no more
	node    *cluster.Node // that it was let through to; nil: it has to look again
	refused bool          // it has given way to somebody else
}

// join has t wait. in is how long it takes until somebody is let through, as far as the caller knows.
func (s *turnstile) join(t *turn, client netip.Prefix, in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.place = s.queue.Push(client, t)
	if s.length.Add(1) == 1 {
		s.serveIn(in)
	}
}

// leave takes t out, if it is still there. Otherwise what it was told is on its way, and holds.
func (s *turnstile) leave(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.over {
		s.remove(t)
	}
}

// serveIn needs mu.
func (s *turnstile) serveIn(d time.Duration) {
	d = min(max(d, paceTick), retryPause)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.serve)
		return
	}
	s.timer.Reset(d)
}

// serve lets through whoever may go on.
func (s *turnstile) serve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, ok := s.queue.First(); ok; t, ok = s.queue.First() {
		n, err := s.cluster.Pick(cluster.Want{Key: t.key})
		if paced, ok := errors.AsType[cluster.PacedError](err); ok {
			s.serveIn(paced.Wait)
			return
		}
		t.node = n
		s.queue.Rotate()
		s.remove(t)
		t.d.loop.Send(t)
	}
}

// makeRoom sends the last one of the address that has most waiting away, if that is more than client has, and reports whether it did.
func (s *turnstile) makeRoom(client netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.queue.Longest(client)
	if ok {
		t.refused = true
		s.remove(t)
		t.d.loop.Send(t)
	}
	return ok
}

// remove needs mu.
func (s *turnstile) remove(t *turn) {
	t.over = true
	s.queue.Remove(t.place)
	if s.length.Add(-1) == 0 {
		s.timer.Stop()
	}
	s.waits.Observe(time.Since(t.since).Seconds())
}

// waitForTurn has the request wait at the turnstile.
func (c *clientConn) waitForTurn(in time.Duration) {
	x := c.x
	now := time.Now()
	if x.pacedAt.IsZero() {
		x.pacedAt = now
	}
	left := c.g.paceTime - now.Sub(x.pacedAt)
	if left <= 0 {
		c.fail(engineio.Paced)
		return
	}
	x.turn = &turn{clientConn: c, since: now, key: strings.Clone(x.HashKey())}
	x.route.turns.join(x.turn, clientPrefix(x.Origin().IP), in)
	c.hold(left, c.turnMissed)
}

// Receive implements loop.Receiver: it is the request's turn.
func (t *turn) Receive() {
	if t.x == nil || t.x.turn != t { // it has gone on before that was known to it
		return
	}
	t.myTurn()
	t.advance()
}

// turnMissed ends a wait that took too long.
func (c *clientConn) turnMissed() {
	t := c.x.turn
	if c.x.route.turns.leave(t); t.node != nil {
		c.myTurn()
		return
	}
	c.x.turn = nil
	c.fail(engineio.Paced)
}

// myTurn goes on with what the turnstile has settled.
func (c *clientConn) myTurn() {
	x, t := c.x, c.x.turn
	x.turn = nil
	x.ready = x.ready.Add(time.Since(t.since)) // a wait that is wanted is no overhead
	switch {
	case t.refused:
		c.fail(engineio.Paced)
	case t.node == nil:
		c.choose()
	default:
		x.Node, x.Reserved = t.node, true
		c.ask()
	}
}

// leaveTurn gives up what the request waits for at the turnstile, or what it was let through to and has not heard of.
func (x *exchange) leaveTurn() {
	t := x.turn
	if t == nil {
		return
	}
	x.turn = nil
	if x.route.turns.leave(t); t.node != nil {
		x.route.Cluster.Unpick(t.node)
	}
}
