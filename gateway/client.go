package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
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
	lane    *lane  // that it was accepted on, nil: none
	trusted bool   // a proxy whose word on where requests come from is taken
	surplus bool   // above the limit of connections: only what belongs to a session is served
	crowded bool   // even above the overflow: only what belongs to a session that is known here is
	fresh   bool   // it has not sent a request yet
	ip      string // the client's address
	port    uint16 // ours, that the client connected to

	forwardedFor string // ip as RFC 7239, section 6, writes it

	waits  atomic.Bool // it has sent requests behind others: an end of what it sends says that it waits for the answers
	waiter waiter

	// What follows is of a client that a goroutine serves.

	conn   net.Conn
	reader *http1.Reader
	ctx    context.Context // done when the client is gone
	cancel context.CancelCauseFunc

	watch watch // its own goroutine's

	half      atomic.Bool // it has closed its side
	answering atomic.Bool // it is being sent a node's answer

	mu   sync.Mutex
	node net.Conn // the connection that the request in hand is on
}

// newClient returns the client at addr, which has connected to that port of ours.
func newClient(g *Gateway, addr netip.Addr, port uint16) *client {
	addr = addr.Unmap()
	c := &client{g: g, port: port, fresh: true, forwardedFor: "for=unknown"}
	quotes := 0
	switch {
	case addr.Is4():
		c.forwardedFor = "for=" + addr.String()
	case addr.IsValid():
		c.forwardedFor = `for="[` + addr.WithZone("").String() + `]"`
		quotes = 2
	}
	c.ip = c.forwardedFor[len("for=")+quotes : len(c.forwardedFor)-quotes]
	c.trusted = g.trusts(addr)
	return c
}

// hold gives c its connection, of which early has been received already.
func (c *client) hold(conn net.Conn, early []byte) {
	c.conn, c.reader = conn, http1.NewReader(conn)
	c.reader.Preload(early)
	c.waiter.holder = c
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
}

// anew returns the same client as if it had just come, with no connection yet.
func (c *client) anew() *client {
	n := &client{g: c.g, lane: c.lane, trusted: c.trusted, surplus: c.surplus, ip: c.ip, port: c.port, forwardedFor: c.forwardedFor}
	n.waits.Store(c.waits.Load())
	return n
}

// addrPort returns the zero AddrPort for what is not TCP's.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// after says what becomes of a client's connection when a request has been dealt with.
type after uint8

const (
	hangUp after = iota // close it
	goOn                // the next request may come, and a lane waits for it
	took                // a tunnel has it
)

// serve deals with the connection's requests one after the other, until it ends or a lane may wait for the next one.
// The first request may be in hand already, with the rest of what is to be done for it.
func (c *client) serve(x *exchange, rest func(*exchange) after) after {
	if x == nil {
		x = exchanges.Get().(*exchange)
	}
	defer x.recycle()
	for {
		if rest == nil {
			x.reset(c)
			c.g.waiters.add(c)
			err := c.reader.Request(&x.req, c.idleTime(), c.g.Limits.HeaderTime)
			c.fresh = false
			if err != nil {
				c.g.waiters.remove(c)
				c.refuse(err)
				return hangUp
			}
			c.g.active.Add(1)
			x.began = time.Now()
			rest = (*exchange).serve
		}
		then := c.step(x, rest)
		c.g.waiters.remove(c)
		x.logAccess()
		c.g.active.Add(-1)
		if rest = nil; then != goOn {
			return then
		}
		if c.reader.Release(); c.lane != nil && len(c.reader.Buffered()) == 0 {
			return goOn
		}
	}
}

// step does what is left to do for the request. A panic ends the connection.
func (c *client) step(x *exchange, rest func(*exchange) after) (then after) {
	defer func() {
		if v := recover(); v != nil {
			c.g.panicked(v)
			x.leave()
			x.panicked = true // its upload may still be streamed
			c.depart()
		}
	}()
	return rest(x)
}

// idleTime is how long the client may take to begin a request. A connection that never carried one is of no use to anybody.
func (c *client) idleTime() time.Duration {
	l := &c.g.Limits
	if c.fresh {
		return min(l.HeaderTime, l.IdleTime)
	}
	return l.IdleTime
}

// yield closes the connection while its goroutine waits for the client.
func (c *client) yield() { c.conn.Close() }

// lookBehind notes whether further requests have been received behind the one that the reader is done with. What was there
// before is remembered only of a client that has closed its side since.
func (c *client) lookBehind() {
	if len(c.reader.Buffered()) > 0 {
		c.waits.Store(true)
	} else if !c.half.Load() {
		c.waits.Store(false)
	}
}

// halfTime is how long a client that has closed its side behind several requests is waited for. Most such clients are gone, and
// hold a connection and a node's poll for nothing.
const halfTime = 5 * time.Second

// halfClosed has a client that closed its side count as gone after halfTime.
func (c *client) halfClosed() {
	if !c.half.Swap(true) {
		time.AfterFunc(halfTime, c.giveUp)
	}
}

// giveUp ends what is done for a client that has closed its side, but not while it is being sent an answer.
func (c *client) giveUp() {
	if c.answering.Load() {
		time.AfterFunc(halfTime, c.giveUp)
		return
	}
	c.depart()
}

// refuse answers a head that could not be read, where an answer is due.
func (c *client) refuse(err error) {
	var bad *http1.Error
	if !errors.As(err, &bad) {
		return
	}
	c.g.Metrics.refused("bad_head")
	if c.g.notices.due(notice{cause: "bad_head"}) {
		c.g.Log.Warn("a request is not HTTP as it should be: does something in front speak TLS, HTTP/2 or the PROXY protocol here?",
			"reason", bad.Reason, "client", c.ip)
	}
	if c.g.AccessLog {
		c.g.Log.Info("request", "client", c.ip, "status", bad.Status, "reason", "bad_head")
	}
	if _, err := c.write(plain(bad.Status, bad.Reason).Append(nil, engineio.CORS{}, true)); err == nil {
		c.linger()
	}
}

// write sends b within the limit for a client that does not read.
func (c *client) write(b []byte) (int, error) {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.g.Limits.WriteTime)); err != nil {
		return 0, err
	}
	return c.conn.Write(b)
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

// await lets the departure of the client end what is read from n and written to it, until done is called.
func (c *client) await(n net.Conn) {
	c.g.watcher.add(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = n
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
		c.node.SetDeadline(time.Unix(1, 0))
	}
}
