package gateway

import (
	"bytes"
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

// begin takes up a request of which b was received. What is not whole, or is not what Socket.IO asks for all day, is a
// goroutine's.
func (c *laneClient) begin(b []byte) {
	c.waiter.leave()
	if c.crowded && !(c.g.hasRoomForSessions() && c.isOfLiveSession(b)) {
		_, _ = sock.Send(c.fd, fullAnswer)
		c.g.Metrics.refused("full")
		c.depart()
		return
	}
	x := exchanges.Get().(*exchange)
	x.reset(c.client)
	r := c.lane.reader
	r.Load(b)
	if !x.fitsLane(r) {
		r.Discard()
		x.recycle()
		c.toGoroutine(nil, b)
		return
	}
	c.fresh = false
	c.behind = nil
	if rest := r.Buffered(); len(rest) > 0 {
		c.behind = bytes.Clone(rest)
	}
	c.waits.Store(len(c.behind) > 0 || c.hup && c.waits.Load())
	r.Discard()
	c.x = x
	c.g.active.Add(1)
	x.began = c.lane.loop.Clock() // so that the time spent here includes the wait for those that came in the same batch
	x.ready = x.began
	x.route.metrics.requests[x.kind].Inc()
	if x.query.SID == "" {
		c.anyNode()
		return
	}
	c.resolve()
}

// fitsLane reads a request with its body from r and reports whether a lane can deal with it.
func (x *exchange) fitsLane(r *http1.Reader) bool {
	if ok, err := r.TryRequest(&x.req); !ok || err != nil {
		return false
	}
	if _, ok := x.decode(); !ok || x.c.surplus && x.query.SID == "" {
		return false
	}
	switch x.kind {
	case handshake, poll, post, upgrade, directConnect:
	default:
		return false
	}
	body, ok := r.RequestBody(&x.req).Whole()
	if !ok || len(body) > whole {
		return false
	}
	x.upload.body = append(x.upload.body[:0], body...)
	x.upload.got = int64(len(body))
	x.upload.complete = true
	return true
}

// resolve finds the session's binding: here, or in the store with the help of a goroutine.
func (c *laneClient) resolve() {
	x := c.x
	if b, ok := x.route.known(x.query.SID); ok {
		x.binding = b
		c.inSession()
		return
	}
	var err error
	c.store(
		func() { x.binding, err = x.route.Store.Lookup(context.Background(), x.query.SID) },
		func() {
			switch {
			case err == nil:
				c.inSession()
			case errors.Is(err, affinity.ErrNotFound):
				c.fail(engineio.SIDUnknown)
			default:
				c.anew()
			}
		})
}

// inSession sends the request to the session's node, after its binding has been renewed where that is due.
func (c *laneClient) inSession() {
	x := c.x
	if x.renews() {
		c.store(
			func() { x.route.Store.Bind(context.Background(), x.query.SID, x.binding) }, // one that is away writes it later
			c.toNode)
		return
	}
	c.toNode()
}

func (c *laneClient) toNode() {
	x := c.x
	if x.node = x.route.Cluster.Node(x.binding.Node); x.node == nil {
		x.tellMissingNode()
		c.fail(engineio.SessionGone)
		return
	}
	if cause, ok := x.admissible(); !ok {
		c.fail(cause)
		return
	}
	c.ask()
}

// anyNode sends a handshake or a direct connect to the node that the cluster picks.
func (c *laneClient) anyNode() {
	x := c.x
	var err error
	if x.node, err = x.route.Cluster.Pick(nil); err != nil {
		c.anew()
		return
	}
	x.reserved = true
	c.ask()
}

// ask sends the request. Whatever fails before the node can have read of it is tried again by a goroutine.
func (c *laneClient) ask() {
	x, l := c.x, c.lane
	x.acquire(l.loop.Clock())
	var n *laneNode
	if !x.kind.wantsTunnel() {
		n = l.take(x.node)
	}
	if n == nil {
		n = l.dial(x.node, x.query.SID != "")
	}
	if n == nil {
		c.anew()
		return
	}
	l.out = x.appendRequest(l.out[:0], x.node.Address)
	l.out = append(l.out, x.upload.body...)
	begun, err := n.send(l.out)
	if err != nil {
		n.close()
		c.anew()
		return
	}
	c.n, n.client = n, c
	c.enter(asking, dialTime)
	if begun {
		c.sent()
	}
	if c.hup {
		c.lookForEnd()
	}
}

// sent notes that the node may have begun to read the request.
func (c *laneClient) sent() {
	if x := c.x; x.sentAt.IsZero() {
		x.sentAt = time.Now()
		x.own = x.sentAt.Sub(x.ready)
		c.enter(asking, x.answerTime())
	}
}

// lost leaves it to a goroutine to deal with a node that did not answer, or could not be reached.
func (c *laneClient) lost(err error) {
	c.dropNode()
	if (c.x.sentAt.IsZero() || errors.Is(err, errUnsent)) && c.x.query.SID != "" {
		c.anew() // there is no other node, and a session is waited for
		return
	}
	c.handOver(func(x *exchange) after { return x.resume(nil, err) })
}

// resume goes on in a goroutine where the answer to the request was waited for, or failed to come. The client awaits n, if
// there is one.
func (x *exchange) resume(n *http1.Conn, err error) after {
	if err == nil {
		err = x.hear(n)
	}
	if x.query.SID != "" {
		return x.conclude(n, err)
	}
	if err == nil {
		err = x.learn(n)
	}
	return x.concludeAny(n, err)
}

// hear takes what the node sent. An answer that is not whole, or unusual, is a goroutine's.
func (c *laneClient) hear(b []byte) {
	x, r := c.x, c.lane.reader
	if c.stage == learning {
		x.early = append(x.early, b...)
		c.learn()
		return
	}
	r.Load(b)
	defer r.Discard()
	ok, err := r.TryResponse(&x.resp, x.req.Method)
	final := ok && err == nil && x.resp.Status >= 200
	var body []byte
	if ok = ok && err == nil && !x.unusual(); ok {
		body, ok = r.ResponseBody(&x.resp).Whole()
	}
	switch {
	case x.kind.wantsTunnel() && len(c.n.unsent) > 0: // it answers what it has not read, and must not be sent the rest later
		c.lost(errBadAnswer)
	case !ok:
		c.leaveAnswer(b, final)
	case x.kind.wantsTunnel():
		x.early = append(x.early[:0], r.Buffered()...)
		c.learn()
	default:
		reused := c.n.reused
		c.n.free(&x.resp, len(r.Buffered()) == 0 && !x.route.DisableKeepAlive)
		c.n = nil
		c.answered(body, reused)
	}
}

// unusual reports whether the head of an answer asks for more than to be passed on.
func (x *exchange) unusual() bool {
	if x.kind.wantsTunnel() {
		return x.resp.Status != 101 || x.resp.CheckSwitch(&x.req) != nil
	}
	return x.resp.Status < 200
}

// leaveAnswer leaves an answer that begins with b, with the head of the final one or not, to a goroutine. Of a request with a
// final answer that comes before the node took all of it, the rest is not sent, and the connection carries no other.
func (c *laneClient) leaveAnswer(b []byte, final bool) {
	rest := c.n.unsent
	n := c.nodeToGoroutine(b)
	if n == nil {
		c.lost(errShortage)
		return
	}
	if len(rest) > 0 && final {
		n.Last()
		rest = nil
	}
	if !c.handOver(func(x *exchange) after { return x.sendRest(n, rest) }) {
		n.Close()
	}
}

// sendRest sends what is left of the request to a node that has begun to answer, and goes on with the answer.
func (x *exchange) sendRest(n *http1.Conn, rest []byte) after {
	x.c.await(n.Conn)
	if len(rest) > 0 {
		n.SetWriteDeadline(time.Now().Add(x.patience()))
		if x.c.ctx.Err() == nil { // or it departed just before: see head
			if _, err := n.Write(rest); err != nil {
				n.Last()
			}
		}
	}
	return x.resume(n, nil)
}

// answered tells the store, before the client hears of it, of a session that is new or is no more.
func (c *laneClient) answered(body []byte, reused bool) {
	x := c.x
	var tell func()
	switch {
	case x.observe(body):
		tell = func() { x.route.Store.Unbind(context.Background(), x.query.SID) } // it expires all the same where the store is away
	case x.kind == handshake && x.resp.Status == 200:
		var err error
		x.open, err = engineio.FindOpen(x.query, body)
		x.warnOfOpen(err)
		if x.open.SID != "" {
			tell = func() { x.taken = !x.bind(context.Background()) }
		}
	}
	if x.kind != handshake || x.open.SID == "" {
		x.answered(reused)
	}
	if tell == nil {
		c.deliver(body)
		return
	}
	x.early = append(x.early[:0], body...)
	began := c.lane.loop.Clock()
	c.store(tell, func() {
		x.own += c.lane.loop.Clock().Sub(began)
		if x.kind == handshake {
			x.answered(reused)
		}
		if x.taken {
			x.count()
			x.leave()
			c.fail(engineio.BadNode)
			return
		}
		c.deliver(x.early)
	})
}

// deliver writes the answer and ends the lease.
func (c *laneClient) deliver(body []byte) {
	x, l := c.x, c.lane
	x.count()
	f := x.framing()
	c.last = x.lasts(f)
	l.out = append(x.appendAnswer(l.out[:0], f, c.last), body...)
	x.status = x.resp.Status
	if !c.write(l.out) {
		x.route.Cluster.Sessions.End(x.open.SID) // the client never learned of it
		c.depart()
		return
	}
	x.own += time.Since(l.loop.Clock())
	x.route.metrics.added.Observe(x.own.Seconds())
	x.leave()
	if len(c.unsent) > 0 {
		c.enter(flushing, c.g.Limits.WriteTime)
		return
	}
	c.done()
}

// learn reads a direct connect's open packet, as soon as it is there, and starts the tunnel.
func (c *laneClient) learn() {
	x := c.x
	if x.kind == directConnect {
		var err error
		if x.open, err = engineio.FindOpenFrame(x.early); errors.Is(err, engineio.ErrShort) {
			if c.stage != learning {
				c.enter(learning, openTime)
			}
			return
		}
	}
	x.answered(false)
	c.tunnel()
}

// tunnel writes the 101 and leaves both sockets to the engine, on the same loop.
func (c *laneClient) tunnel() {
	x, l, n := c.x, c.lane, c.n
	l.out = append(x.appendStatus(l.out[:0]), switched...)
	l.out = append(l.out, x.early...)
	wrote, err := sock.Send(c.fd, l.out)
	if err != nil && err != unix.EAGAIN {
		c.depart()
		return
	}
	x.bytes = int64(wrote)
	o := tunnel.Options{
		Node:     x.node,
		ToClient: bytes.Clone(l.out[wrote:]),
		ToNode:   c.behind,
		Block:    c.g.Limits.WriteTime,
		Heard:    &x.node.Talked,
		Done:     x.tunnelEnd(),
	}
	o.Idle, o.Grace = x.tunnelIdle()
	x.status = 101
	c.endRequest()
	c.getOff()
	c.n, n.client = nil, nil
	l.loop.StopTimer(&n.Seat)
	l.g.Tunnels.Adopt(l.loop,
		tunnel.Socket{FD: c.fd, Token: c.token, Readable: c.readable, Hup: c.hup},
		tunnel.Socket{FD: n.fd, Token: n.token, Readable: n.readable, Hup: n.hup}, o)
}
