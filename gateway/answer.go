package gateway

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// This file is the road back: the node's answer, from its first byte to the client.

// streamTime is how long a node may pause within the body of an ordinary answer, such as a stream of events.
const streamTime = time.Hour

// mostInterim is how many 1xx answers a node may send before its final one.
const mostInterim = 32

// hear looks at what the node has sent.
func (c *clientConn) hear() {
	switch c.state {
	case asking:
		c.hearHead()
	case learning:
		c.x.Early = append(c.x.Early, c.n.in.b...)
		c.n.in.free()
		c.learn()
	case collecting:
		c.collect()
	case relaying:
		c.relay()
	}
}

// hearHead reads the head of the answer, with the 1xx that come before it.
func (c *clientConn) hearHead() {
	x, n := c.x, c.n
	size, err := n.scan.Response(n.in.b)
	if size == 0 && err == nil {
		n.looked = len(n.in.b)
		return
	}
	if err == nil {
		err = x.Resp.Parse(n.in.b[:size], x.Req.Method)
	}
	n.scan, n.looked = http1.Scan{}, 0
	if err != nil {
		c.lost(request.ErrBadAnswer)
		return
	}
	n.in.drop(size)
	switch status := x.Resp.Status; {
	case status == 101 && (!x.Kind.WantsTunnel() || len(n.unsent.b) > 0): // it answers what it has not read
		c.lost(request.ErrBadAnswer)
	case status == 101 || status >= 200:
		c.answered()
	case x.interim == mostInterim:
		c.lost(request.ErrBadAnswer)
	default:
		x.interim++
		if status == 100 || x.Req.Minor == 0 {
			return
		}
		c.d.out = append(x.AppendStatus(c.d.out[:0]), "\r\n"...)
		if !c.write(c.d.out) {
			c.depart()
		}
	}
}

// answered goes on when the head of the final answer is there.
func (c *clientConn) answered() {
	x, n := c.x, c.n
	if len(n.unsent.b) > 0 { // of a request that is answered before the node took all of it, the rest is not sent
		n.unsent.free()
		n.spoilt, x.streams = true, false
	}
	x.responded()
	x.forwarded(x.Resp.Status, "")
	if !x.Kind.MakesSession() { // of those it must be known whether one was made
		x.answered(nil)
	}
	if x.searches && x.Kind == request.Upgrade && !c.heardThere(nil) {
		return
	}
	if x.Resp.Status == 101 {
		c.switched()
		return
	}
	x.Body = x.Resp.Body()
	c.state = collecting
	c.collect()
}

// collect reads as much of the answer's body as must be known before the client gets any of it: the open packet of a handshake,
// and a short body that may tell of the end of a session.
func (c *clientConn) collect() {
	x, n := c.x, c.n
	first := x.Early
	if len(n.in.b) > 0 && !x.Body.Done() {
		data, used, err := x.Body.Next(n.in.b)
		n.in.b = n.in.b[used:] // its buffer is given back when data has been used
		if first = data; len(x.Early) > 0 || x.Gathers() && !x.Body.Done() {
			x.Early = append(x.Early, data...)
			first = x.Early
		}
		switch {
		case err == nil:
		case x.Kind == request.Handshake:
			c.lost(request.ErrBadAnswer)
			return
		default:
			c.broken(request.ErrBadAnswer)
			return
		}
	}
	if x.Collected(first) {
		c.settle(first)
	}
	if c.n == n {
		n.in.drop(0)
	}
}

// settle tells the store, before the client hears of it, of a session that is new or is no more.
func (c *clientConn) settle(first []byte) {
	x := c.x
	if x.mayLiveElsewhere(first) {
		c.askElsewhere(first)
		return
	}
	searched := x.searches
	if searched && !c.heardThere(first) {
		return
	}
	if !searched && x.Strange(first) {
		m := x.memory()
		m.strange.Add(1)
		x.tellErrors(m)
	}
	if x.opens(first) {
		c.bind(first)
		return
	}
	tell := x.news(first, searched)
	if tell == nil && x.Kind == request.Poll {
		var taken bool
		if first, taken = c.passPolled(first); taken {
			return
		}
	}
	if tell = x.hears(first, tell); tell == nil {
		c.deliver(first)
		return
	}
	if len(x.Early) == 0 {
		x.Early = append(x.Early, first...)
	}
	began := c.d.loop.Clock()
	c.await(tell, func() {
		x.overhead += c.d.loop.Clock().Sub(began)
		c.deliver(x.Early)
	}, nil)
}

// news returns what tells the store, and other replicas, of what an answer says, nil where it says nothing to them.
func (x *exchange) news(first []byte, searched bool) (tell func()) {
	if searched {
		tell = x.remember()
	}
	if x.Body.Done() && x.observe(first) {
		tell = x.forget
	}
	if tell == nil {
		tell = x.polled(first)
	}
	if before := tell; x.entered {
		tell = func() {
			if before != nil {
				before()
			}
			x.arrived()
		}
	}
	return tell
}

// forget has the store know nothing of a session that is no more. Its binding expires all the same where the store is away.
func (x *exchange) forget() {
	_ = x.route.Store.Unbind(context.Background(), x.Query.SID)
	if x.route.Recovery != nil {
		_ = x.route.Recovery.ForgetNotes(context.Background(), x.Query.SID)
	}
}

// deliver begins to write the answer to the client.
func (c *clientConn) deliver(first []byte) {
	x := c.x
	if x.Kind.MakesSession() {
		x.answered(first)
	}
	x.count()
	if x.taken {
		c.dropNode()
		c.fail(engineio.BadNode)
		return
	}
	f := x.Framing()
	c.last = c.lasts(f)
	c.d.out = request.AppendPiece(x.AppendAnswer(c.d.out[:0], f, c.last), f, first, x.Body.Done())
	x.status = x.Resp.Status
	c.state = relaying
	if !c.write(c.d.out) {
		c.depart()
		return
	}
	x.overhead += time.Since(c.d.loop.Clock())
	x.route.metrics.added.Observe(x.overhead.Seconds())
	c.relayed()
}

// relayed goes on when a piece of the answer is with the client, or waits in unsent.
func (c *clientConn) relayed() {
	x := c.x
	if !x.Body.Done() {
		c.awaitMore()
		return
	}
	again := !x.Resp.Close && !x.route.DisableKeepAlive && x.Upload.Complete && !x.Kind.WantsTunnel()
	c.n.keeps = x.Resp.Kept()
	c.n.free(x.Resp.KeepFor(), again)
	c.n = nil
	x.streams = false
	x.leave()
	c.last = c.last || x.unread
	c.lingers = x.unread || c.last && x.Kind.WantsTunnel()
	c.written()
}

// awaitMore waits for the client to take what it was sent, or for the next piece.
func (c *clientConn) awaitMore() {
	if c.ends > 0 { // as long as the answer goes on, a client that has closed its side is waited for
		c.ends = c.d.loop.Now() + halfTime
	}
	pause := streamTime
	switch {
	case len(c.unsent.b) > 0:
		pause = c.g.limits().WriteTime
	case c.x.Query.SID != "":
		pause = c.x.Patience()
	}
	c.within(pause)
}

// relay passes the next piece of the answer's body on.
func (c *clientConn) relay() {
	x, n := c.x, c.n
	data, used, err := x.Body.Next(n.in.b)
	f := x.Framing()
	c.d.out = request.AppendPiece(c.d.out[:0], f, data, x.Body.Done())
	n.in.drop(used)
	if len(c.d.out) > 0 && !c.write(c.d.out) {
		c.depart()
		return
	}
	if err != nil {
		c.cut()
		return
	}
	c.relayed()
}

// nodeEnded deals with the end of what the node sends.
func (c *clientConn) nodeEnded(err error) {
	x := c.x
	switch c.state {
	case asking:
		if len(c.n.in.b) == 0 && x.Repeatable() && c.n.unread(err) {
			c.lost(request.ErrUnsent)
			return
		}
		if c.n.noTLS {
			err = request.ErrTLS
		} else {
			err = request.ErrCut
		}
		c.lost(err)
	case learning:
		c.lost(request.ErrCut)
	case collecting:
		switch {
		case err == io.EOF && x.Body.End() == nil:
			c.settle(x.Early)
		case x.Kind == request.Handshake:
			c.lost(request.ErrCut)
		default:
			c.broken(request.ErrCut)
		}
	case relaying:
		if err != io.EOF || x.Body.End() != nil {
			if x.Kind == request.Poll {
				x.tellLost(request.ErrCut)
			}
			c.cut()
			return
		}
		if x.Framing() == request.InChunks && !c.write(http1.AppendLastChunk(nil)) {
			c.depart()
			return
		}
		c.relayed()
	}
}

// broken answers a request whose answer broke before the client got any of it.
func (c *clientConn) broken(err error) {
	x := c.x
	c.dropNode()
	x.streams = false
	if x.Query.SID == "" || errors.Is(err, request.ErrBadAnswer) {
		c.fail(engineio.BadNode)
		return
	}
	x.over(x.Query.SID, "its node broke off an answer")
	x.tellLost(err)
	c.fail(engineio.SessionGone)
}

// cut ends an answer that broke when the client had a part of it.
func (c *clientConn) cut() {
	x := c.x
	c.dropNode()
	x.streams = false
	x.leave()
	x.forgetSession()
	c.last, c.lingers, c.aborts = true, false, x.Framing() == request.UntilClose
	c.written()
}

// lasts reports whether the client's connection ends with this answer.
func (c *clientConn) lasts(f request.Framing) bool {
	return c.closes() || f == request.UntilClose || c.x.Kind.WantsTunnel() || c.x.unread
}

// closes reports whether the connection ends with this answer whatever it is.
func (c *clientConn) closes() bool { return c.x.Req.Close || c.surplus || c.g.draining.Load() }

// observe looks into a poll or POST and its answer for the end of the session: the close packet of either side, or a
// node that does not know the sid, because it was started anew. Then it reports true, and the binding is of no use.
func (x *exchange) observe(answer []byte) bool {
	switch ok := x.Resp.Status == 200; {
	case x.forgets(answer):
		x.tellForgotten()
	case !x.MayEnd():
	case ok && x.Kind == request.Poll && engineio.HasClose(x.Query, answer):
		x.route.ended.Add(x.Query.SID)
		if x.over(x.Query.SID, "its node closed it") {
			x.g.tellShort(x.route.tally, byNodes, x.Node.Name)
		}
	case ok && x.Kind == request.Post && x.Upload.Complete && x.Upload.Payload.Closes:
		x.route.ended.Add(x.Query.SID)
		x.over(x.Query.SID, "its client closed it")
	case engineio.IsUnknownSID(x.Resp.Status, answer):
		x.tellForgotten()
		x.route.unbound.Add(x.Query.SID)
		x.over(x.Query.SID, endForgotten)
		return true
	}
	return false
}

// countReply counts an answer made here.
func (x *exchange) countReply(a engineio.Answer) {
	if !x.Refused {
		x.g.metrics.refused(reasonOf(a))
		return
	}
	x.g.metrics.answered(x.route.Cluster, x.Cause, x.Node)
	switch x.Cause {
	case engineio.SIDUnknown:
		x.tellUnknown()
	case engineio.Paced:
		if x.g.notices.due("paced", x.route.Cluster.Name, "") {
			x.g.log.Warn("clients are turned away: more come than pace.handshakes lets through within "+x.g.paceTime.String()+", or than limits.queue may wait",
				"cluster", x.route.Cluster.Name, "waiting", x.route.turns.length.Load(), "queue", x.g.limits().Queue)
		}
	}
}
