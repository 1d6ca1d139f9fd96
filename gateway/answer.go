package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
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
		c.x.early = append(c.x.early, c.n.in.b...)
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
		err = x.resp.Parse(n.in.b[:size], x.req.Method)
	}
	n.scan, n.looked = http1.Scan{}, 0
	if err != nil {
		c.lost(errBadAnswer)
		return
	}
	n.in.drop(size)
	switch status := x.resp.Status; {
	case status == 101 && (!x.kind.wantsTunnel() || len(n.unsent.b) > 0): // it answers what it has not read
		c.lost(errBadAnswer)
	case status == 101 || status >= 200:
		c.answered()
	case x.interim == mostInterim:
		c.lost(errBadAnswer)
	default:
		x.interim++
		if status == 100 || x.req.Minor == 0 {
			return
		}
		c.d.out = append(x.appendStatus(c.d.out[:0]), "\r\n"...)
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
		n.spoilt, x.upload.streams = true, false
	}
	if x.kind != handshake && x.kind != directConnect { // of those it must be known whether a session was made
		x.answered()
	}
	if x.resp.Status == 101 {
		c.switched()
		return
	}
	if x.kind == directConnect {
		x.answered()
	}
	x.body = x.resp.Body()
	c.state = collecting
	c.collect()
}

// collect reads as much of the answer's body as must be known before the client gets any of it: the open packet of a handshake,
// and a short body that may tell of the end of a session.
func (c *clientConn) collect() {
	x, n := c.x, c.n
	first := x.early
	if len(n.in.b) > 0 && !x.body.Done() {
		data, used, err := x.body.Next(n.in.b)
		n.in.b = n.in.b[used:] // its buffer is given back when data has been used
		if first = data; len(x.early) > 0 || x.gathers() && !x.body.Done() {
			x.early = append(x.early, data...)
			first = x.early
		}
		switch {
		case err == nil:
		case x.kind == handshake:
			c.lost(errBadAnswer)
			return
		default:
			c.broken(errBadAnswer)
			return
		}
	}
	if x.collected(first) {
		c.settle(first)
	}
	if c.n == n {
		n.in.drop(0)
	}
}

// gathers reports whether more than what comes first of the body must be known.
func (x *exchange) gathers() bool {
	return x.kind == handshake && x.resp.Status == 200 || x.mayEnd() && x.resp.ContentLength <= whole
}

// collected reports whether enough of the body is there.
func (x *exchange) collected(first []byte) bool {
	switch {
	case x.body.Done() || !x.gathers():
		return true
	case x.kind == handshake:
		_, err := engineio.FindOpen(x.query, first)
		return !errors.Is(err, engineio.ErrShort) || len(first) >= engineio.OpenLimit
	}
	return len(first) >= whole
}

// settle tells the store, before the client hears of it, of a session that is new or is no more.
func (c *clientConn) settle(first []byte) {
	x := c.x
	var tell func()
	switch {
	case x.body.Done() && x.observe(first):
		tell = func() { x.route.Store.Unbind(context.Background(), x.query.SID) } // it expires all the same where the store is away
	case x.kind == handshake && x.resp.Status == 200:
		var err error
		x.open, err = engineio.FindOpen(x.query, first)
		x.warnOfOpen(err)
		if x.open.SID != "" {
			tell = func() { x.taken = !x.bind(context.Background()) }
		}
	}
	if tell == nil {
		c.deliver(first)
		return
	}
	if len(x.early) == 0 {
		x.early = append(x.early, first...)
	}
	began := c.d.loop.Clock()
	c.await(tell, func() {
		x.own += c.d.loop.Clock().Sub(began)
		c.deliver(x.early)
	}, nil)
}

// deliver begins to write the answer to the client.
func (c *clientConn) deliver(first []byte) {
	x := c.x
	if x.kind == handshake {
		x.answered()
	}
	x.count()
	if x.taken {
		c.dropNode()
		c.fail(engineio.BadNode)
		return
	}
	f := x.framing()
	c.last = x.lasts(f)
	c.d.out = appendPiece(x.appendAnswer(c.d.out[:0], f, c.last), f, first, x.body.Done())
	x.status = x.resp.Status
	c.state = relaying
	if !c.write(c.d.out) {
		c.depart()
		return
	}
	x.own += time.Since(c.d.loop.Clock())
	x.route.metrics.added.Observe(x.own.Seconds())
	c.relayed()
}

// relayed goes on when a piece of the answer is with the client, or waits in unsent.
func (c *clientConn) relayed() {
	x := c.x
	if !x.body.Done() {
		c.awaitMore()
		return
	}
	again := !x.resp.Close && !x.route.DisableKeepAlive && x.upload.complete && !x.kind.wantsTunnel()
	c.n.free(x.resp.KeepFor(), again)
	c.n = nil
	x.upload.streams = false
	x.leave()
	c.last = c.last || x.unread
	c.lingers = x.unread || c.last && x.kind.wantsTunnel()
	c.written()
}

// awaitMore waits for the client to take what it was sent, or for the next piece.
func (c *clientConn) awaitMore() {
	pause := streamTime
	switch {
	case len(c.unsent.b) > 0:
		pause = c.g.Limits.WriteTime
	case c.x.query.SID != "":
		pause = c.x.patience()
	}
	c.within(pause)
}

// relay passes the next piece of the answer's body on.
func (c *clientConn) relay() {
	x, n := c.x, c.n
	data, used, err := x.body.Next(n.in.b)
	f := x.framing()
	c.d.out = appendPiece(c.d.out[:0], f, data, x.body.Done())
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
		if len(c.n.in.b) == 0 && x.mayBeUnread(err) {
			c.lost(errUnsent)
			return
		}
		c.lost(errCut)
	case learning:
		c.lost(errCut)
	case collecting:
		switch {
		case err == io.EOF && x.body.End() == nil:
			c.settle(x.early)
		case x.kind == handshake:
			c.lost(errCut)
		default:
			c.broken(errCut)
		}
	case relaying:
		if err != io.EOF || x.body.End() != nil {
			c.cut()
			return
		}
		if x.framing() == inChunks && !c.write(http1.AppendLastChunk(nil)) {
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
	x.upload.streams = false
	if x.query.SID == "" || errors.Is(err, errBadAnswer) {
		c.fail(engineio.BadNode)
		return
	}
	x.route.Cluster.Sessions.End(x.query.SID)
	c.fail(engineio.SessionGone)
}

// cut ends an answer that broke when the client had a part of it.
func (c *clientConn) cut() {
	x := c.x
	c.dropNode()
	x.upload.streams = false
	x.leave()
	x.forgetSession()
	c.last, c.lingers, c.aborts = true, false, x.framing() == untilClose
	c.written()
}

// forgetSession ends a session that the client never learned of.
func (x *exchange) forgetSession() {
	if x.open.SID != "" {
		x.route.Cluster.Sessions.End(x.open.SID)
	}
}

// framing is how an answer's body is told from what follows it, on the client's side.
type framing uint8

const (
	asAnnounced framing = iota // Content-Length, or there is no body
	inChunks
	untilClose
)

// appendPiece frames a piece of the answer's body for the client.
func appendPiece(dst []byte, f framing, p []byte, last bool) []byte {
	if f != inChunks {
		return append(dst, p...)
	}
	if len(p) > 0 {
		dst = http1.AppendChunk(dst, p)
	}
	if last {
		dst = http1.AppendLastChunk(dst)
	}
	return dst
}

// framing decides how the client learns where the answer ends.
func (x *exchange) framing() framing {
	switch {
	case x.resp.NoBody || !x.resp.Chunked && x.resp.ContentLength >= 0:
		return asAnnounced
	case x.req.Minor == 0:
		return untilClose
	}
	return inChunks
}

// lasts reports whether the client's connection ends with this answer.
func (x *exchange) lasts(f framing) bool {
	return x.closes() || f == untilClose || x.kind.wantsTunnel() || x.unread
}

// closes reports whether the connection ends with this answer whatever it is.
func (x *exchange) closes() bool { return x.req.Close || x.c.surplus || x.c.g.draining.Load() }

// appendAnswer writes the node's head for the client, without what concerned only the node's connection.
func (x *exchange) appendAnswer(dst []byte, f framing, last bool) []byte {
	dst = x.appendStatus(dst)
	switch {
	case f == inChunks:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case f == asAnnounced && x.resp.Has(http1.ContentLength) && x.resp.Status != 204:
		// As the node wrote it: an answer to HEAD, and a 304, have a length without a body.
		dst = http1.AppendField(dst, "Content-Length", x.resp.Get(http1.ContentLength))
	}
	switch {
	case last:
		dst = append(dst, "Connection: close\r\n"...)
	case x.req.Minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// appendStatus writes the status line and the fields that go from end to end.
func (x *exchange) appendStatus(dst []byte) []byte {
	dst = http1.AppendStatus(dst, x.resp.Status, x.resp.Reason)
	return x.resp.AppendEndToEnd(dst, framingFields)
}

var framingFields = http1.SetOf(http1.ContentLength, http1.TransferEncoding)

// mayEnd reports whether the answer can tell of the end of a session.
func (x *exchange) mayEnd() bool { return x.query.SID != "" && x.query.Transport == engineio.Polling }

// observe looks into a poll or POST and its answer for the end of the session: the close packet of either side, or a
// node that does not know the sid, because it was started anew. Then it reports true, and the binding is of no use.
func (x *exchange) observe(answer []byte) bool {
	switch ok := x.resp.Status == 200; {
	case !x.mayEnd():
	case ok && x.kind == poll && engineio.HasClose(x.query, answer, false),
		ok && x.kind == post && x.upload.complete && x.upload.got == int64(len(x.upload.body)) && engineio.HasClose(x.query, x.upload.body, true):
		x.route.Cluster.Sessions.End(x.query.SID)
	case engineio.IsUnknownSID(x.resp.Status, answer):
		x.tellForgotten()
		x.route.Cluster.Sessions.End(x.query.SID)
		return true
	}
	return false
}

// plain is an answer in words, for requests that are not Engine.IO's.
func plain(status int, words string) engineio.Answer {
	return engineio.Answer{Status: status, ContentType: "text/plain; charset=utf-8", Body: words + "\n"}
}

// refusal is the table's answer to this request. On paths that are not Socket.IO's its words are plain.
func (x *exchange) refusal(c engineio.Cause) engineio.Answer {
	x.reason, x.refused = c, true
	a := engineio.AnswerFor(x.kind.answered(), x.query, c)
	if x.kind == ordinary || x.kind == ordinaryWebSocket {
		retry := a.RetryAfter
		a = plain(a.Status, http.StatusText(a.Status))
		a.RetryAfter = retry
	}
	return a
}

// countReply counts an answer made here.
func (x *exchange) countReply() {
	if !x.refused {
		x.c.g.Metrics.refused("bad_request")
		return
	}
	x.c.g.Metrics.answered(x.route, x.reason)
	switch x.reason {
	case engineio.Loop:
		x.tellFault(faultLoop, "", "requests go in a circle: a node of the cluster sends them back here, or is a replica of sidway itself",
			"client", x.origin().ip)
	case engineio.SIDUnknown:
		x.tellUnknown()
	}
}
