//go:build linux

package load

import (
	"errors"
	"fmt"
	"io"

	"github.com/sidway/sidway/bench/socket"
)

// phase is what a connection does.
type phase uint8

const (
	closed  phase = iota
	opening       // until it stands and its opening is answered
	ready         // for an operation; of Connect, without a descriptor
	busy          // with an operation
)

// conn is one connection, or the place of one that is opened again and again.
type conn struct {
	fd     int
	secure *secure // TLS; nil without
	slot   int32
	turn   int32
	phase  phase

	ask     []byte // what each operation sends
	rest    []byte // its second segment, until that is sent
	want    []byte // what each operation is owed, where that is known
	got     int    // how much of want has come
	in, out []byte // the beginning of an answer, the rest of a request
	foreign bool   // told by the latest answer, as last
	last    bool

	connecting bool // its CONNECT is sent

	began int64 // when the operation began, or was due
	next  int64 // the number of the next operation that is due here
}

var (
	errUnasked = errors.New("more came than was asked for")
	errEarly   = errors.New("the answer came before the whole request was sent")
)

// dial begins to open c.
func (r *runner) dial(c *conn) error {
	fd, err := socket.Dial(r.addr, r.source())
	c.fd = fd
	if err == nil && r.tls != nil {
		c.secure = newSecure(fd, r.tls)
	}
	return err
}

// watch lets c's events come. After the first write, so that the answer's event is the first one.
func (r *runner) watch(c *conn) error {
	return r.poller.Add(c.fd, socket.Both, socket.Token{Slot: c.slot, Turn: c.turn})
}

// reopen opens c and sends what comes first.
func (r *runner) reopen(c *conn) {
	c.phase = opening
	err := r.dial(c)
	if err == nil && r.work.opening != nil {
		err = c.send(r.work.opening)
	}
	if err == nil {
		err = r.watch(c)
	}
	if err != nil {
		r.fail(c, err)
	}
}

// shut closes c. Events of it that stand in the same batch have an old turn.
func (r *runner) shut(c *conn) {
	if c.secure != nil {
		c.secure.close()
		c.secure = nil
	}
	if c.fd >= 0 {
		socket.Close(c.fd)
	}
	if c.phase == ready || c.phase == busy {
		r.standing--
	}
	if c.phase == busy {
		r.flying--
	}
	c.fd, c.phase, c.got, c.last, c.connecting = -1, closed, 0, false, false
	c.in, c.out, c.rest = c.in[:0], nil, nil
	c.turn++
}

// fail counts err and opens c again a little later.
func (r *runner) fail(c *conn, err error) {
	r.note(1, fmt.Errorf("connection %d: %w", c.slot, err))
	if c.phase == busy {
		r.lost++
	}
	r.shut(c)
	r.broken = append(r.broken, c)
}

// handle serves what an event tells of c.
func (r *runner) handle(c *conn, events uint32) {
	err := c.flush()
	if err == nil && c.phase == opening && r.work.opening == nil && events&(socket.Writable|socket.Ended) == socket.Writable {
		err = r.stands(c)
	}
	if err == nil && events&socket.Readable != 0 {
		err = r.read(c, events&socket.Ended != 0)
	}
	if err != nil {
		r.fail(c, err)
	}
}

// read reads what came, up to its end if that was told.
func (r *runner) read(c *conn, ended bool) error {
	for turn := c.turn; c.turn == turn; {
		kept := copy(r.buf, c.in)
		got, err := c.receive(r.buf[kept:])
		if err == io.EOF {
			err = errEnded
		}
		if err != nil || got == 0 {
			return err
		}
		c.in = c.in[:0]
		if err := r.take(c, r.buf[:kept+got]); err != nil {
			return err
		}
		if kept+got < len(r.buf) && !ended && c.secure == nil {
			return nil
		}
	}
	return nil
}

// take takes in what came and keeps the beginning of an answer.
func (r *runner) take(c *conn, b []byte) error {
	reads, then := r.work.reads, r.finish
	switch c.phase {
	case opening:
		reads, then = r.work.opened, r.stands
	case busy:
		if len(c.rest) > 0 {
			return errEarly
		}
	default:
		return errUnasked
	}
	if reads == nil {
		return errUnasked
	}
	used, done, err := reads(c, b)
	switch {
	case err != nil:
		return err
	case !done:
		c.in = append(c.in, b[used:]...)
		return nil
	case used < len(b):
		return errUnasked
	}
	return then(c)
}

// send writes b, or keeps the rest of it until the connection takes more.
func (c *conn) send(b []byte) error {
	wrote, err := c.put(b)
	if err == nil && wrote < len(b) {
		c.out = b[wrote:]
	}
	return err
}

func (c *conn) flush() error {
	if len(c.out) == 0 && c.secure == nil {
		return nil
	}
	wrote, err := c.put(c.out)
	c.out = c.out[wrote:]
	return err
}
