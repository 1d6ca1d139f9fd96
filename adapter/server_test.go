package adapter_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/redistest"
	"github.com/zishang520/socket.io/v2/socket"
)

// here is a hardened server in this process, so that -race sees the adapter at work.
type here struct {
	io   *socket.Server
	http *httptest.Server
	once sync.Once
}

func serveHere(t *testing.T, c socket.AdapterConstructor) *here {
	t.Helper()
	return serveWith(t, socket.DefaultServerOptions(), c)
}

func serveWith(t *testing.T, opts *socket.ServerOptions, c socket.AdapterConstructor) *here {
	t.Helper()
	adapter.Harden(opts)
	if c != nil {
		opts.SetAdapter(c)
	}
	h := &here{io: socket.NewServer(nil, opts)}
	h.http = httptest.NewServer(adapter.Handler(h.io))
	t.Cleanup(h.close)
	return h
}

func (h *here) close() {
	h.once.Do(func() {
		h.io.Close(nil)
		h.http.Close()
		http.DefaultClient.CloseIdleConnections()
	})
}

// listener is a client by hand that gathers what it receives.
type listener struct {
	conn *websocket.Conn
	id   string
	done chan struct{}

	mu       sync.Mutex
	received []string
}

func (h *here) dial(t *testing.T) *listener {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), h.http.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{conn: c, done: make(chan struct{})}
	read := func() string {
		_, b, err := c.Read(t.Context())
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	read()
	l.send(t, "40")
	_, rest, _ := strings.Cut(read(), `"sid":"`)
	l.id, _, _ = strings.Cut(rest, `"`)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(l.done)
		for {
			_, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			l.mu.Lock()
			l.received = append(l.received, string(b))
			l.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = c.CloseNow()
		<-l.done
	})
	return l
}

func (l *listener) send(t *testing.T, frame string) {
	t.Helper()
	if err := l.conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Error(err)
	}
}

// with lists what the listener has received that begins with prefix.
func (l *listener) with(prefix string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, s := range l.received {
		if strings.HasPrefix(s, prefix) {
			list = append(list, s)
		}
	}
	return list
}

func (l *listener) await(t *testing.T, prefix string, n int) []string {
	t.Helper()
	redistest.Eventually(t, fmt.Sprintf("%d of %s", n, prefix), func() bool { return len(l.with(prefix)) >= n })
	return l.with(prefix)
}

func two(t *testing.T, make func() socket.AdapterConstructor) (a, b *here) {
	t.Helper()
	a, b = serveHere(t, make()), serveHere(t, make())
	redistest.Eventually(t, "two servers", func() bool {
		return a.io.Sockets().Adapter().ServerCount() == 2 && b.io.Sockets().Adapter().ServerCount() == 2
	})
	return a, b
}

// constructors are the adapters that need Redis.
func constructors(rdb redis.UniversalClient, o adapter.Options) map[string]func() socket.AdapterConstructor {
	return map[string]func() socket.AdapterConstructor{
		"pubsub":  func() socket.AdapterConstructor { return adapter.PubSub(rdb, o) },
		"sharded": func() socket.AdapterConstructor { return adapter.Sharded(rdb, o) },
		"streams": func() socket.AdapterConstructor { return adapter.Streams(rdb, o) },
	}
}

// dialClosing connects a client whose connection the server will close.
func (h *here) dialClosing(t *testing.T) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), h.http.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("40")); err != nil {
		t.Fatal(err)
	}
	return c
}
