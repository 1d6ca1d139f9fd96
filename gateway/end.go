package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/recovery"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

// This file writes to clients, and ends requests and connections.

// write sends b, and keeps what the client does not take. It reports whether the client is still there.
func (c *clientConn) write(b []byte) bool {
	if len(c.unsent.b) > 0 {
		c.unsent.add(b)
		return true
	}
	n, err := c.d.loop.Write(c.token, c.fd, b)
	if err != nil && err != sock.Again {
		return false
	}
	if c.x != nil {
		c.x.bytes += int64(n)
	}
	if n < len(b) {
		c.unsent.add(b[n:])
	}
	return true
}

// flush writes what the client did not take.
func (c *clientConn) flush() {
	n, err := c.d.loop.Write(c.token, c.fd, c.unsent.b)
	if err != nil && err != sock.Again {
		c.depart()
		return
	}
	if c.x != nil {
		c.x.bytes += int64(n)
	}
	c.unsent.drop(n)
	switch {
	case c.state == relaying && n > 0:
		c.awaitMore()
	case c.state == flushing && len(c.unsent.b) == 0:
		c.done()
	}
}

// written goes on when the answer is with the client, or waits in unsent.
func (c *clientConn) written() {
	if len(c.unsent.b) > 0 {
		c.setState(flushing, c.g.limits().WriteTime)
		return
	}
	c.done()
}

// done ends the request, whose answer has been written.
func (c *clientConn) done() {
	c.endRequest()
	switch {
	case !c.last:
		c.awaitRequest()
	case c.lingers:
		c.linger()
	default:
		c.depart()
	}
}

// lingerTime is how long a client gets to read the last answer.
const lingerTime = 2 * time.Second

// linger lets the client read the answer before its connection is closed: what it still sends is thrown away for a
// while, because closing on unread bytes resets the connection and may destroy the answer on its way.
func (c *clientConn) linger() {
	c.in.free()
	c.looked = 0
	if c.d.loop.CloseWrite(c.token, c.fd) != nil {
		c.depart()
		return
	}
	c.setState(lingering, lingerTime)
	if c.waiter.leave(); c.surplus { // it has its answer, and gives way to a live session
		c.d.waiters.crowded.add(&c.waiter, c.d.loop.Clock())
	}
}

// endRequest lets go of the request in hand.
func (c *clientConn) endRequest() {
	x := c.x
	if x == nil {
		return
	}
	if c.release != nil {
		c.release.pollOver(x.status == http.StatusOK)
		c.release = nil
	}
	c.d.leavePolledMove(x)
	if x.entered {
		store, sid := x.route.Recovery, strings.Clone(x.Query.SID)
		c.d.work(func(ctx context.Context) { _ = store.Leave(ctx, sid, recovery.Post) }, func() {})
	}
	x.dropAsides()
	x.waited()
	x.leaveTurn()
	x.leave()
	c.remember()
	x.tellHarm()
	x.logAccess()
	x.endTrace()
	x.recycle()
	c.x = nil
	c.g.active.Add(-1)
}

// depart closes the connection and ends what is done for the client.
func (c *clientConn) depart() {
	if c.state == gone {
		return
	}
	awaits := c.state == awaiting
	c.left()
	if c.x != nil && c.answering() {
		c.x.forgetSession()
	}
	c.dropNode()
	c.getOff()
	if c.aborts {
		c.d.loop.Abort(c.token, c.fd)
	}
	c.d.loop.Close(c.token, c.fd)
	c.g.closed(c.seat)
	if !awaits { // what a goroutine works for is let go of when that is done
		c.endRequest()
	}
}

// forgetSession ends a session that the client never learned of.
func (x *exchange) forgetSession() {
	if x.Open.SID != "" {
		x.over(x.Open.SID, "its client left before it learned of it")
	}
}

// getOff takes the connection off its loop.
func (c *clientConn) getOff() {
	c.state = gone
	c.waiter.leave()
	c.in.free()
	c.unsent.free()
	c.keepNode(nil)
	c.d.loop.StopTimer(&c.Timer)
	delete(c.d.clients, c)
}

// hand gives the connection to the engine of tunnels.
func (c *clientConn) hand() tunnel.Socket {
	s := tunnel.Socket{FD: c.fd, Token: c.token, Readable: c.readable, Hup: c.hup}
	c.getOff()
	return s
}
