package adapter_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/redistest"
	"github.com/zishang520/socket.io/v2/socket"
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

// TestSessionWithoutEncoding gives a socket data that cannot be kept, and then data that can. The first is told once,
// though it is looked at with each change of the socket's rooms.
func TestSessionWithoutEncoding(t *testing.T) {
	redis := redistest.Start(t)
	rdb := redisClient(t, redis.Port())
	var log logged
	metrics := adapter.NewMetrics()
	opts := socket.DefaultServerOptions()
	recovery := &socket.ConnectionStateRecovery{}
	recovery.SetMaxDisconnectionDuration(60_000)
	opts.SetConnectionStateRecovery(recovery)
	h := serveWith(t, opts, adapter.Streams(rdb, adapter.Options{
		SessionPrefix: "kept:", Metrics: metrics, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}))
	connected := make(chan *socket.Socket, 1)
	_ = h.io.On("connection", func(args ...any) { connected <- args[0].(*socket.Socket) })
	h.dial(t)
	s := <-connected
	redistest.Eventually(t, "the session is kept", func() bool { return sessionHolds(t, rdb, "kept:") })
	key := rdb.Keys(t.Context(), "kept:*").Val()[0]

	s.SetData(make(chan int))
	s.Join("first")
	redistest.Eventually(t, "the failure is told", func() bool { return log.count("reason=encode") > 0 })
	s.Join("second")
	h.dial(t)
	redistest.Eventually(t, "the changes are looked at again", func() bool {
		return len(rdb.Keys(t.Context(), "kept:*").Val()) == 2
	})
	s.SetData("again")
	s.Join("third")
	redistest.Eventually(t, "the session is kept again", func() bool { return sessionHolds(t, rdb, key, "again", "third") })
	if log.count("reason=encode") != 1 || log.count(string(s.Id())) != 1 || gather(t, metrics)["sidway_adapter_lost_total"] != 1 {
		t.Errorf("lost %v, logged: %s", gather(t, metrics)["sidway_adapter_lost_total"], &log.text)
	}
}
