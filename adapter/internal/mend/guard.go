package mend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/socket.io/v2/socket"
)

// Handler puts a guard in front of the handler of io.
func Handler(io *socket.Server) http.Handler {
	next := io.ServeHandler(nil)
	e := &guardedEngine{Server: next.(engine.Server)}
	e.Prototype(e)
	e.Use(e.admit)
	g := &guard{next: next, limit: e.Opts().MaxHttpBufferSize()}
	_ = e.On("connection", func(args ...any) {
		s := args[0].(engine.Socket)
		g.follow(s)
		e.opened(s)
	})
	return g
}

type guard struct {
	next     http.Handler
	limit    int64
	upgrades sync.Map // from Engine.IO session id to the *heldConn that it is about to move to
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if headerHas(r.Header, "Connection", "upgrade") && headerHas(r.Header, "Upgrade", "websocket") {
		g.upgrade(w, r)
		return
	}
	body, ok := g.body(r)
	if !ok {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/octet-stream" &&
		r.URL.Query().Get("EIO") == "4" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"code":3,"message":"Bad request"}`) // a client that left needs no answer
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer := &heldAnswer{header: maps.Clone(w.Header()), status: http.StatusOK}
	ok = survived(func() { g.next.ServeHTTP(answer, r) })
	answer.finish()
	if ok {
		answer.send(r.Context(), w)
	} else {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// body reads a request's body whole; ok is false when it is above the limit or does not arrive.
func (g *guard) body(r *http.Request) (body []byte, ok bool) {
	if r.Body == nil || r.ContentLength > g.limit {
		return nil, r.Body == nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, g.limit+1))
	return body, err == nil && int64(len(body)) <= g.limit
}

func (g *guard) upgrade(w http.ResponseWriter, r *http.Request) {
	h := &hijacker{ResponseWriter: w}
	if sid := r.URL.Query().Get("sid"); sid != "" {
		h.taken = func(c *heldConn) {
			g.upgrades.Store(sid, c)
			c.forget = func() { g.upgrades.CompareAndDelete(sid, c) }
		}
	}
	survived(func() { g.next.ServeHTTP(h, r) })
	h.release()
}

// survived runs fn and tells whether it returned; what the library does not survive concerns one request only.
func survived(fn func()) (ok bool) {
	defer func() {
		if !ok {
			_ = recover()
		}
	}()
	fn()
	return true
}

func headerHas(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// errAnswered is what the library's late goroutines get when their request is over.
var errAnswered = errors.New("adapter: request is over")

// heldAnswer keeps an answer until its request has been handled whole. The library writes from goroutines that it does
// not wait for: a client would answer the open packet before its session can be found, and a write behind the request's
// end would touch the connection's next one.
type heldAnswer struct {
	header http.Header

	mu     sync.Mutex
	status int
	body   bytes.Buffer
	last   []func() // run when the request has been handled, before the client hears of it
	done   bool     // they have run
	over   bool
}

// Header implements http.ResponseWriter.
func (a *heldAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *heldAnswer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
}

// Write implements http.ResponseWriter.
func (a *heldAnswer) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return 0, errAnswered
	}
	return a.body.Write(b)
}

// behind has fn run once the request has been handled and before its answer leaves; at once where there is none.
func (a *heldAnswer) behind(fn func()) {
	if a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.done {
			a.last = append(a.last, fn)
			return
		}
	}
	go fn()
}

func (a *heldAnswer) finish() {
	a.mu.Lock()
	last := a.last
	a.done = true
	a.mu.Unlock()
	for _, fn := range last {
		fn()
	}
}

func (a *heldAnswer) send(ctx context.Context, w http.ResponseWriter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	if ctx.Err() != nil {
		return // the client is gone, and the library may still be writing the header
	}
	if a.header.Get("Access-Control-Allow-Origin") == "false" {
		a.header.Del("Access-Control-Allow-Origin")
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // a client that left is seen by its session's timeout
}
