package http1

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// How long a connection may be idle before it is used again.
const (
	silentIdle = 2 * time.Second // where the node announced nothing, as Go's servers do
	idleMargin = time.Second     // less than announced: what the node closes must not cross what we send
)

// ErrPoolClosed is returned by a Pool that has been closed.
var ErrPoolClosed = errors.New("http1: the pool of connections is closed")

// Conn is a connection to a node. Reader reads its responses; requests are written to the Conn itself. Close may be
// called by any goroutine and ends what the others do with it; the Reader's buffer is for its own goroutine to give back.
type Conn struct {
	net.Conn
	Reader *Reader

	seen  peeker
	until time.Time // when it is too old to be used again
}

// Pool keeps connections to one node that may be used again. It is safe for concurrent use. A cycle of Take and Put
// does not allocate. It starts no goroutine: somebody calls Sweep now and then.
type Pool struct {
	dial func(context.Context) (net.Conn, error)
	peer atomic.Pointer[peer]

	mu     sync.Mutex
	idle   []*Conn // the newest last
	closed bool
}

// NewPool returns an empty Pool that gets its connections from dial.
func NewPool(dial func(ctx context.Context) (net.Conn, error)) *Pool {
	return &Pool{dial: dial}
}

// Take returns a connection, reused if it has carried a request before: the one that was put back last, provided that it
// has been idle for less than the node keeps it and was seen open and silent by a look at the socket just now. Bytes
// that wait before a request was sent belong to no answer, so that such a connection is closed. Where there is none,
// Take dials. The read and write deadlines are clear. A node may still close a reused connection before it reads the
// request; whoever has written to it cannot know what was read.
func (p *Pool) Take(ctx context.Context) (c *Conn, reused bool, err error) {
	if c = p.TakeIdle(); c != nil {
		return c, true, nil
	}
	c, err = p.Dial(ctx)
	return c, false, err
}

// TakeIdle is Take for one who does not wait: nil where Take would dial.
func (p *Pool) TakeIdle() *Conn {
	for {
		c := p.pop()
		if c == nil || time.Now().Before(c.until) && c.seen.open() {
			return c
		}
		c.discard()
	}
}

// Dial returns a fresh connection whatever is idle, for an upgrade or a request that must not meet a closing one.
// Errors are dial's own.
func (p *Pool) Dial(ctx context.Context) (*Conn, error) {
	if p.isClosed() {
		return nil, ErrPoolClosed
	}
	nc, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	p.reached(nc.RemoteAddr())
	return Adopt(nc, nil), nil
}

// reached notes the address that a name stands for.
func (p *Pool) reached(a net.Addr) {
	t, ok := a.(*net.TCPAddr)
	if last := p.peer.Load(); ok && (last == nil || !last.until.IsZero()) {
		p.peer.Store(&peer{addr: t.AddrPort(), until: time.Now().Add(peerTime)})
	}
}

// Adopt returns a connection to a node that was opened elsewhere, of whose answer early has been received already.
func Adopt(nc net.Conn, early []byte) *Conn {
	c := &Conn{Conn: nc, Reader: NewReader(nc)}
	c.Reader.Preload(early)
	c.seen.watch(nc)
	return c
}

// Last says that no other request may follow on c: Put closes it.
func (c *Conn) Last() { c.seen = peeker{} }

// peerTime is how long the address behind a node's name is taken to stay the same.
const peerTime = 5 * time.Second

type peer struct {
	addr  netip.AddrPort
	until time.Time // zero: for good
}

// Peer returns the address that Dial reached, if that is not long ago: for one who connects without looking names up.
func (p *Pool) Peer(now time.Time) (netip.AddrPort, bool) {
	last := p.peer.Load()
	if last == nil || !last.until.IsZero() && now.After(last.until) {
		return netip.AddrPort{}, false
	}
	return last.addr, true
}

// Pin tells that the node's address is not a name, so that Peer knows it for good. It comes before any other use of p.
func (p *Pool) Pin(addr netip.AddrPort) { p.peer.Store(&peer{addr: addr}) }

// KeepFor returns how long a node's connection may be idle and still be used again, by what the node announced: 0 where
// it announced nothing.
func KeepFor(announced time.Duration) time.Duration {
	if announced > 0 {
		return announced - idleMargin
	}
	return silentIdle
}

// Put gives a connection back, for keepAlive as Response.KeepAlive has it: 0 where nothing was announced. The caller promises
// that the answer was read to its end, that neither side said close, and that no upgrade was asked for on it. It counts
// as idle since its answer ended, however late Put is called. A connection that cannot be used again is closed: bytes
// are unread, its body was not finished, it is kept for too short, or its socket cannot be looked at (TLS, net.Pipe).
func (p *Pool) Put(c *Conn, keepAlive time.Duration) {
	keep := KeepFor(keepAlive)
	if keep <= 0 || !c.seen.able() || !c.Reader.body.Done() || len(c.Reader.Buffered()) > 0 ||
		c.SetDeadline(time.Time{}) != nil {
		c.discard()
		return
	}
	c.Reader.Release()
	c.until = c.Reader.ended.Add(keep)
	if !p.push(c) {
		c.discard()
	}
}

// Sweep closes the connections that are too old to be used again at now. Call it every second or so.
func (p *Pool) Sweep(now time.Time) {
	for _, c := range p.expired(now) {
		c.discard()
	}
}

// Idle returns how many connections wait to be used again.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// Close closes the idle connections, and those put back later. Connections in use go on.
func (p *Pool) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.discard()
	}
}

func (p *Pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *Pool) pop() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle) - 1
	if n < 0 {
		return nil
	}
	c := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	return c
}

func (p *Pool) push(c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.idle = append(p.idle, c)
	}
	return !p.closed
}

// expired takes out what is too old. The rest keeps its order.
func (p *Pool) expired(now time.Time) []*Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var old []*Conn
	kept := p.idle[:0]
	for _, c := range p.idle {
		if now.Before(c.until) {
			kept = append(kept, c)
		} else {
			old = append(old, c)
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	return old
}

// discard closes a connection that nobody uses.
func (c *Conn) discard() {
	_ = c.Close() // it is given up for good; an error changes nothing
	c.Reader.Discard()
}
