package adapter

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// writeLimit is how long a client may leave a write blocked.
	writeLimit = 30 * time.Second
	// lastWords is how long a closed connection still takes writes: the library closes it while a goroutine of its own
	// has yet to write the last packets.
	lastWords = 50 * time.Millisecond
)

// hijacker is the answer to a WebSocket request; the connection that the library takes from it is a heldConn.
type hijacker struct {
	http.ResponseWriter
	conn *heldConn
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &heldConn{Conn: c, open: make(chan struct{})}
	return h.conn, rw, nil
}

// release lets the library read.
func (h *hijacker) release() {
	if h.conn != nil {
		close(h.conn.open)
	}
}

// heldConn is a connection from which nothing is read before its session is complete.
type heldConn struct {
	net.Conn
	open   chan struct{}
	once   sync.Once
	closed atomic.Bool
}

// Read implements net.Conn.
func (c *heldConn) Read(b []byte) (int, error) {
	<-c.open
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(b)
	if err != nil && c.closed.Load() {
		err = net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn.
func (c *heldConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close ends reading at once and writing a moment later. It does not wait.
func (c *heldConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		c.closed.Store(true)
		err = c.SetReadDeadline(time.Unix(1, 0))
		time.AfterFunc(lastWords, func() { _ = c.Conn.Close() })
	})
	return err
}
