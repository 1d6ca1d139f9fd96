package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// errDeparted is the cause of a client's context once its connection is known to be gone.
var errDeparted = errors.New("gateway: the client is gone")

// client is one client connection and what is known of it.
type client struct {
	g       *Gateway
	conn    net.Conn
	reader  *http1.Reader
	ctx     context.Context // done when the client is gone
	cancel  context.CancelCauseFunc
	trusted bool   // a proxy whose word on where requests come from is taken
	surplus bool   // above the limit of connections
	ip      string // the client's address
	port    string // ours, that the client connected to

	forwardedFor string // ip as RFC 7239, section 6, writes it

	watch watch       // its own goroutine's
	more  atomic.Bool // further requests have been received behind the one in hand

	mu   sync.Mutex
	node net.Conn // the connection whose answer is waited for
}

func newClient(g *Gateway, conn net.Conn) *client {
	c := &client{g: g, conn: conn, reader: http1.NewReader(conn)}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	var addr netip.Addr
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		addr = a.AddrPort().Addr().Unmap()
	}
	c.ip, c.forwardedFor = "unknown", "for=unknown"
	switch {
	case addr.Is4():
		c.ip = addr.String()
		c.forwardedFor = "for=" + c.ip
	case addr.IsValid():
		c.ip = addr.WithZone("").String()
		c.forwardedFor = `for="[` + c.ip + `]"`
	}
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		c.port = strconv.Itoa(a.Port)
	}
	for _, p := range g.Trusted {
		c.trusted = c.trusted || p.Contains(addr)
	}
	return c
}

// after says what becomes of a client's connection when a request has been dealt with.
type after uint8

const (
	hangUp after = iota // close it
	goOn                // read the next request
	took                // a tunnel has it
)

// serve deals with the connection's requests one after the other, and reports whether a tunnel took it over.
func (c *client) serve() bool {
	x := exchanges.Get().(*exchange)
	defer x.recycle()
	for {
		x.reset(c)
		err := c.reader.Request(&x.req, c.g.Limits.IdleTime, c.g.Limits.HeaderTime)
		if err != nil {
			c.refuse(err)
			return false
		}
		c.g.active.Add(1)
		then := x.run()
		c.g.active.Add(-1)
		if then != goOn {
			return then == took
		}
		c.reader.Release()
	}
}

// refuse answers a head that could not be read, where an answer is due.
func (c *client) refuse(err error) {
	var bad *http1.Error
	if !errors.As(err, &bad) {
		return
	}
	c.g.Metrics.refused("bad_head")
	if c.write(plain(bad.Status, bad.Reason).Append(nil, engineio.CORS{}, true)) == nil {
		c.linger()
	}
}

// write sends b within the limit for a client that does not read.
func (c *client) write(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.g.Limits.WriteTime)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// linger lets the client read the answer before its connection is closed: what it still sends is thrown away for a
// while, because closing on unread bytes resets the connection and may destroy the answer on its way.
func (c *client) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.conn.SetReadDeadline(time.Now().Add(2*time.Second)) != nil {
		return
	}
	io.Copy(io.Discard, io.LimitReader(c.conn, 16<<20))
}

// abort makes the close that follows a reset, for a client that takes an orderly end for the end of the answer.
func (c *client) abort() {
	if t, ok := c.conn.(interface{ SetLinger(sec int) error }); ok {
		t.SetLinger(0)
	}
}

// sleep waits for d and reports whether the client is still there.
func (c *client) sleep(d time.Duration) bool {
	c.g.watcher.add(c)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// await lets the departure of the client end the reads from n until done is called. It reports whether the client is
// still there.
func (c *client) await(n net.Conn) bool {
	c.g.watcher.add(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = n
	return c.ctx.Err() == nil
}

// done ends await and reports whether the client is still there.
func (c *client) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = nil
	return c.ctx.Err() == nil
}

// depart ends whatever is being done for the client. It may be called from any goroutine.
func (c *client) depart() {
	c.cancel(errDeparted)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.node != nil {
		c.node.SetReadDeadline(time.Unix(1, 0))
	}
}
