package admin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

const (
	// MostConnections is how many connections the admin address serves at a time, so that it takes no client's descriptor.
	MostConnections = 128
	// surplus is how many more get an answer: that of a probe, or why there is no other.
	surplus = 8
)

// Limit bounds the connections of a server of l: beyond MostConnections the handler that New returns answers probes alone, and
// anything else with 503; beyond a few more they are closed. It has the server pass the handler what it needs for that.
func Limit(s *http.Server, l net.Listener, log *slog.Logger) *Limited {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	return &Limited{Listener: l, log: log, told: notice.Limiter[string]{Pause: time.Hour}}
}

// Limited is a listener whose connections are bounded.
type Limited struct {
	net.Listener
	log  *slog.Logger
	told notice.Limiter[string]
	open atomic.Int64
}

// Open returns how many connections are open. It may be called concurrently.
func (l *Limited) Open() int64 { return l.open.Load() }

// Accept implements net.Listener.
func (l *Limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		n := l.open.Add(1)
		if n > MostConnections && l.told.Due("") {
			l.log.Warn("the admin address has as many connections as it may: others get 503", "connections", MostConnections)
		}
		if n <= MostConnections+surplus {
			return &limitedConn{Conn: c, surplus: n > MostConnections, closed: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		_ = c.Close()
	}
}

// connKey is where a request's context has its connection.
type connKey struct{}

type limitedConn struct {
	net.Conn
	surplus bool
	closed  func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// crowded reports whether a request came on a connection above MostConnections, which ends with its answer.
func crowded(w http.ResponseWriter, r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(*limitedConn)
	if !ok || !c.surplus {
		return false
	}
	w.Header().Set("Connection", "close")
	return r.URL.Path != "/healthz" && r.URL.Path != "/readyz"
}
