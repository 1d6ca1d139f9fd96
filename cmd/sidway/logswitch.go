package main

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// logSwitch is a slog.Handler that can become another one while loggers use it.
type logSwitch struct {
	handler *atomic.Pointer[slog.Handler]
	with    []func(slog.Handler) slog.Handler // attributes and groups of a logger that was derived
}

func newLogSwitch(h slog.Handler) *logSwitch {
	s := &logSwitch{handler: new(atomic.Pointer[slog.Handler])}
	s.set(h)
	return s
}

// set has all loggers use h from now on.
func (s *logSwitch) set(h slog.Handler) { s.handler.Store(&h) }

// Enabled implements slog.Handler.
func (s *logSwitch) Enabled(ctx context.Context, l slog.Level) bool {
	return (*s.handler.Load()).Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (s *logSwitch) Handle(ctx context.Context, r slog.Record) error {
	h := *s.handler.Load()
	for _, with := range s.with {
		h = with(h)
	}
	return h.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s *logSwitch) WithAttrs(attrs []slog.Attr) slog.Handler {
	return s.derive(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (s *logSwitch) WithGroup(name string) slog.Handler {
	return s.derive(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (s *logSwitch) derive(with func(slog.Handler) slog.Handler) *logSwitch {
	return &logSwitch{s.handler, append(slices.Clip(s.with), with)}
}
