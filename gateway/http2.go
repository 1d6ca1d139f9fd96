package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"
)

// This file serves clients that speak HTTP/2 (RFC 9113), which net/http does. What such a connection brings is a tunnel to net/http, over
// a pair of sockets, and each request goes the road of all others, as HTTP/1.1 over another pair. So there is one road, and HTTP/2 costs what
// it costs: a goroutine and three descriptors for a client, and three for each request at a time, where HTTP/1.1 needs two in all. Each of
// those requests counts as a connection. WebSockets do not come this way (RFC 8441 is not offered); browsers open a connection with HTTP/1.1 for
// each.

// http2 is the server of HTTP/2.
type http2 struct {
	g       *Gateway
	server  http.Server
	conns   chan net.Conn
	stop    chan struct{} // closed when no connection is served any more
	closing sync.Once
	ended   chan struct{}
}

// Keys of what a request's context holds.
type (
	http2Key  struct{} // its *http2Conn
	targetKey struct{} // its *url.URL, as the client has it
)

// http2Streams is how many requests of one connection are served at a time.
const http2Streams = 100

// streamsOf is how many requests a client is told that it may send at a time: half of the connections that it may have, lest one
// connection's requests are refused for want of them.
func streamsOf(l *Limits) int {
	if l.ClientConnections == 0 {
		return http2Streams
	}
	return min(http2Streams, max(1, l.ClientConnections/2))
}

func newHTTP2(g *Gateway) *http2 {
	h := &http2{g: g, conns: make(chan net.Conn), stop: make(chan struct{}), ended: make(chan struct{})}
	quiet := log.New(discard{}, "", 0)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true) // TLS is below
	h.server = http.Server{
		Protocols: &protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streamsOf(g.limits())}, ErrorLog: quiet,
		IdleTimeout: g.limits().IdleTime,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, http2Key{}, c) },
		Handler: counted(&httputil.ReverseProxy{
			Rewrite: rewrite, FlushInterval: -1, ErrorLog: quiet, Transport: roundTripper{}, ErrorHandler: h.refuse,
		}),
	}
	go func() {
		defer close(h.ended)
		_ = h.server.Serve(h)
	}()
	return h
}

// counted has a connection know how many requests are served on it, and refuses those that name no host, for which net/http would make
// one up.
func counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c := q.Context().Value(http2Key{}).(*http2Conn)
		t := &timedWriter{ResponseWriter: w, limit: c.g.limits().WriteTime}
		c.begin()
		defer func() {
			t.arm() // for what net/http sends when this returns
			c.end(t.late)
		}()
		if q.Host == "" {
			http.Error(t, "no host", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(t, q.WithContext(context.WithValue(q.Context(), targetKey{}, q.URL)))
	})
}

// refuse answers a request for which there are no descriptors. All else the road answers that can be answered: what is cut there is cut here.
func (h *http2) refuse(w http.ResponseWriter, _ *http.Request, err error) {
	if !errors.Is(err, errNoRoom) {
		panic(http.ErrAbortHandler)
	}
	h.g.metrics.refused("full")
	for name, value := range map[string]string{
		"Content-Type": full.ContentType, "Retry-After": strconv.Itoa(full.RetryAfter), "Cache-Control": "no-store", "Vary": "Origin",
	} {
		w.Header().Set(name, value)
	}
	w.WriteHeader(full.Status)
	_, _ = io.WriteString(w, full.Body)
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

// rewrite has a request go the road as it came.
func rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = "http", "client", p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	for _, name := range forwarded {
		if v, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = v
		}
	}
}

// roundTripper sends each request on a connection that only its client's requests use.
type roundTripper struct{}

// RoundTrip implements http.RoundTripper.
func (roundTripper) RoundTrip(q *http.Request) (*http.Response, error) {
	return q.Context().Value(http2Key{}).(*http2Conn).transport.RoundTrip(q)
}

// timedWriter writes an answer to a client that takes some of it in each limit. One that does not has its stream reset.
type timedWriter struct {
	http.ResponseWriter
	limit time.Duration
	due   time.Time
	late  bool // the client took nothing
}

// writtenAtOnce is how much of an answer a client has to take in a limit.
const writtenAtOnce = 16 << 10

// Write implements io.Writer.
func (w *timedWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		w.arm()
		var took int
		took, err = w.ResponseWriter.Write(b[:min(len(b), writtenAtOnce)])
		n, b = n+took, b[took:]
		w.written(err)
	}
	return n, err
}

// FlushError is what http.ResponseController flushes by.
func (w *timedWriter) FlushError() error {
	w.arm()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	w.written(err)
	return err
}

// arm gives the client its time.
func (w *timedWriter) arm() {
	w.due = time.Now().Add(w.limit)
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(w.due)
}

// written ends that time, which does not run while the node is waited for.
func (w *timedWriter) written(err error) {
	w.late = w.late || err != nil && !time.Now().Before(w.due)
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Time{})
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
		l.made = nil
	}
}
