package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Reader reads the messages of one connection, requests from a client or responses from a node. It holds a buffer only
// while it has bytes that nobody has read: one that waits holds none, where the connection is a TCP or Unix socket of a
// Unix system; on others a waiting Reader holds 4 KiB. It is for one goroutine at a time; the connection's own methods
// may be called by others, and closing it or setting its read deadline ends a wait.
type Reader struct {
	conn net.Conn
	raw  syscall.RawConn // nil where the connection cannot be waited for without a buffer
	try  func(uintptr) bool
	body Body

	mem    buffer
	lo, hi int  // the unread bytes are mem.b[lo:hi]
	wide   bool // what to borrow next
	err    error

	scanned, line int  // of the head being read, from lo: where to look for the next LF, where its line began
	skipped       bool // the one empty line before a request line was there
	ended         time.Time
}

// NewReader returns a Reader of c's bytes, which nothing else may read from now on. It does not close c.
func NewReader(c net.Conn) *Reader {
	r := &Reader{conn: c}
	r.body.r = r
	r.body.err = io.EOF
	if r.raw = rawConn(c); r.raw != nil {
		r.try = r.receive
	}
	return r
}

// Request reads the head of the next request into q. It waits up to idle for its first byte and then up to head for the
// rest, 0 being without limit, by setting the connection's read deadline, which it leaves as it is: the caller sets
// another one before it reads the body. It returns io.EOF where the client closed between requests, ErrIdle where
// nothing came, io.ErrUnexpectedEOF where a head was cut, an *Error for a head to be refused, else the connection's error.
func (r *Reader) Request(q *Request, idle, head time.Duration) error {
	q.Reset()
	if err := r.begin(); err != nil {
		return err
	}
	n, err := r.awaitRequest(idle, head)
	if err != nil {
		return err
	}
	return r.request(q, n)
}

// TryRequest is Request without waiting: it reports false, and has read nothing, where the head is not all there.
func (r *Reader) TryRequest(q *Request) (bool, error) {
	q.Reset()
	if err := r.begin(); err != nil {
		return false, err
	}
	r.skipEmptyLine()
	n, e := r.scan(requestStart)
	if n == 0 || e != nil {
		return false, r.refuse(e)
	}
	return true, r.request(q, n)
}

// request reads a head of n bytes.
func (r *Reader) request(q *Request, n int) error {
	e := q.parse(r.mem.b[r.lo : r.lo+n])
	r.consume(n)
	if e != nil {
		return r.refuse(e)
	}
	r.body.start(&q.Head, false)
	return nil
}

// Response reads the next head of a response into p, 1xx included; method is the request's and decides, with the
// status, whether a body follows. It waits as long as the connection's read deadline allows. It returns io.EOF where the
// node closed before the first byte, io.ErrUnexpectedEOF where the head was cut, an *Error (502) for a head to be refused.
func (r *Reader) Response(p *Response, method string) error {
	p.Reset()
	if err := r.begin(); err != nil {
		return err
	}
	n, err := r.awaitResponse()
	if err != nil {
		return err
	}
	return r.response(p, method, n)
}

// TryResponse is Response without waiting: it reports false, and has read nothing, where the head is not all there.
func (r *Reader) TryResponse(p *Response, method string) (bool, error) {
	p.Reset()
	if err := r.begin(); err != nil {
		return false, err
	}
	n, e := r.scan(responseStart)
	if e != nil {
		return false, r.refuse(e.fromNode())
	}
	if n == 0 {
		return false, nil
	}
	return true, r.response(p, method, n)
}

// response reads a head of n bytes.
func (r *Reader) response(p *Response, method string, n int) error {
	e := p.parse(r.mem.b[r.lo:r.lo+n], method)
	r.consume(n)
	if e != nil {
		return r.refuse(e.fromNode())
	}
	r.body.start(&p.Head, true)
	return nil
}

// RequestBody returns the body of the request that was read last, one without pieces where none follows.
func (r *Reader) RequestBody(*Request) *Body { return &r.body }

// ResponseBody returns the body of the response that was read last, one without pieces where none follows.
func (r *Reader) ResponseBody(*Response) *Body { return &r.body }

// Buffered returns the bytes that were received and not yet read, without reading more. They are valid until the next
// call of a method of r or of its Body.
func (r *Reader) Buffered() []byte { return r.mem.b[r.lo:r.hi] }

// Load gives r bytes that somebody else has received, in place of whatever it held, as if the connection began with them. They
// are read where they are: nothing may change them before the last is read or Discard is called. A Reader that is only
// loaded needs no connection, and reads with TryRequest, TryResponse and Body.Whole.
func (r *Reader) Load(b []byte) {
	r.mem.giveBack()
	r.mem.b, r.lo, r.hi = b, 0, len(b)
	r.body.err = io.EOF
}

// Preload gives r a copy of bytes that were received from its connection before it was made, up to 64 KiB.
func (r *Reader) Preload(b []byte) {
	if len(b) == 0 {
		return
	}
	r.mem.borrow(len(b) > smallSize)
	r.lo, r.hi = 0, copy(r.mem.b, b)
}

// Detach returns a copy of the unread bytes, nil where there are none, and gives the buffer back: for one who takes the
// connection over, as a tunnel does. Nothing may be read through r afterwards.
func (r *Reader) Detach() []byte {
	var b []byte
	if r.lo < r.hi {
		b = bytes.Clone(r.Buffered())
	}
	r.Discard()
	return b
}

// Release gives the buffer back if nothing in it is unread. The last piece of a body is no longer valid then.
func (r *Reader) Release() {
	if r.lo == r.hi {
		r.Discard()
	}
}

// Discard gives the buffer back with what is unread in it, for a connection that is about to be closed.
func (r *Reader) Discard() {
	r.mem.giveBack()
	r.lo, r.hi = 0, 0
}

// begin gets ready for a head.
func (r *Reader) begin() error {
	if r.body.err != io.EOF {
		if e, ok := r.body.err.(*Error); ok {
			return e
		}
		return ErrUnread
	}
	r.Release()
	r.scanned, r.line, r.skipped = 0, 0, false
	return nil
}

// consume passes n bytes and gives the buffer back when they were the last.
func (r *Reader) consume(n int) {
	r.lo += n
	r.Release()
}

// awaitRequest returns the length of a whole head.
func (r *Reader) awaitRequest(idle, head time.Duration) (int, error) {
	for limited, wasBegun := false, false; ; limited = true {
		r.skipEmptyLine()
		begun := r.lo < r.hi
		if n, e := r.scan(requestStart); n > 0 || e != nil {
			return n, r.refuse(e)
		}
		if !limited || begun != wasBegun {
			wasBegun = begun
			if begun {
				r.limit(head)
			} else {
				r.limit(idle)
			}
		}
		err := r.fill()
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, cut(err, begun)
		case begun:
			return 0, r.refuse(errHeadTime)
		default:
			return 0, ErrIdle
		}
	}
}

// skipEmptyLine passes one empty line before a request line (RFC 9112 section 2.2): it begins no request.
func (r *Reader) skipEmptyLine() {
	if !r.skipped && r.hi-r.lo >= 2 && r.mem.b[r.lo] == '\r' && r.mem.b[r.lo+1] == '\n' {
		r.skipped = true
		r.scanned = 0
		r.consume(2)
	}
}

// awaitResponse returns the length of a whole head.
func (r *Reader) awaitResponse() (int, error) {
	for {
		n, e := r.scan(responseStart)
		if e != nil {
			return 0, r.refuse(e.fromNode())
		}
		if n > 0 {
			return n, nil
		}
		begun := r.lo < r.hi
		if err := r.fill(); err != nil {
			return 0, cut(err, begun)
		}
	}
}

// refuse remembers that nothing more can be read, if e is not nil.
func (r *Reader) refuse(e *Error) error {
	if e == nil {
		return nil
	}
	r.body.err = e
	return e
}

// limit sets the time until which bytes are waited for.
func (r *Reader) limit(d time.Duration) {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	// An error says that the connection is closed, which the read that follows says too.
	_ = r.conn.SetReadDeadline(t)
}

// cut names the end of a connection within a message.
func cut(err error, begun bool) error {
	if err == io.EOF && begun {
		return io.ErrUnexpectedEOF
	}
	return err
}
