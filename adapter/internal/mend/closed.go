package mend

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/types"
)

// guardedEngine is an engine that makes no session after its end. It also makes the polling transports.
type guardedEngine struct {
	engine.Server
	closed atomic.Bool
}

// Cleanup implements engine.BaseServer. The engine calls it when it has closed its sessions; those that were made
// meanwhile are closed here, and by opened.
func (e *guardedEngine) Cleanup() {
	e.closed.Store(true)
	e.Clients().Range(func(_ string, s engine.Socket) bool {
		s.Close(true)
		return true
	})
}

func (e *guardedEngine) opened(s engine.Socket) {
	if e.closed.Load() {
		s.Close(true)
	}
}

// admit refuses new sessions once the engine is closed, behind the middleware that sets CORS headers. Requests of
// sessions find them unknown. Node's server takes no connection any more; this one has its client make a new one.
func (e *guardedEngine) admit(ctx *types.HttpContext, next func(error)) {
	if !e.closed.Load() {
		next(nil)
		return
	}
	ctx.ResponseHeaders.Set("Connection", "close")
	if ctx.Query().Peek("sid") != "" {
		next(nil)
		return
	}
	ctx.ResponseHeaders.Set("Content-Type", "text/plain; charset=utf-8")
	ctx.SetStatusCode(http.StatusServiceUnavailable)
	_, _ = io.WriteString(ctx, "server is closed\n") // a client that left needs no answer
}
