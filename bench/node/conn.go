//go:build linux

package node

import (
	"errors"

	"github.com/sidway/sidway/bench/socket"
)

// What a connection speaks.
const (
	requests = iota
	frames
	commands
)

// errClose ends a connection without a fault.
var errClose = errors.New("node: close")

// conn is one connection; its slot and its buffers are used again.
type conn struct {
	fd      int
	slot    int32
	turn    int32
	port    int // of those listened on
	speaks  int
	in, out []byte // the beginning of something to read, what could not be written yet
	last    bool   // closes once out is written
}

// accept takes all connections that wait at listener.
func (n *Node) accept(listener int) error {
	for {
		fd, err := socket.Accept(n.listeners[listener])
		if fd < 0 {
			return err
		}
		c := n.take()
		c.fd, c.port, c.speaks, c.last = fd, listener, requests, false
		if listener == n.control {
			c.speaks = commands
		}
		if err := n.poller.Add(fd, socket.Both, socket.Token{Slot: c.slot, Turn: c.turn}); err != nil {
			return err
		}
	}
}

// take returns a free slot's conn.
func (n *Node) take() *conn {
	if last := len(n.free) - 1; last >= 0 {
		c := n.free[last]
		n.free = n.free[:last]
		return c
	}
	c := &conn{slot: int32(len(n.conns))}
	n.conns = append(n.conns, c)
	return c
}

// close frees c's slot. Events of it that stand in the same batch have an old turn.
func (n *Node) close(c *conn) {
	if c.speaks == frames {
		n.stats.Tunnels--
	}
	socket.Close(c.fd)
	c.fd, c.in, c.out = -1, c.in[:0], c.out[:0]
	c.turn++
	n.free = append(n.free, c)
}

// handle serves what an event tells of c.
func (n *Node) handle(c *conn, events uint32) {
	err := n.flush(c)
	if err == nil && len(c.out) == 0 && events&(socket.Readable|socket.Writable) != 0 {
		err = n.read(c, events&socket.Ended != 0)
	}
	if err != nil {
		n.close(c)
	}
}

// read reads and serves what came, up to its end if that was told. It stops while the peer does not take answers:
// being writable again is an event too, at which it goes on.
func (n *Node) read(c *conn, ended bool) error {
	for len(c.out) == 0 {
		kept := copy(n.buf, c.in)
		if kept == len(n.buf) {
			return errTooLong
		}
		got, err := socket.Read(c.fd, n.buf[kept:])
		if err != nil || got == 0 {
			return err
		}
		rest, err := n.serve(c, n.buf[:kept+got])
		c.in = append(c.in[:0], rest...)
		if err != nil {
			return err
		}
		if kept+got < len(n.buf) && !ended {
			return nil
		}
	}
	return nil
}

// serve answers the complete requests, frames or commands in b and returns the rest of it.
func (n *Node) serve(c *conn, b []byte) ([]byte, error) {
	for len(b) > 0 && !c.last {
		var used int
		var err error
		switch c.speaks {
		case requests:
			used, err = n.request(c, b)
		case frames:
			used, err = n.frame(c, b)
		default:
			used, err = n.command(c, b)
		}
		if used == 0 || err != nil {
			return b, err
		}
		b = b[used:]
	}
	return b, nil
}

// write writes b, or keeps what of it cannot be written now.
func (n *Node) write(c *conn, b []byte) error {
	wrote := 0
	if len(c.out) == 0 {
		var err error
		if wrote, err = socket.Write(c.fd, b); err != nil {
			return err
		}
		if wrote == len(b) && c.last {
			return errClose
		}
	}
	c.out = append(c.out, b[wrote:]...)
	return nil
}

// flush writes what was kept.
func (n *Node) flush(c *conn) error {
	if len(c.out) == 0 {
		return nil
	}
	wrote, err := socket.Write(c.fd, c.out)
	if err != nil {
		return err
	}
	c.out = append(c.out[:0], c.out[wrote:]...)
	if len(c.out) == 0 && c.last {
		return errClose
	}
	return nil
}
