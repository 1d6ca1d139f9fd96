package http1

import (
	"io"
	"net"
	"time"
)

// Reader reads the messages of a connection by what this package offers, as these tests want them: it waits.
type Reader struct {
	conn   net.Conn
	mem    []byte
	in     []byte
	body   Body
	failed error
}

// NewReader returns a Reader of c.
func NewReader(c net.Conn) *Reader { return &Reader{conn: c, mem: make([]byte, 64<<10)} }

// Request reads a head. The times are nobody's.
func (r *Reader) Request(q *Request, _, _ time.Duration) error {
	var s Scan
	n, err := r.head(func() (int, error) {
		r.in = r.in[s.SkipEmptyLine(r.in):]
		return s.Request(r.in)
	})
	if err != nil {
		return err
	}
	if err = q.Parse(r.in[:n]); err != nil {
		r.failed = err
		return err
	}
	r.in, r.body = r.in[n:], q.Body()
	return nil
}

// Response reads a head.
func (r *Reader) Response(p *Response, method string) error {
	var s Scan
	n, err := r.head(func() (int, error) { return s.Response(r.in) })
	if err != nil {
		return err
	}
	if err = p.Parse(r.in[:n], method); err != nil {
		r.failed = err
		return err
	}
	r.in, r.body = r.in[n:], p.Body()
	return nil
}

func (r *Reader) head(scan func() (int, error)) (int, error) {
	if r.failed != nil {
		return 0, r.failed
	}
	for {
		n, err := scan()
		if err != nil {
			r.failed = err
		}
		if n > 0 || err != nil {
			return n, err
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && len(r.in) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// fill reads more behind what has not been used.
func (r *Reader) fill() error {
	kept := copy(r.mem, r.in)
	n, err := r.conn.Read(r.mem[kept:])
	r.in = r.mem[:kept+n]
	if n > 0 {
		return nil
	}
	return err
}

// Buffered returns what has been received and not read.
func (r *Reader) Buffered() []byte { return r.in }

// BodyReader reads the body behind the last head.
type BodyReader struct{ r *Reader }

// RequestBody returns the body of the last request.
func (r *Reader) RequestBody(*Request) BodyReader { return BodyReader{r} }

// ResponseBody returns the body of the last response.
func (r *Reader) ResponseBody(*Response) BodyReader { return BodyReader{r} }

// Done reports whether all of it has been read.
func (b BodyReader) Done() bool { return b.r.body.Done() }

// Next returns the next piece, never an empty one, and io.EOF at the end.
func (b BodyReader) Next() ([]byte, error) {
	r := b.r
	for !r.body.Done() {
		data, used, err := r.body.Next(r.in)
		r.in = r.in[used:]
		if len(data) > 0 {
			return data, nil
		}
		if err != nil {
			r.failed = err
			return nil, err
		}
		if r.body.Done() {
			break
		}
		if len(r.in) > 0 {
			continue
		}
		switch err := r.fill(); err {
		case nil:
		case io.EOF:
			if err := r.body.End(); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	return nil, io.EOF
}
