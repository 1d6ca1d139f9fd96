package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// whole is how much of a body is read before any of it is forwarded. A slow client then holds no node's connection,
// and a broken body of this size never reaches a node.
const whole = 64 << 10

// upload is the request's body on its way to the node.
type upload struct {
	body     []byte        // what was read before forwarding
	complete bool          // body is all of it
	limit    int64         // bytes that the body may have; 0 no limit
	got      int64         // bytes read so far
	due      time.Time     // when it must have come, but for what BodyRate allows
	ended    chan struct{} // closed when the rest was streamed; nil if nothing was
	err      error         // why streaming ended early; valid after ended
	last     atomic.Bool   // the last piece is being written
	halted   atomic.Bool   // the node has answered and nobody wants the rest

	mu       sync.Mutex
	answered bool // the head of the node's answer is there
}

// errTooLarge says that a body is longer than its limit.
var errTooLarge = errors.New("gateway: the body is too large")

// receive reads a short body whole. What it answers itself has not touched a node.
func (x *exchange) receive() (after, bool) {
	q, u := &x.req, &x.upload
	if q.ContentLength <= 0 && !q.Chunked {
		u.complete = true
		return 0, true
	}
	u.limit = x.route.MaxBody
	x.unread = true
	if q.ContentLength > whole || q.Chunked && x.kind == ordinary {
		return 0, true
	}
	if q.Expect100 && len(x.c.reader.Buffered()) == 0 {
		if _, err := x.c.write(goAhead); err != nil {
			return hangUp, false
		}
	}
	body := x.c.reader.RequestBody(q)
	for len(u.body) < whole {
		p, err := x.nextPiece(body)
		u.body = append(u.body, p...)
		if err == io.EOF {
			u.complete, x.unread = true, false
			return 0, true
		}
		if err != nil {
			return x.badBody(err), false
		}
	}
	return 0, true
}

var goAhead = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// nextPiece reads a piece of the client's body within its time: BodyTime, and as much more as what has come takes at
// BodyRate; without a rate, each piece has BodyTime.
func (x *exchange) nextPiece(body *http1.Body) ([]byte, error) {
	u, l := &x.upload, &x.c.g.Limits
	if u.due.IsZero() || l.BodyRate == 0 {
		u.due = time.Now().Add(l.BodyTime)
	}
	allowed := time.Duration(0)
	if l.BodyRate > 0 {
		allowed = allowance(u.got, l.BodyRate)
	}
	if err := x.c.conn.SetReadDeadline(u.due.Add(allowed)); err != nil {
		return nil, err
	}
	if u.halted.Load() { // just before the deadline was set, which then ended nothing
		return nil, errNodeWrite
	}
	p, err := body.Next()
	u.got += int64(len(p))
	if u.limit > 0 && u.got > u.limit {
		return nil, errTooLarge
	}
	return p, err
}

// allowance is how long so many bytes may take at that rate per second, 30 years at most: a product of large numbers would
// be a time in the past.
func allowance(got, rate int64) time.Duration {
	return time.Duration(min(float64(got)/float64(rate), 1e9) * float64(time.Second))
}

// badBody answers a body that could not be read to its end.
func (x *exchange) badBody(err error) after {
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		return x.reply(plain(bad.Status, bad.Reason))
	case errors.Is(err, errTooLarge):
		return x.fail(engineio.BodyTooLarge)
	case errors.Is(err, os.ErrDeadlineExceeded) && x.c.ctx.Err() == nil:
		return x.fail(engineio.SlowClient)
	}
	return hangUp
}

// stream forwards what receive left of the body to n, while the node's answer is waited for: a node may answer first.
func (x *exchange) stream(n net.Conn) {
	u := &x.upload
	u.ended = make(chan struct{})
	go func() {
		u.err = errDeparted
		x.c.g.guarded(func() { u.err = x.streamTo(n) })
		u.complete = u.err == nil
		broken := u.err != nil && !errors.Is(u.err, errNodeWrite)
		close(u.ended) // first, so that who is woken by the next line finds the reason
		if broken {
			n.Close() // the node must never take a part for the whole, and its answer is waited for no longer
		}
	}()
}

// errNodeWrite says that the node took no more of the body; it may have answered.
var errNodeWrite = errors.New("gateway: the node stopped reading")

func (x *exchange) streamTo(n net.Conn) error {
	q, u := &x.req, &x.upload
	if q.Expect100 && len(u.body) == 0 && len(x.c.reader.Buffered()) == 0 {
		if _, err := x.c.write(goAhead); err != nil {
			return err
		}
	}
	out := buffers.get()
	defer buffers.put(out)
	body := x.c.reader.RequestBody(q)
	for {
		p, err := x.nextPiece(body)
		if err != nil && err != io.EOF {
			return err
		}
		done := err == io.EOF || body.Done()
		switch *out = (*out)[:0]; {
		case !q.Chunked:
			*out = append(*out, p...)
		case done:
			*out = http1.AppendLastChunk(http1.AppendChunk(*out, p))
		default:
			*out = http1.AppendChunk(*out, p)
		}
		u.last.Store(done)
		if n.SetWriteDeadline(time.Now().Add(x.patience())); x.c.ctx.Err() != nil { // departed just before: see head
			return errDeparted
		}
		if _, werr := n.Write(*out); werr != nil {
			return errNodeWrite
		}
		if x.extend(n); x.c.ctx.Err() != nil {
			return errDeparted
		}
		if done {
			x.c.lookBehind()
			return nil
		}
	}
}

// extend has the node's time to answer begin anew, unless its answer is there: then its body has a time of its own. The
// departure of the client ends all waiting for the node.
func (x *exchange) extend(n net.Conn) {
	x.upload.mu.Lock()
	defer x.upload.mu.Unlock()
	if !x.upload.answered {
		n.SetReadDeadline(time.Now().Add(x.patience()))
	}
}

// answers tells that the head of the answer is there.
func (u *upload) answers() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answered = true
}

// tailTime is how long an answer waits for the end of the upload before it: see awaitTail.
const tailTime = 20 * time.Millisecond

// awaitTail lets an upload end whose last piece is being written: the node can have it all and answer before this
// goroutine hears that it was sent, and the client's connection would be given up for nothing. A node that answers
// without having read so far holds the answer up for no longer than tailTime.
func (x *exchange) awaitTail() {
	if x.upload.ended == nil || !x.upload.last.Load() {
		return
	}
	t := time.NewTimer(tailTime)
	defer t.Stop()
	select {
	case <-x.upload.ended:
	case <-t.C:
	}
}

// uploading reports whether the rest of the body is still being streamed.
func (x *exchange) uploading() bool {
	if x.upload.ended == nil {
		return false
	}
	select {
	case <-x.upload.ended:
		return false
	default:
		return true
	}
}

// settle ends the stream of the body, if one runs, and returns why it failed, nil where it did not or where the node
// was the one that wanted no more. Only after it the reader and the upload are this goroutine's again.
func (x *exchange) settle(n net.Conn) error {
	u := &x.upload
	if u.ended == nil {
		return nil
	}
	if x.uploading() {
		u.halted.Store(true)
		n.Close()
		x.c.conn.SetReadDeadline(time.Unix(1, 0))
		<-u.ended
		return nil
	}
	x.unread = !u.complete
	if u.err == nil || errors.Is(u.err, errNodeWrite) {
		return nil
	}
	return u.err
}
