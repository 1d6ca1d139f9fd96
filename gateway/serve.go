package gateway

import (
	"context"
	"errors"
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
	if c.surplus && x.Query.SID == "" {
		c.fail(engineio.Full)
		return
	}
	c.pass(live)
}

// receive reads a short body whole, before any of it is forwarded.
func (c *clientConn) receive(live bool) {
	q, u := &c.x.Req, &c.x.Upload
	if q.ContentLength <= 0 && !q.Chunked {
		u.Complete = true
		c.proceed()
		return
	}
	u.Limit, u.Decoder = c.x.route.MaxBody, q.Body()
	u.Payload.ResetPost(c.x.Query)
	c.x.unread = true
	if q.ContentLength > request.Whole || q.Chunked && c.x.Kind == request.Ordinary {
		c.proceed()
		return
	}
	c.state = receiving
	if len(c.in.b) > 0 {
		c.readBody()
	} else {
		c.limit = c.bodyDue()
		c.arm()
		c.goAhead()
	}
	if live && c.state == receiving && c.waiter.leave() { // it gives way no sooner than one that was kept
		c.d.waiters.add(c, c.d.loop.Clock())
	}
}

var goAhead = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// goAhead tells a client that waits for it to send the body.
func (c *clientConn) goAhead() {
	if c.x.Req.Expect100 && c.x.Upload.Got == 0 && len(c.in.b) == 0 && !c.write(goAhead) {
		c.depart()
	}
}

// readBody reads on, until the body is whole or long enough to be forwarded in pieces.
func (c *clientConn) readBody() {
	u := &c.x.Upload
	data, err := c.nextPiece()
	u.Body = append(u.Body, data...)
	c.in.drop(0)
	switch {
	case err != nil:
		c.badBody(err)
	case u.Complete, len(u.Body) >= request.Whole:
		c.proceed()
	default:
		c.limit = c.x.due
		c.arm()
	}
}

// nextPiece decodes what has been received of the body.
func (c *clientConn) nextPiece() ([]byte, error) {
	x, u := c.x, &c.x.Upload
	data, used, err := u.Decoder.Next(c.in.b)
	u.Got += int64(len(data))
	c.in.b = c.in.b[used:] // its buffer is given back when data has been used
	switch {
	case err != nil:
		return nil, err
	case u.Limit > 0 && u.Got > u.Limit:
		return nil, errTooLarge
	case u.Decoder.Done():
		u.Complete, x.unread, x.streams, x.due = true, false, false, 0
	default:
		x.due = c.bodyDue()
	}
	if x.Kind == request.Post && !x.Inspect(data) {
		return nil, errHarmful
	}
	return data, nil
}

// badBody answers a body that could not be read to its end.
func (c *clientConn) badBody(err error) {
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		c.reply(request.Plain(bad.Status, bad.Reason))
	case errors.Is(err, errTooLarge):
		c.fail(engineio.BodyTooLarge)
	case errors.Is(err, errHarmful):
		c.fail(engineio.BadRequest)
	case errors.Is(err, errSlow):
		c.fail(engineio.SlowClient)
	default:
		c.depart()
	}
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
		c.x.Binding = b
		c.renew()
		return
	}
	c.lookUp()
}

// renew writes the session's binding again, where that is due.
func (c *clientConn) renew() {
	x := c.x
	if !x.Renews() || x.route.Cluster.Node(x.Binding.Node) == nil {
		c.inSession()
		return
	}
	if x.Kind == request.Poll || x.Kind == request.Post {
		x.route.Cluster.Sessions.Polled(x.Query.SID)
	}
	c.await(func() { x.route.Store.Bind(context.Background(), x.Query.SID, x.Binding) }, // one that is away writes it later
		c.inSession, nil)
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
	c.ask()
}

// fail answers the request here, for the given cause.
func (c *clientConn) fail(cause engineio.Cause) { c.reply(c.x.Refusal(cause)) }

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

var (
	errTooLarge = errors.New("gateway: the body is too large")
	errHarmful  = errors.New("gateway: the body breaks a rule")
	errSlow     = errors.New("gateway: the body did not come in time")
)

// bodyDue is when the next piece of the body must have come: BodyTime after the first wait, and as much later as what has come
// takes at BodyRate; without a rate, BodyTime from now on.
func (c *clientConn) bodyDue() time.Duration {
	x, l := c.x, c.g.limits()
	now := c.d.loop.Now()
	if l.BodyRate == 0 {
		return now + l.BodyTime
	}
	if x.base == 0 {
		x.base = now + l.BodyTime
	}
	return x.base + allowance(x.Upload.Got, l.BodyRate)
}

// allowance is how long so many bytes may take at that rate per second, 30 years at most: a product of large numbers would
// be a time in the past.
func allowance(got, rate int64) time.Duration {
	return time.Duration(min(float64(got)/float64(rate), 1e9) * float64(time.Second))
}

// stream forwards a piece of the body to the node, while its answer is waited for or relayed: a node may answer first.
func (c *clientConn) stream() {
	x, n := c.x, c.n
	data, err := c.nextPiece()
	if err != nil {
		c.in.drop(0)
		c.badUpload(err)
		return
	}
	out := c.d.out[:0]
	switch {
	case !x.Req.Chunked:
		out = append(out, data...)
	case x.Upload.Complete:
		out = http1.AppendLastChunk(http1.AppendChunk(out, data))
	default:
		out = http1.AppendChunk(out, data)
	}
	c.d.out = out
	if c.in.drop(0); x.Upload.Complete {
		c.lookBehind()
	}
	if len(out) == 0 {
		return
	}
	if _, err := n.send(out); err != nil {
		n.unwritable()
		return
	}
	if c.state == asking {
		c.within(x.Patience())
	}
	c.arm()
}

// badUpload deals with a body that broke while it was forwarded. The node must never take a part for the whole.
func (c *clientConn) badUpload(err error) {
	c.dropNode()
	if c.state == relaying {
		c.cut()
		return
	}
	c.x.leave()
	c.badBody(err)
}

// startStream begins to forward the rest of the body.
func (c *clientConn) startStream() {
	x := c.x
	if x.Upload.Complete || x.streams {
		return
	}
	x.streams = true
	x.due = c.bodyDue()
	c.goAhead()
	c.arm()
}
