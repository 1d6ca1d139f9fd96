package gateway

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

// This file serves clients that speak HTTP/2 (RFC 9113), which net/http does. What such a connection brings is a tunnel to net/http, over
// a pair of sockets, and each request goes the road of all others, as HTTP/1.1 over another pair. So there is one road, and HTTP/2 costs what
// it costs: a goroutine and up to five descriptors where HTTP/1.1 needs two. WebSockets do not come this way (RFC 8441 is not
// offered); browsers open a connection with HTTP/1.1 for each.

// http2 is the server of HTTP/2.
type http2 struct {
	g         *Gateway
	server    http.Server
	transport *http.Transport
	conns     chan net.Conn
	stop      chan struct{} // closed when no connection is served any more
	closing   sync.Once
	ended     chan struct{}
	last      atomic.Uint64
	clients   sync.Map // of ids to *http2Conn
}

// http2Conn is a client's connection, as net/http has it.
type http2Conn struct {
	net.Conn
	caller
	id string
	d  *driver // whose loop the client's requests are dealt with on
}

type http2Key struct{}

// http2Streams is how many requests of one connection are served at a time.
const http2Streams = 100

func newHTTP2(g *Gateway) *http2 {
	h := &http2{g: g, conns: make(chan net.Conn), stop: make(chan struct{}), ended: make(chan struct{})}
	quiet := log.New(discard{}, "", 0)
	h.transport = &http.Transport{
		DialContext: h.dial, DisableCompression: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 10 * time.Second,
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true) // TLS is below
	h.server = http.Server{
		Protocols: &protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: http2Streams}, ErrorLog: quiet,
		IdleTimeout: g.limits().IdleTime,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, http2Key{}, c) },
		Handler: named(&httputil.ReverseProxy{
			Rewrite: h.rewrite, FlushInterval: -1, ErrorLog: quiet, Transport: h.transport,
			// The road answers whatever it can answer. What is cut there is cut here.
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		}),
	}
	go func() {
		defer close(h.ended)
		_ = h.server.Serve(h)
	}()
	return h
}

// named refuses requests that name no host, for which net/http would make one up.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Host == "" {
			http.Error(w, "no host", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, q)
	})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// Accept, Close and Addr make h the listener of its server.
func (h *http2) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.stop:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The server calls it more than once.
func (h *http2) Close() error {
	h.closing.Do(func() { close(h.stop) })
	return nil
}

// Addr implements net.Listener.
func (h *http2) Addr() net.Addr { return nil }

// forwarded are the headers that httputil takes away and the road has the say on.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// rewrite has a request go the road as it came, on a connection that only its client's requests use.
func (h *http2) rewrite(p *httputil.ProxyRequest) {
	c := p.In.Context().Value(http2Key{}).(*http2Conn)
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = "http", c.id, p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	for _, name := range forwarded {
		if v, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = v
		}
	}
}

// dial makes a connection for requests of one client, whose id stands in address.
func (h *http2) dial(_ context.Context, _, address string) (net.Conn, error) {
	id, _, _ := net.SplitHostPort(address)
	v, ok := h.clients.Load(id)
	if !ok {
		return nil, errors.New("gateway: the client has left")
	}
	c := v.(*http2Conn)
	inner, outer, err := h.g.connPair()
	if err != nil {
		return nil, err
	}
	c.d.loop.Send(task(func() {
		n := h.g.newClientConn(c.d, inner, c.caller)
		h.g.admit(n)
		n.arrive()
	}))
	return outer, nil
}

// connPair returns two ends of a connection: a descriptor for a loop, and what net/http takes, which counts as a descriptor until it is
// closed.
func (g *Gateway) connPair() (int, net.Conn, error) {
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
	g.toNodes.Add(1)
	return pair[0], &pairConn{Conn: conn, g: g}, nil
}

// pairConn is net/http's end of a pair.
type pairConn struct {
	net.Conn
	g    *Gateway
	once sync.Once
}

// Close implements net.Conn.
func (c *pairConn) Close() error {
	c.once.Do(func() { c.g.toNodes.Add(-1) })
	return c.Conn.Close()
}

// serveHTTP2 leaves the client to net/http.
func (c *clientConn) serveHTTP2() {
	g, d, s := c.g, c.d, c.seat
	fd, conn, err := g.connPair()
	if err != nil {
		g.log.Warn("a client cannot be served with HTTP/2", "error", err)
		c.depart()
		return
	}
	token, err := d.loop.Watch(fd, c, 1)
	if err != nil {
		sock.Close(fd)
		conn.Close()
		c.depart()
		return
	}
	h := g.http2()
	if !c.to.IsValid() {
		c.to = sock.LocalAddr(c.fd) // which the sockets of its requests do not know
	}
	hc := &http2Conn{Conn: conn, caller: c.caller, id: strconv.FormatUint(h.last.Add(1), 36), d: d}
	h.clients.Store(hc.id, hc)
	g.toNodes.Add(1)
	g.pipes.Adopt(d.loop, c.hand(), tunnel.Socket{FD: fd, Token: token}, tunnel.Options{
		Block: g.limits().WriteTime,
		Owner: tunnel.Done(func(tunnel.Result) {
			h.clients.Delete(hc.id)
			g.toNodes.Add(-1)
			g.closed(s)
		}),
	})
	g.serving.Go(func() {
		select {
		case h.conns <- hc:
		case <-h.stop:
			conn.Close()
		}
	})
}

// lazyHTTP2 is a server that is made for the first client that speaks HTTP/2.
type lazyHTTP2 struct {
	mu   sync.Mutex
	made *http2
}

// http2 returns the server of HTTP/2.
func (g *Gateway) http2() *http2 {
	g.two.mu.Lock()
	defer g.two.mu.Unlock()
	if g.two.made == nil {
		g.two.made = newHTTP2(g)
	}
	return g.two.made
}

// shutdown has clients told to go when their requests are answered.
func (l *lazyHTTP2) shutdown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.made; h != nil {
		go func() { _ = h.server.Shutdown(context.Background()) }() // until close
	}
}

// close ends all that is served.
func (l *lazyHTTP2) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.made; h != nil {
		h.server.Close()
		<-h.ended
		h.transport.CloseIdleConnections()
		l.made = nil
	}
}
