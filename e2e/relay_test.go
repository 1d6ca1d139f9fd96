package e2e_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// relay stands between clients and one node and forwards all, but for what its fault changes. It exists to prove that
// the clients' and the nodes' ledgers notice.
type relay struct {
	node  string
	fault fault
	http  *http.Client
	life  context.Context // a request that is kept back outlives the one that brought it

	mu       sync.Mutex
	sessions map[string]*relayed
}

// fault changes what passes; a nil func changes nothing.
type fault struct {
	refuse func(*http.Request) bool        // such requests are answered with 503
	post   func(v visit) answer            // a POST that carries messages
	poll   func(v visit) answer            // a GET of a session
	frame  func(*relayed, []byte) [][]byte // a WebSocket text frame with an event: what is passed on instead
	from   websocketSide                   // whose frames
}

type websocketSide int

const (
	fromClient websocketSide = iota
	fromNode
)

// relayed is one session as its faults remember it.
type relayed struct {
	mu                   sync.Mutex
	posts, polls, frames int
	keptAnswer           answer
	keptPost             func([]byte) answer
	keptBody             []byte
	keptFrame            []byte
}

// visit is the n-th request of its kind in its session.
type visit struct {
	n       int
	s       *relayed
	body    []byte
	forward func(body []byte) answer
}

type answer struct {
	status int
	kind   string
	body   []byte
}

func startRelay(t *testing.T, n *node, f fault) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	life, end := context.WithCancel(t.Context())
	r := &relay{node: n.address(), fault: f, http: &http.Client{Transport: transport}, life: life, sessions: map[string]*relayed{}}
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		end()
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL
}

func (r *relay) session(q url.Values) *relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	sid := q.Get("sid")
	if r.sessions[sid] == nil {
		r.sessions[sid] = &relayed{}
	}
	return r.sessions[sid]
}

func (r *relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.fault.refuse != nil && r.fault.refuse(q) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if q.Header.Get("Upgrade") != "" {
		r.tunnel(w, q)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	a := r.decide(q, body)
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (r *relay) decide(q *http.Request, body []byte) answer {
	forward := func(body []byte) answer { return r.forward(q, body) }
	if !q.URL.Query().Has("sid") {
		return forward(body)
	}
	s := r.session(q.URL.Query())
	switch {
	case q.Method == http.MethodPost && r.fault.post != nil && bytes.Contains(body, []byte(`["echo"`)):
		return r.fault.post(visit{n: s.count(&s.posts), s: s, body: body, forward: forward})
	case q.Method == http.MethodGet && r.fault.poll != nil:
		return r.fault.poll(visit{n: s.count(&s.polls), s: s, forward: forward})
	}
	return forward(body)
}

func (s *relayed) count(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
	return *n
}

func (r *relay) forward(q *http.Request, body []byte) answer {
	out, err := http.NewRequestWithContext(r.life, q.Method, "http://"+r.node+q.URL.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}
	}
	out.Header = q.Header.Clone()
	out.Header.Del("Connection")
	in, err := r.http.Do(out)
	if err != nil {
		return answer{}
	}
	defer in.Body.Close()
	got, err := io.ReadAll(in.Body)
	if err != nil {
		return answer{}
	}
	return answer{in.StatusCode, in.Header.Get("Content-Type"), got}
}

func (r *relay) tunnel(w http.ResponseWriter, q *http.Request) {
	ctx, cancel := context.WithCancel(q.Context())
	defer cancel()
	node, _, err := websocket.Dial(ctx, "ws://"+r.node+q.URL.String(), nil)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer node.CloseNow()
	client, err := websocket.Accept(w, q, nil)
	if err != nil {
		return
	}
	defer client.CloseNow()
	s := &relayed{}
	var both sync.WaitGroup
	both.Go(func() { defer cancel(); r.frames(ctx, s, node, client, fromClient) })
	both.Go(func() { defer cancel(); r.frames(ctx, s, client, node, fromNode) })
	both.Wait()
}

func (r *relay) frames(ctx context.Context, s *relayed, to, from *websocket.Conn, side websocketSide) {
	from.SetReadLimit(-1)
	for {
		kind, data, err := from.Read(ctx)
		if err != nil {
			return
		}
		out := [][]byte{data}
		event := kind == websocket.MessageText && (strings.HasPrefix(string(data), "42") && bytes.Contains(data, []byte(`"seq"`)))
		if event && r.fault.frame != nil && side == r.fault.from {
			out = r.fault.frame(s, data)
		}
		for _, data := range out {
			if to.Write(ctx, kind, data) != nil {
				return
			}
		}
	}
}
