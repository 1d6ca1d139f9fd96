package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// This file is the road from a request's first byte to the node that it goes to. What follows is in ask.go and answer.go.

// awaitRequest waits for the next request.
func (c *clientConn) awaitRequest() {
	c.in.keep() // others may be served before it is looked at
	c.looked = 0
	l := c.g.limits()
	d := l.IdleTime
	if c.fresh { // a connection that never carried a request is of no use to anybody
		d = min(l.HeaderTime, d)
	}
	if c.crowded || c.over {
		d = min(d, crowdedTime)
	}
	c.setState(idle, d)
	c.d.waiters.add(c, c.d.loop.Clock())
}

// readHead reads the head of a request.
func (c *clientConn) readHead() {
	if c.second {
		c.readPreface()
		return
	}
	if n := c.scan.SkipEmptyLine(c.in.b); n > 0 {
		c.in.drop(n)
	}
	n, err := c.scan.Request(c.in.b)
	if n == 0 && err == nil {
		if c.looked == 0 && len(c.in.b) > 0 && !c.crowded {
			c.within(c.g.limits().HeaderTime)
		}
		c.looked = len(c.in.b)
		return
	}
	x := newExchange(c)
	if err == nil {
		err = x.Req.Parse(c.in.b[:n])
	}
	c.scan, c.looked, c.fresh = http1.Scan{}, 0, false
	if err != nil {
		x.recycle()
		c.refuse(err)
		return
	}
	c.in.drop(n)
	c.x, c.last, c.lingers = x, false, false
	c.g.active.Add(1)
	x.Began = c.d.loop.Clock() // so that the time spent here includes the wait for those that came in the same batch
	if c.redirect != nil {
		c.redirected()
		return
	}
	c.decode()
}

// turnAway closes the connection of a stranger beyond the overflow.
func (c *clientConn) turnAway() {
	if c.x != nil {
		c.x.status = http.StatusServiceUnavailable
	}
	_, _ = c.d.loop.Write(c.token, c.fd, fullAnswer)
	c.g.metrics.refused("full")
	if c.x != nil {
		c.x.status = 503
	}
	c.depart()
}

// refuse answers a head that could not be read.
func (c *clientConn) refuse(err error) {
	bad := err.(*http1.Error) // as Scan and Parse promise
	c.waiter.leave()
	c.g.metrics.refused("bad_head")
	if bad != http1.ErrHeadTime && c.g.notices.due("bad_head", "", "") {
		c.g.log.Warn("a request is not HTTP as it should be: does something in front speak TLS, HTTP/2 or the PROXY protocol here?",
			"reason", bad.Reason, "client", c.IP)
	}
	if log := c.g.topology.Load().Access; log != nil {
		log.Info("request", "client", c.IP, "status", bad.Status, "reason", "bad_head")
	}
	c.last, c.lingers = true, true
	if !c.write(request.Plain(bad.Status, bad.Reason).Append(nil, engineio.CORS{}, true)) {
		c.depart()
		return
	}
	c.written()
}

// decode finds out what is asked for, and refuses what is wrong or has no room.
func (c *clientConn) decode() {
	x, top := c.x, c.g.topology.Load()
	c.HasIDs = top.Access != nil
	if c.Strict = ""; c.Secure {
		c.Strict = top.strict
	}
	refusal, ok := x.Decode(top.routes)
	x.route = top.of(x.Route)
	x.traced(top.Trace)
	if !ok {
		if x.route == nil {
			x.tellProbe()
			x.tellHost()
		}
		x.tellStripped()
		x.unread = true // what comes behind a request that readers disagree on is not taken for one
		c.reply(refusal)
		return
	}
	live := false
	if x.Query.SID != "" {
		_, live = x.route.known(x.Query.SID)
	}
	if c.crowded && !(live && c.hasRoom()) {
		c.turnAway()
		return
	}
	x.route.metrics.requests[x.Kind].Inc()
	x.tellPath()
	x.tellProbe()
	x.tellProxy()
	if x.Query.SID == "" && (c.surplus || !c.hasRoomForStranger()) || x.Kind.MakesSession() && c.g.short.Load() {
		c.fail(engineio.Full)
		return
	}
	c.pass(live)
}

// proceed deals with a request that has been decoded and received.
func (c *clientConn) proceed() {
	x := c.x
	c.waiter.leave()
	x.ready = c.d.loop.Clock()
	if x.Upload.Complete {
		c.lookBehind()
	}
	if x.Judged() {
		c.judge()
		return
	}
	c.goOn()
}

// resolve finds the session's binding. While the store cannot be asked, a request whose sid is unknown here is held, because a
// session survives waiting and nothing else.
func (c *clientConn) resolve() {
	if b, ok := c.x.route.known(c.x.Query.SID); ok {
		if c.x.Binding = b; c.x.mayHaveMoved() {
			c.follow()
			return
		}
		c.renew()
		return
	}
	c.lookUp()
}

// renew writes the session's binding again, where that is due. To write one that is unproven could take back what another replica has proved.
func (c *clientConn) renew() {
	x := c.x
	if x.Binding.Unproven || !x.Renews() || x.route.Cluster.Node(x.Binding.Node) == nil {
		c.inSession()
		return
	}
	if x.Kind == request.Poll || x.Kind == request.Post {
		x.route.Cluster.Sessions.Polled(x.Query.SID)
	}
	c.await(func() {
		x.Binding, _ = x.route.renew(context.Background(), x.Query.SID, x.Binding) // a store that is away writes it later
		if x.route.Recovery != nil {
			_ = x.route.Recovery.KeepNotes(context.Background(), x.Query.SID)
		}
	}, func() {
		x.recount()
		c.inSession()
	}, nil)
}

// inSession sends the request to the session's node.
func (c *clientConn) inSession() {
	x := c.x
	if x.Binding.Ends != 0 && c.overAt(x.Binding.Ends) {
		c.endSession(engineio.TokenExpired)
		return
	}
	if x.Node = x.route.Cluster.Node(x.Binding.Node); x.Node == nil {
		c.awaitNode()
		return
	}
	if x.held { // until now
		x.ready, x.heldAt = c.d.loop.Clock(), time.Time{}
	}
	x.route.Cluster.Sessions.Used(x.Query.SID)
	if x.Node.Drains() {
		x.route.Cluster.Sessions.Heard(x.Query.SID, x.Node)
	}
	if cause, ok := x.Admissible(); !ok {
		c.fail(cause)
		return
	}
	if x.Binding.Unproven && x.Kind != request.Preflight {
		c.prove()
		return
	}
	if given := x.mayBeOutdated(); len(given) > 0 {
		c.dropOutdated(given)
		return
	}
	c.ask()
}

// fail answers the request here, for the given cause.
func (c *clientConn) fail(cause engineio.Cause) {
	if cause == engineio.BodyTooLarge {
		c.x.tellLarge()
	}
	c.reply(c.x.Refusal(cause))
}

// reply sends an answer made here. The connection goes on if all of the request was read.
func (c *clientConn) reply(a engineio.Answer) {
	x := c.x
	c.waiter.leave()
	x.leave()
	x.status, a.Strict = a.Status, c.Strict
	if x.Req.Method == "HEAD" {
		a.Body = ""
	}
	x.countReply(a)
	body := x.Req.ContentLength > 0 || x.Req.Chunked
	// Behind a request for an upgrade there may be bytes of another protocol.
	c.last = c.closes() || x.unread || x.Req.Minor == 0 || x.Req.Upgrade || body && !x.Upload.Complete
	c.lingers = c.last && (body || x.unread || x.Req.Upgrade)
	c.d.out = a.Append(c.d.out[:0], x.CORS(), c.last)
	x.streams = false
	if !c.write(c.d.out) {
		c.depart()
		return
	}
	c.written()
}
