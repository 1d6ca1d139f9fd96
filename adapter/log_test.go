package adapter_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/adapter"
)

// logged is a log that many goroutines write and the test reads.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// TestDefaultLogger gives no logger: the default one hears of a message that cannot travel.
func TestDefaultLogger(t *testing.T) {
	var log logged
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	h := serveHere(t, adapter.Local())
	_ = h.io.Emit("x", make(chan int))
	if log.count(`msg="message lost" reason=encode`) != 1 {
		t.Errorf("logged: %s", &log.text)
	}
}
