package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// withEngines adds a cluster of real Engine.IO nodes, named n1, n2….
func withEngines(nodes ...*engineiotest.Node) siteOption {
	return func(o *siteOptions) {
		var configs []cluster.Config
		for i, n := range nodes {
			configs = append(configs, cluster.Config{
				Name: fmt.Sprintf("n%d", i+1), Address: n.Addr(), Weight: 1,
			})
		}
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: cluster.New("c1", cluster.Settings{Method: o.method, Nodes: configs})})
	}
}

// sessions returns how many sessions each node counts, by name.
func (s *site) sessions() map[string]int {
	counts := map[string]int{}
	for _, n := range s.clusters[0].Statuses() {
		counts[n.Node.Name] = n.Sessions
	}
	return counts
}

var sidInPacket = regexp.MustCompile(`\\?"sid\\?":\\?"([^"\\]+)`)

// handshake makes a session by polling and returns its sid.
func (c *rawClient) handshake(target string) string {
	c.t.Helper()
	c.send(get(target, "Accept-Encoding: gzip"))
	r := c.answer()
	m := sidInPacket.FindStringSubmatch(r.Text)
	if r.StatusCode != 200 || m == nil {
		c.t.Fatalf("the handshake got %d %q", r.StatusCode, r.Text)
	}
	return m[1]
}

// ask sends a request and returns its answer's status and body.
func (c *rawClient) ask(request string) (int, string) {
	c.t.Helper()
	c.send(request)
	method, _, _ := strings.Cut(request, " ")
	r := c.answerTo(method)
	return r.StatusCode, r.Text
}

// expect fails the test unless the request gets this answer.
func (c *rawClient) expect(request string, status int, body string) {
	c.t.Helper()
	if gotStatus, gotBody := c.ask(request); gotStatus != status || gotBody != body {
		line, _, _ := strings.Cut(request, "\r\n")
		c.t.Fatalf("%s: got %d %q, want %d %q", line, gotStatus, gotBody, status, body)
	}
}

// websocket asks for a WebSocket and expects to get one.
func (c *rawClient) websocket(target string) {
	c.t.Helper()
	c.send(get(target, asksWebSocket...))
	if r := c.start("GET"); r.StatusCode != 101 {
		c.t.Fatalf("the WebSocket got %d", r.StatusCode)
	}
}

// masked is a text frame as a client sends it.
func masked(text string) string {
	return string([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}) + text
}

// message reads one server frame of up to 125 bytes and returns its payload.
func (c *rawClient) message() string {
	c.t.Helper()
	head := c.read(2)
	return c.read(int(head[1]))
}

func postTarget(sid string) string { return pollTarget(sid) }

// post is a POST of one payload in a session.
func post(sid, payload string) string {
	return request("POST", postTarget(sid), payload, fmt.Sprintf("Content-Length: %d", len(payload)))
}

// wrapStore lets a test come between the gateway and a store.
type wrapStore struct {
	affinity.Store

	mu       sync.Mutex
	away     bool
	binds    int
	lookups  int
	onLookup func(b *affinity.Binding)
	onBind   func()
}

func (w *wrapStore) set(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

func (w *wrapStore) counts() (binds, lookups int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.binds, w.lookups
}

func (w *wrapStore) Bind(ctx context.Context, sid string, b affinity.Binding) error {
	w.mu.Lock()
	w.binds++
	away := w.away
	w.mu.Unlock()
	if w.onBind != nil {
		w.onBind()
	}
	err := w.Store.Bind(ctx, sid, b)
	if away {
		return fmt.Errorf("%w: kept here", affinity.ErrUnavailable)
	}
	return err
}

func (w *wrapStore) Lookup(ctx context.Context, sid string) (affinity.Binding, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups++
	if w.away {
		return affinity.Binding{}, affinity.ErrUnavailable
	}
	b, err := w.Store.Lookup(ctx, sid)
	if err == nil && w.onLookup != nil {
		w.onLookup(&b)
	}
	return b, err
}

func (w *wrapStore) BindThen(sid string, b affinity.Binding, done func(error)) {
	go func() { done(w.Bind(context.Background(), sid, b)) }()
}

func (w *wrapStore) LookupThen(sid string, done func(affinity.Binding, error)) {
	go func() { done(w.Lookup(context.Background(), sid)) }()
}

// ended reads until the gateway ends the connection, however it does.
func (c *rawClient) ended() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, c.br)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		c.t.Error("the connection was not ended")
	}
}
