package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// tunnel is two directions over two connections. Each direction runs in a goroutine of its own, and the one that ends last
// closes up.
type tunnel struct {
	engine       *Goroutines
	client, node net.Conn
	up, down     direction // to the node, to the client
	linger       time.Duration
	done         func(Result)

	mu    sync.Mutex
	cause Cause
	timer *time.Timer // runs once one direction has ended; closes what goes on for too long
}

// direction passes bytes from one connection to the other.
type direction struct {
	t      *tunnel
	src    source
	dst    net.Conn
	passed int64
	said   *atomic.Uint64 // counts what src said; nil: nobody asks

	srcClosed, dstClosed Cause // what it means that this side has gone

	block  time.Duration
	brief  bool          // the write deadline of dst must not outlive a write
	taken  time.Time     // until when dst may block: its write deadline
	idle   time.Duration // 0: no limit
	silent time.Time     // when src will have been idle for too long; src's read deadline lags behind it
}

func newTunnel(g *Goroutines, o Options) *tunnel {
	t := &tunnel{engine: g, client: o.Client, node: o.Node, linger: o.Linger, done: o.Done}
	if t.linger <= 0 {
		t.linger = DefaultLinger
	}
	t.up = direction{t: t, dst: o.Node, srcClosed: ClientClosed, dstClosed: NodeClosed, block: o.Block, idle: o.Idle}
	t.down = direction{t: t, dst: o.Client, srcClosed: NodeClosed, dstClosed: ClientClosed, block: o.Block}
	t.up.src.init(o.Client, g.buffers)
	t.down.src.init(o.Node, g.buffers)
	t.down.said = o.Heard
	t.up.brief = o.Block > 0 && t.down.src.raw == nil
	t.down.brief = o.Block > 0 && t.up.src.raw == nil
	o.Client.SetDeadline(time.Time{})
	o.Node.SetDeadline(time.Time{})
	if o.Idle > 0 {
		o.Client.SetReadDeadline(time.Now().Add(o.Idle + o.Grace))
	}
	return t
}

// stop makes the direction to the client end as if the node had closed. Only stop sets a read deadline on the node's
// connection, so that its expiry is the order itself.
func (t *tunnel) stop() {
	t.because(Shutdown)
	t.node.SetReadDeadline(time.Unix(1, 0))
}

// cut closes both connections now; the directions end by it.
func (t *tunnel) cut(c Cause) {
	t.because(c)
	hangUp(t.client)
	hangUp(t.node)
}

func (t *tunnel) because(c Cause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cause == 0 {
		t.cause = c
	}
}

// ended is called by each direction as its last act.
func (t *tunnel) ended() {
	t.mu.Lock()
	last := t.timer != nil
	if !last {
		t.timer = time.AfterFunc(t.linger, func() { t.cut(Failed) })
	}
	t.mu.Unlock()
	if !last {
		return
	}
	t.timer.Stop()
	t.client.Close()
	t.node.Close()
	t.report()
	t.engine.remove(t)
}

func (t *tunnel) report() {
	if t.done == nil {
		return
	}
	t.mu.Lock()
	c := t.cause
	t.mu.Unlock()
	t.done(Result{FromClient: t.up.passed, FromNode: t.down.passed, Cause: c})
}

func (d *direction) run(early []byte) {
	defer d.t.ended()
	if len(early) > 0 {
		if err := d.write(early); err != nil {
			d.refused(err)
			return
		}
	}
	d.relay()
}

// relay passes bytes on until src ends or dst refuses them.
func (d *direction) relay() {
	for {
		b, err := d.src.read()
		if len(b) > 0 {
			werr := d.write(b)
			d.src.release()
			if werr != nil {
				d.refused(werr)
				return
			}
		}
		if err != nil && d.over(err) {
			return
		}
	}
}

// write passes b on whole, and restarts the clock of Idle: the time that a write takes is not the silence of src.
func (d *direction) write(b []byte) error {
	if d.block > 0 {
		d.limitWrite()
	}
	if d.said != nil {
		d.said.Add(1)
	}
	n, err := d.dst.Write(b)
	d.passed += int64(n)
	if d.brief && err == nil {
		d.taken = time.Time{}
		d.dst.SetWriteDeadline(d.taken)
	}
	if d.idle > 0 {
		d.silent = time.Now().Add(d.idle)
	}
	return err
}

// limitWrite sets the deadline of a write so far ahead that it serves the writes of a while: a timer is touched four times per
// Block, not per frame. A TLS connection may have to write while it is read (RFC 8446, 4.6.3), so that there, as in all
// connections that are not plain sockets, the deadline is taken back after the write.
func (d *direction) limitWrite() {
	if now := time.Now(); d.taken.Sub(now) < d.block {
		d.taken = now.Add(d.block + d.block/4)
		d.dst.SetWriteDeadline(d.taken)
	}
}

// over decides what an error from src means, and whether the direction has ended.
func (d *direction) over(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if d.idle == 0 { // told by stop
			d.closeWrite()
			return true
		}
		// The deadline was set long ago: move it to where the last bytes put it.
		if d.silent.After(time.Now()) {
			d.src.conn.SetReadDeadline(d.silent)
			return false
		}
		abandon(d.src.conn)
		d.t.cut(ClientIdle)
		return true
	}
	d.t.because(blame(err, d.srcClosed))
	d.closeWrite()
	return true
}

// refused ends the direction after a failed write. The opposite one goes on: a peer that closed may have sent bytes before,
// which still wait to be read.
func (d *direction) refused(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		abandon(d.dst)
		d.t.cut(Blocked)
		return
	}
	d.t.because(blame(err, d.dstClosed))
}

// closeWrite tells dst that no more bytes will come. A connection that cannot be told so is closed, and the tunnel with it.
func (d *direction) closeWrite() {
	if c, ok := d.dst.(interface{ CloseWrite() error }); ok {
		c.CloseWrite() // fails only where dst has gone, which the opposite direction finds out
		return
	}
	d.t.cut(Failed)
}

// blame returns gone if err says that the peer has closed or reset the connection.
func blame(err error, gone Cause) Cause {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return gone
		}
	}
	return Failed
}

// hangUp closes c without waiting: a TLS connection that is blocked would try for five seconds to write its farewell.
func hangUp(c net.Conn) {
	if u, ok := c.(interface{ NetConn() net.Conn }); ok {
		u.NetConn().Close()
	}
	c.Close()
}

// abandon makes a later close of c drop what the peer did not take, rather than leave it to the kernel for minutes.
func abandon(c net.Conn) {
	if u, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = u.NetConn()
	}
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
}
