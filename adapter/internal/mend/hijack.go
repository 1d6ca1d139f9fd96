package mend

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zishang520/engine.io/v2/transports"
)

const (
	// writeLimit is how long a client may leave a write blocked.
	writeLimit = 30 * time.Second
	gatherSize = 16 << 10 // bytes that a batch gathers before they are written
	// lastWords is how long a client has to read the last packets before what it still sends resets the connection.
	lastWords = 50 * time.Millisecond
)

// hijacker is the answer to a WebSocket request; the connection that the library takes from it is a heldConn.
type hijacker struct {
	http.ResponseWriter
	conn  *heldConn
	taken func(*heldConn) // if set: called with the connection
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &heldConn{Conn: c, open: make(chan struct{})}
	if h.taken != nil {
		h.taken(h.conn)
	}
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
	open      chan struct{}
	forget    func() // if set: called at Close
	once      sync.Once
	closed    atomic.Bool
	transport atomic.Pointer[transports.Transport] // that writes; nil before its session is known
	last      sync.Once

	mu      sync.Mutex
	corked  bool
	pending []byte
	limited time.Time // when the write deadline was last set
	failed  error
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

// Write implements net.Conn. Between cork and uncork it gathers, so that a batch of frames costs one system call.
func (c *heldConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	if !c.corked {
		return c.write(b)
	}
	c.pending = append(c.pending, b...)
	if len(c.pending) < gatherSize {
		return len(b), nil
	}
	return len(b), c.flush()
}

// write is called with mu held. Moving the deadline for each frame would cost more than the frame.
func (c *heldConn) write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(c.limited) > writeLimit/4 {
		if err := c.SetWriteDeadline(now.Add(writeLimit)); err != nil {
			return 0, err
		}
		c.limited = now
	}
	return c.Conn.Write(b)
}

func (c *heldConn) flush() error {
	if len(c.pending) > 0 && c.failed == nil {
		_, c.failed = c.write(c.pending)
	}
	c.pending = nil
	return c.failed
}

// cork announces a batch of frames, uncork its end. An error is the next Write's.
func (c *heldConn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = true
}

func (c *heldConn) uncork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	_ = c.flush()
}

// Close ends reading at once, and writing a moment after the last packet. It does not wait.
func (c *heldConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		c.closed.Store(true)
		if c.forget != nil {
			c.forget()
		}
		err = c.SetReadDeadline(time.Unix(1, 0))
		c.finish()
	})
	return err
}

// finish is called at Close and whenever a batch has been written: the library closes a connection while a goroutine of
// its own has yet to write the last batch. A write has its limit, so that the end of one always comes.
func (c *heldConn) finish() {
	t := c.transport.Load()
	if c.closed.Load() && (t == nil || (*t).Writable()) {
		c.last.Do(func() { time.AfterFunc(lastWords, func() { _ = c.Conn.Close() }) })
	}
}
