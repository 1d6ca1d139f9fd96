package gateway

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

// This file is one client's connection with HTTP/2. Until its preface has come it is a clientConn like any other; then net/http has it,
// and while it has no request in hand it gives way to others, and ends in time, as a clientConn does.

// http2Conn is a client's connection, as net/http has it. What is not atomic belongs to its loop.
type http2Conn struct {
	loop.Timer
	net.Conn
	caller
	g         *Gateway
	d         *driver         // whose loop the client's requests are dealt with on
	stop      <-chan struct{} // closed when none are any more
	transport http.Transport

	streams atomic.Int64 // requests in hand
	stuck   atomic.Bool  // the client took nothing of an answer for too long

	line    tunnel.Line
	fd      int // the client's
	token   loop.Token
	waiter  waiter
	crowded bool // see clientConn
	fresh   bool
	gone    bool
}

// preface is what a client with HTTP/2 begins with (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// readPreface leaves the client to net/http when its preface is there, or something else.
func (c *clientConn) readPreface() {
	if n := len(c.in.b); n < len(preface) && string(c.in.b) == preface[:n] {
		c.looked = n
		return
	}
	c.serveHTTP2()
}

// serveHTTP2 leaves the client to net/http.
func (c *clientConn) serveHTTP2() {
	g, d, s := c.g, c.d, c.seat
	c.waiter.leave()
	fd, conn, err := g.pair(true, d.spare)
	if err != nil {
		c.notServed(err)
		return
	}
	token, err := d.loop.Watch(fd, c, 1)
	if err != nil {
		sock.Close(fd)
		g.toNodes.Add(-1)
		conn.Close()
		c.notServed(err)
		return
	}
	if !c.to.IsValid() {
		c.to = sock.LocalAddr(c.fd) // which the sockets of its requests do not know
	}
	h, ends := g.http2(), c.limit
	hc := &http2Conn{
		Conn: conn, caller: c.caller, g: g, d: d, stop: h.stop, fd: c.fd, token: c.token, crowded: c.crowded, fresh: true,
	}
	hc.Init(hc)
	hc.waiter.c = hc
	hc.transport = http.Transport{
		DialContext: hc.dial, DisableCompression: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 10 * time.Second,
	}
	early := bytes.Clone(c.in.b)
	hc.line = g.pipes.Adopt(d.loop, c.hand(), tunnel.Socket{FD: fd, Token: token}, tunnel.Options{
		ToNode: early, Block: g.limits().WriteTime, Linger: lingerTime,
		Owner: tunnel.Done(func(tunnel.Result) {
			hc.left()
			g.toNodes.Add(-1)
			g.closed(s)
		}),
	})
	if !hc.gone {
		hc.wait(ends)
	}
	g.serving.Go(func() {
		select {
		case h.conns <- hc:
		case <-h.stop:
			conn.Close()
		}
	})
}

// notServed ends the connection of a client for which there is nothing to serve it with.
func (c *clientConn) notServed(err error) {
	c.g.metrics.refused("full")
	if errors.Is(err, errNoRoom) {
		c.g.tellShortage()
	} else if c.g.notices.due("http2", "", "") {
		c.g.log.Warn("a client cannot be served with HTTP/2", "error", err)
	}
	c.depart()
}

// quiet implements waited.
func (c *http2Conn) quiet() bool { return c.d.loop.Quiet(c.token, c.fd) }

// depart implements waited.
func (c *http2Conn) depart() { c.line.Cut() }

// Expire implements loop.Expirer: the client was waited for long enough.
func (c *http2Conn) Expire() { c.depart() }

// left notes that the connection is closed, and closes those of its requests that are idle.
func (c *http2Conn) left() {
	c.gone = true
	c.waiter.leave()
	c.d.loop.StopTimer(&c.Timer)
	c.transport.CloseIdleConnections()
}

// wait waits for the client's next request, until ends or for as long as net/http does.
func (c *http2Conn) wait(ends time.Duration) {
	c.d.waiters.of(c.crowded, c.fresh).add(&c.waiter, c.d.loop.Clock())
	if ends != forever {
		c.d.loop.SetTimer(&c.Timer, ends)
	}
}

// begin notes one more request. It is called on the request's goroutine, as end is.
func (c *http2Conn) begin() {
	if c.streams.Add(1) == 1 {
		c.d.loop.Send(c)
	}
}

// end is the end of a begin. After the last request of a client that took nothing of an answer the connection ends.
func (c *http2Conn) end(late bool) {
	if late {
		c.stuck.Store(true)
	}
	if c.streams.Add(-1) == 0 {
		c.d.loop.Send(c)
	}
}

// Receive implements loop.Receiver: there is a request, or none any more.
func (c *http2Conn) Receive() {
	if c.gone {
		return
	}
	c.waiter.leave()
	c.d.loop.StopTimer(&c.Timer)
	c.fresh = false
	switch {
	case c.streams.Load() > 0:
	case c.stuck.Load():
		c.depart()
	case c.crowded || c.over:
		c.wait(c.d.loop.Now() + crowdedTime)
	default:
		c.wait(forever)
	}
}

// dial makes a connection for requests of the client. It counts as one of the client's, until net/http is done with it.
func (c *http2Conn) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	target, _ := ctx.Value(targetKey{}).(*url.URL)
	live := c.g.lives(target)
	inner, outer, err := c.g.pair(live, func() bool { return c.spare(live) })
	if err != nil {
		c.g.tellShortage()
		return nil, errNoRoom
	}
	n := c.g.newClientConn(c.d, inner, c.caller)
	n.sit()
	outer.seat, n.seat = n.seat, seat{}
	c.d.loop.Send(task(func() {
		c.g.toNodes.Add(-1) // it is one of those that are open
		c.g.admit(n)
		n.arrive()
	}))
	return outer, nil
}

// spare has somebody on the loop give a descriptor up for a request, and reports whether there was one.
func (c *http2Conn) spare(live bool) bool {
	spared := make(chan bool, 1)
	c.d.loop.Send(task(func() { spared <- live && c.d.spare() || !live && (c.d.makeRoom() || c.d.dropIdle()) }))
	select {
	case ok := <-spared:
		return ok
	case <-c.stop: // the loop may have ended
		return false
	}
}

// lives reports whether a request is of a session that is known here.
func (g *Gateway) lives(target *url.URL) bool {
	sid := ""
	if target != nil {
		sid = target.Query().Get("sid")
	}
	return sid != "" && slices.ContainsFunc(g.topology.Load().all, func(r *route) bool {
		_, known := r.known(sid)
		return known
	})
}

// errNoRoom says that as many descriptors are used as may be.
var errNoRoom = errors.New("gateway: no descriptors are left")

// pairTries is how often somebody is asked to give a descriptor up for a pair, which takes two.
const pairTries = 2

// pair returns the two ends of a connection: a descriptor for a loop, and what net/http takes. Where there is no room for them, spare makes
// some, while it can. Both count in toNodes: net/http's until it is closed, the loop's until whoever has it takes it out.
func (g *Gateway) pair(live bool, spare func() bool) (fd int, conn *pairConn, err error) {
	for range 1 + pairTries {
		if fd, conn, err = g.connPair(live); err == nil || !spare() {
			break
		}
	}
	return fd, conn, err
}

// connPair is a try of pair. There has to be room for one more, since a request needs a connection to its node too.
func (g *Gateway) connPair(live bool) (int, *pairConn, error) {
	if g.toNodes.Add(2)+g.open.Load() >= g.mostDescriptors(live) {
		g.toNodes.Add(-2)
		return -1, nil, errNoRoom
	}
	fd, conn, err := newPair()
	if err != nil {
		g.toNodes.Add(-2)
		return -1, nil, err
	}
	return fd, &pairConn{Conn: conn, g: g}, nil
}

func newPair() (int, net.Conn, error) {
	pair, err := sock.Pair()
	if err != nil {
		return -1, nil, err
	}
	f := os.NewFile(uintptr(pair[1]), "pair")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		sock.Close(pair[0])
		return -1, nil, err
	}
	return pair[0], conn, nil
}

// pairConn is net/http's end of a pair.
type pairConn struct {
	net.Conn
	g    *Gateway
	seat seat // of a connection for requests
	once sync.Once
}

// Close implements net.Conn.
func (c *pairConn) Close() error {
	c.once.Do(func() {
		c.g.toNodes.Add(-1)
		c.g.stand(c.seat)
	})
	return c.Conn.Close()
}
