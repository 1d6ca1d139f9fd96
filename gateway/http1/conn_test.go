package http1_test

import (
	"io"
	"net"
	"time"
)

// scriptedConn is a connection whose bytes arrive in the pieces of a script and then end.
type scriptedConn struct {
	net.Conn // what is not scripted is not there
	pieces   [][]byte
}

func (c *scriptedConn) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func (c *scriptedConn) SetReadDeadline(time.Time) error { return nil }

// repeatingConn sends the same message for ever, one for each Read.
type repeatingConn struct {
	net.Conn
	message []byte
}

func (c *repeatingConn) Read(p []byte) (int, error) { return copy(p, c.message), nil }

func (c *repeatingConn) SetReadDeadline(time.Time) error { return nil }
