package gateway

import (
	"bytes"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// laneClient is a client on a lane.
type laneClient struct {
	loop.Seat
	*client
	fd    int
	token loop.Token
	stage stage
	limit time.Duration // when the stage ends by itself
	ends  time.Duration // when a client that has closed its side is waited for no longer; 0: it has not

	readable bool   // there may be bytes to read
	hup      bool   // the client sends no more than what waits to be read
	behind   []byte // received behind the request in hand
	unsent   []byte // of the answer
	last     bool   // the connection ends with the answer in hand

	x *exchange // the request in hand
	n *laneNode // that it was sent on
}

// stage is what a client on a lane waits for.
type stage uint8

const (
	resting  stage = iota // for a request
	storing               // for the store
	asking                // for a node's answer
	learning              // for the open packet behind a node's 101
	flushing              // until the client takes the answer
	left                  // for nothing: it is closed, a tunnel's or a goroutine's
)

// forever is the limit of a stage that something else ends.
const forever = time.Duration(math.MaxInt64)

func newLaneClient(c *client, fd int) *laneClient {
	lc := &laneClient{client: c, fd: fd}
	lc.Sit(lc)
	lc.waiter.holder = lc
	return lc
}

// Receive implements loop.Handler: the client comes from another goroutine.
func (c *laneClient) Receive() { c.arrive() }

// arrive puts the client on its lane.
func (c *laneClient) arrive() {
	err := errDeparted
	if !c.lane.closed {
		c.token, err = c.lane.loop.Watch(c.fd, c, 0)
	}
	if err != nil {
		c.stage = left
		sock.Close(c.fd)
		c.g.closed()
		return
	}
	c.lane.clients[c] = struct{}{}
	if c.surplus && c.lane.g.makeRoom(&c.lane.waiters, c.lane.loop.Clock()) {
		c.surplus, c.crowded = false, false
	}
	c.rest()
}

// yield implements waiter's holder.
func (c *laneClient) yield() { c.depart() }

// enter begins a stage that ends after d by itself. The timer is moved only towards sooner: one that comes too early is
// set anew then, so that the stages of a request do not cost a timer each.
func (c *laneClient) enter(s stage, d time.Duration) {
	c.stage, c.limit = s, forever
	if d != forever {
		c.limit = c.lane.loop.Now() + d
	}
	if c.ends > 0 && s != flushing {
		c.limit = min(c.limit, c.ends)
	}
	if c.limit == forever {
		return
	}
	if when, set := c.Timer(); !set || c.limit < when {
		c.lane.loop.SetTimer(&c.Seat, c.limit)
	}
}

// rest waits for the next request.
func (c *laneClient) rest() {
	idle := c.idleTime()
	if c.crowded {
		idle = min(idle, crowdedTime)
	}
	c.enter(resting, idle)
	c.lane.waiters.add(c.client, c.lane.loop.Clock())
}

// Event implements loop.Handler.
func (c *laneClient) Event(_ int, events loop.Events) {
	if events&loop.Hup != 0 {
		c.hup, c.readable = true, true
	}
	if events&loop.Readable != 0 {
		c.readable = true
	}
	switch c.stage {
	case resting:
		c.read()
	case flushing:
		c.flush()
	case left:
	default:
		if c.hup {
			c.lookForEnd()
		}
	}
}

// read takes up what has been received while no request is in hand.
func (c *laneClient) read() {
	for c.stage == resting && c.readable {
		b := c.lane.loop.Shared
		n, err := sock.Receive(c.fd, b)
		switch {
		case err == unix.EAGAIN:
			c.readable = false
		case err != nil:
			c.depart()
		default:
			// A read that leaves room has emptied the socket, but for an end that was told already.
			c.readable = n == len(b) || c.hup
			c.begin(b[:n])
		}
	}
}

// lookForEnd ends the request of a client that closed its connection. One that only half-closed it behind several requests has
// asked for more and waits for the answers, for halfTime.
func (c *laneClient) lookForEnd() {
	n, err := unread(c.fd)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err == nil && (n > 0 || c.waits.Load()):
		c.waits.Store(true)
		if c.ends == 0 {
			c.ends = c.lane.loop.Now() + halfTime
			c.enter(c.stage, min(c.limit, c.ends)-c.lane.loop.Now())
		}
	default:
		c.depart()
	}
}

// Turn implements loop.Handler.
func (c *laneClient) Turn() {}

// Expire implements loop.Handler.
func (c *laneClient) Expire() {
	if now := c.lane.loop.Now(); now < c.limit {
		if c.limit != forever {
			c.lane.loop.SetTimer(&c.Seat, c.limit)
		}
		return
	}
	if c.ends > 0 && c.lane.loop.Now() >= c.ends && c.stage != flushing {
		c.depart()
		return
	}
	switch c.stage {
	case resting, flushing:
		c.depart()
	case asking:
		if !c.x.sentAt.IsZero() && c.x.waitsOn() {
			c.enter(asking, c.x.answerTime())
			return
		}
		c.lost(errSilent)
	case learning:
		c.lost(errSilent)
	}
}

// write sends b, and keeps what the client does not take. It reports whether the client is still there.
func (c *laneClient) write(b []byte) bool {
	n, err := sock.Send(c.fd, b)
	if err != nil && err != unix.EAGAIN {
		return false
	}
	c.x.bytes += int64(n)
	if n < len(b) {
		c.unsent = bytes.Clone(b[n:])
	}
	return true
}

// flush writes what the client did not take.
func (c *laneClient) flush() {
	n, err := sock.Send(c.fd, c.unsent)
	if err != nil && err != unix.EAGAIN {
		c.depart()
		return
	}
	c.x.bytes += int64(n)
	if c.unsent = c.unsent[n:]; len(c.unsent) > 0 {
		return
	}
	c.unsent = nil
	c.done()
}

// done ends the request, whose answer has been written, and takes up what follows.
func (c *laneClient) done() {
	c.endRequest()
	if c.last {
		c.depart()
		return
	}
	c.rest()
	if len(c.behind) > 0 {
		b := c.lane.loop.Shared
		b = b[:copy(b, c.behind)]
		c.behind = nil
		c.begin(b)
	}
	c.read()
}

// endRequest lets go of the request in hand.
func (c *laneClient) endRequest() {
	c.x.logAccess()
	c.x.recycle()
	c.x = nil
	c.g.active.Add(-1)
}

// depart closes the connection and ends what is done for the client.
func (c *laneClient) depart() {
	if c.stage == left {
		return
	}
	waits := c.stage == storing
	if len(c.unsent) > 0 {
		c.x.route.Cluster.Sessions.End(c.x.open.SID) // the client never learned of it
	}
	c.dropNode()
	c.getOff()
	c.lane.loop.Forget(c.token)
	sock.Close(c.fd)
	c.g.closed()
	if c.x != nil && !waits { // what waits for the store is let go of when that has answered
		c.x.leave()
		c.endRequest()
	}
}

// dropNode closes the connection to the node, whose answer is not waited for any more.
func (c *laneClient) dropNode() {
	if c.n != nil {
		c.n.close()
		c.n = nil
	}
}

// getOff takes the client off its lane.
func (c *laneClient) getOff() {
	c.stage = left
	c.waiter.leave()
	c.lane.loop.StopTimer(&c.Seat)
	delete(c.lane.clients, c)
}

// store has a goroutine do something with the store for the request in hand, and then goes on, if the client is still
// there.
func (c *laneClient) store(work func(), then func()) {
	c.enter(storing, forever)
	c.g.serving.Add(1)
	go func() {
		if !c.g.guarded(work) {
			then = c.depart
		}
		c.lane.loop.Send(stored{c, then})
	}()
	if c.hup {
		c.lookForEnd()
	}
}

// stored is a client whose request has waited for the store, with what is to be done then.
type stored struct {
	*laneClient
	then func()
}

// Receive implements loop.Handler.
func (s stored) Receive() {
	defer s.g.serving.Done()
	if s.stage == left {
		s.x.leave()
		s.endRequest()
		return
	}
	s.stage = asking
	s.then()
}

// Fail implements loop.Failer.
func (c *laneClient) Fail() { c.depart() }

// handOver leaves the client to a goroutine, with the rest of what is to be done for its request and the lease on its node.
// It reports false where that cannot be; the client is gone then.
func (c *laneClient) handOver(rest func(*exchange) after) bool { return c.toGoroutine(rest, c.behind) }

// anew has a goroutine send the request, of which no node can have read anything.
func (c *laneClient) anew() {
	c.x.leave()
	c.handOver((*exchange).proceed)
}

// fail has a goroutine answer the request, for the given cause.
func (c *laneClient) fail(cause engineio.Cause) {
	c.handOver(func(x *exchange) after { return x.fail(cause) })
}

// toGoroutine gives the client a goroutine, which begins with what is left to do for the request in hand, if there is one,
// and reads on with early. It reports as handOver does.
func (c *laneClient) toGoroutine(rest func(*exchange) after, early []byte) bool {
	c.getOff()
	c.lane.loop.Release(c.token, c.fd)
	conn, err := c.lane.loop.Conn(c.fd)
	if err != nil {
		c.g.Log.Warn("a connection cannot be served", "error", err)
	}
	if err != nil || !c.g.enter(c.client, conn, early) {
		c.g.closed()
		if c.x != nil {
			c.x.leave()
			c.endRequest()
		}
		return false
	}
	if c.hup {
		c.halfClosed() // not before hold has made what its timer uses
	}
	go c.g.serve(c.client, c.x, rest)
	return true
}

// nodeToGoroutine returns the connection to the node, on which b was received last, for a goroutine; nil where no
// descriptor is left.
func (c *laneClient) nodeToGoroutine(b []byte) *http1.Conn {
	n := c.n
	c.n, n.client = nil, nil
	c.lane.loop.StopTimer(&n.Seat)
	c.lane.loop.Release(n.token, n.fd)
	conn, err := c.lane.loop.Conn(n.fd)
	if err != nil {
		return nil
	}
	return http1.Adopt(conn, b)
}
