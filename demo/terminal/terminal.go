// Package terminal is what the demo's processes say in the terminal: warnings, and of Redis only what is worth a line.
//
//	log := slog.New(terminal.New(os.Stderr, terminal.Options{}))
//
// On a machine that builds or runs much else, Redis is late now and then, and a replica that stops using it for a moment
// says so. Such a warning is held back until it has been true for a while; when it was told, the end is told, too, once.
package terminal

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Patience is how long Redis may be of no use before it is told.
const Patience = 2 * time.Second

// The records that tell of Redis, of package replica, of the adapter and of package chat.
const (
	unused    = "so new bindings are kept here"             // how those of an outage end
	waiting   = "redis does not answer: what is said waits" // of a chat node
	kept      = "redis is away: entries are kept"           // of the adapter, which does not tell of the end
	lost      = "subscription lost"                         // likewise
	changed   = "the store of bindings changed its state"   // for debugging
	used      = "redis is used again"                       // the end
	recovered = "recovering"                                // state in changed: it answers, and may lack something yet
)

// Options says what is told.
type Options struct {
	Silent bool // nothing of outages of Redis: others tell of them
}

// New returns a handler that writes warnings to w, and the end of an outage that it has told of. It may be used
// concurrently.
func New(w io.Writer, o Options) slog.Handler {
	return &handler{next: slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo}), outage: &outage{}, opts: o}
}

type handler struct {
	next   slog.Handler
	outage *outage
	opts   Options
}

// outage is what is known of one that may be going on.
type outage struct {
	mu   sync.Mutex
	held *time.Timer // which tells of it
	told bool
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.next.WithAttrs(attrs), h.outage, h.opts}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.next.WithGroup(name), h.outage, h.opts}
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case r.Message == kept, r.Message == lost:
		return nil
	case r.Level == slog.LevelWarn && (strings.HasSuffix(r.Message, unused) || r.Message == waiting):
		return h.began(ctx, r)
	case r.Message == used, r.Message == changed && state(r) == recovered:
		return h.answers(ctx, r)
	case r.Level < slog.LevelWarn:
		return nil
	}
	return h.next.Handle(ctx, r)
}

func state(r slog.Record) (s string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "state" {
			s = a.Value.String()
		}
		return s == ""
	})
	return s
}

// began holds a warning back, unless the outage is told of already: then it says more of it.
func (h *handler) began(ctx context.Context, r slog.Record) error {
	o := h.outage
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case h.opts.Silent:
		return nil
	case o.told:
		return h.next.Handle(ctx, r)
	case o.held == nil:
		o.held = time.AfterFunc(Patience, func() { h.tell(r.Clone()) })
	}
	return nil
}

func (h *handler) tell(r slog.Record) {
	o := h.outage
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held == nil {
		return // it was over when the time was
	}
	o.held, o.told = nil, true
	_ = h.next.Handle(context.Background(), r) // a terminal that is gone is told nothing
}

// answers forgets what was held back, and tells the end of what was told.
func (h *handler) answers(ctx context.Context, r slog.Record) error {
	o := h.outage
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held != nil {
		o.held.Stop()
		o.held = nil
	}
	if !o.told || r.Message != used {
		return nil
	}
	o.told = false
	return h.next.Handle(ctx, r)
}
