package certs

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge has what certmagic says in the log, at the level debug: what people must know is told by its events.
type bridge struct {
	zapcore.LevelEnabler
	log    *slog.Logger
	fields []zapcore.Field
}

func zapOf(log *slog.Logger) *zap.Logger {
	enabled := zap.LevelEnablerFunc(func(zapcore.Level) bool { return log.Enabled(context.Background(), slog.LevelDebug) })
	return zap.New(bridge{LevelEnabler: enabled, log: log})
}

// With implements zapcore.Core.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	b.fields = slices.Concat(b.fields, fields)
	return b
}

// Check implements zapcore.Core.
func (b bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return c.AddCore(e, b)
	}
	return c
}

// Write implements zapcore.Core.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	all := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(b.fields, fields) {
		f.AddTo(all)
	}
	args := []any{"level_there", e.Level.String()}
	for _, key := range slices.Sorted(maps.Keys(all.Fields)) {
		args = append(args, key, all.Fields[key])
	}
	b.log.Debug("acme: "+e.Message, args...)
	return nil
}

// Sync implements zapcore.Core.
func (b bridge) Sync() error { return nil }
