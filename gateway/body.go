package gateway

import (
	"errors"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// This file receives the bodies of requests: short ones whole, longer ones in pieces that go on to the node.

var (
	errTooLarge = errors.New("gateway: the body is too large")
	errHarmful  = errors.New("gateway: the body breaks a rule")
	errSlow     = errors.New("gateway: the body did not come in time")
)

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
