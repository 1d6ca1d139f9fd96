package gateway

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// streamTime is how long a node may pause within the body of an ordinary answer, such as a stream of events.
const streamTime = time.Hour

// framing is how an answer's body is told from what follows it, on the client's side.
type framing uint8

const (
	asAnnounced framing = iota // Content-Length, or there is no body
	inChunks
	untilClose
)

// deliver brings the answer, whose head is read, to the client, and ends the lease: now, or with the tunnel.
func (x *exchange) deliver(n *http1.Conn) after {
	if x.kind.wantsTunnel() && x.resp.Status == 101 {
		return x.tunnel(n)
	}
	defer x.leave()
	x.upload.answers()
	x.awaitTail()
	answered := time.Now()
	body := n.Reader.ResponseBody(&x.resp)
	first := x.early
	var err error
	switch {
	case x.mayEnd() && x.resp.ContentLength <= whole:
		first, err = x.gather(body)
	case len(first) == 0 && !body.Done() && len(n.Reader.Buffered()) > 0:
		first, err = body.Next()
	}
	if err != nil && err != io.EOF {
		return x.broken(n, err)
	}
	if body.Done() && x.observe(first) {
		x.route.Store.Unbind(x.c.ctx, x.query.SID) // it expires all the same where the store is away
	}
	bound := true
	if x.kind == handshake {
		bound = x.bind(x.c.ctx)
		x.answered(x.reused)
	}
	x.count()
	if !bound {
		return x.broken(n, errBadAnswer)
	}

	out := buffers.get()
	defer buffers.put(out)
	f := x.framing()
	last := x.lasts(f)
	*out = x.appendAnswer((*out)[:0], f, last)
	*out = appendPiece(*out, f, first, body.Done())
	x.status = x.resp.Status
	x.c.answering.Store(true)
	defer x.c.answering.Store(false)
	err = x.write(*out)
	x.own += time.Since(answered)
	x.route.metrics.added.Observe(x.own.Seconds())
	for err == nil && !body.Done() {
		err = x.relay(n.Conn, body, f, out)
	}
	return x.finish(n, body.Done() && err == nil, last)
}

// mayEnd reports whether the answer can tell of the end of a session.
func (x *exchange) mayEnd() bool { return x.query.SID != "" && x.query.Transport == engineio.Polling }

// gather reads a short body whole, so that what it says of the session is known before the client hears of it. Of a longer one
// it returns the beginning.
func (x *exchange) gather(body *http1.Body) ([]byte, error) {
	for !body.Done() && len(x.early) < whole {
		p, err := body.Next()
		if len(x.early) == 0 && body.Done() {
			return p, err // without a copy
		}
		x.early = append(x.early, p...)
		if err != nil {
			return x.early, err
		}
	}
	return x.early, nil
}

// relay passes the next piece of the body on.
func (x *exchange) relay(n net.Conn, body *http1.Body, f framing, out *[]byte) error {
	pause := x.patience()
	if x.query.SID == "" {
		pause = streamTime
	}
	if n.SetReadDeadline(time.Now().Add(pause)); x.c.ctx.Err() != nil {
		return errDeparted
	}
	p, err := body.Next()
	if err != nil && err != io.EOF {
		return err
	}
	*out = appendPiece((*out)[:0], f, p, body.Done())
	return x.write(*out)
}

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

// finish gives the node's connection back or cuts it, and says what becomes of the client's.
func (x *exchange) finish(n *http1.Conn, whole, last bool) after {
	err := x.part(n, nil)
	if !whole || err != nil || x.resp.Close || x.route.DisableKeepAlive || !x.upload.complete || x.kind.wantsTunnel() || len(n.Reader.Buffered()) > 0 {
		n.Close()
	} else {
		x.node.Pool.Put(n, x.resp.KeepAlive)
	}
	switch {
	case !whole:
		x.route.Cluster.Sessions.End(x.open.SID) // the client never learned of it
		if x.framing() == untilClose {
			x.c.abort()
		}
		return hangUp
	case !last && !x.unread:
		return goOn
	}
	if x.unread || x.kind.wantsTunnel() {
		x.c.linger()
	}
	return hangUp
}

// broken answers a request whose answer broke before the client got any of it.
func (x *exchange) broken(n *http1.Conn, err error) after {
	n.Close()
	if x.part(n, nil) == errDeparted {
		return hangUp
	}
	if x.query.SID == "" || errors.Is(nodeError(err), errBadAnswer) {
		return x.fail(engineio.BadNode)
	}
	x.route.Cluster.Sessions.End(x.query.SID)
	return x.fail(engineio.SessionGone)
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
	return x.closes() || f == untilClose || x.kind.wantsTunnel() || x.uploading()
}

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

// observe looks into a poll or POST and its answer for the end of the session: the close packet of either side, or a
// node that does not know the sid, because it was started anew. Then it reports true, and the binding is of no use.
func (x *exchange) observe(answer []byte) bool {
	switch ok := x.resp.Status == 200; {
	case !x.mayEnd():
	case ok && x.kind == poll && engineio.HasClose(x.query, answer, false),
		ok && x.kind == post && !x.uploading() && x.upload.complete && engineio.HasClose(x.query, x.upload.body, true):
		x.route.Cluster.Sessions.End(x.query.SID)
	case engineio.IsUnknownSID(x.resp.Status, answer):
		x.tellForgotten()
		x.route.Cluster.Sessions.End(x.query.SID)
		return true
	}
	return false
}
