// Package planted is a gateway with a bug in it, to prove that whoever judges what passes through it notices.
//
//	bug, err := planted.Named("POST sent again")
//	g, err := planted.Start(planted.Plan{Nodes: addresses, Bug: bug, Up: "up", Down: "down"})
//	defer g.Close()
//	… clients talk to g.Address() …
//
// Without a bug it does all that clients need: sessions stay on the node that made them. It keeps no connections to nodes and is not
// meant to be fast.
package planted

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// A Plan is where a gateway listens, what it stands before, and what is wrong with it.
type Plan struct {
	Listen   string   // host:port; empty for a free port of 127.0.0.1
	Nodes    []string // host:port
	Bug      Bug
	Up, Down string // the names of the events in which the clients' and the nodes' messages come
}

// Gateway is a gateway that runs.
type Gateway struct {
	plan     Plan
	listener net.Listener
	server   *http.Server
	client   *http.Client
	life     context.Context // a request that is kept back outlives the one that brought it
	end      context.CancelFunc
	serving  sync.WaitGroup
	strikes  atomic.Int64

	mu       sync.Mutex
	turn     int
	sessions map[string]*session
	kept     stray
	pool     []pooled // connections to nodes that should be nobody's
}

// session is one session as the gateway remembers it.
type session struct {
	node string

	mu                   sync.Mutex
	posts, polls, frames int
	full                 int // answers that carried messages
	keptAnswer           answer
	keptPost             func([]byte) answer
	keptBody             []byte
	keptFrame            []byte
}

// stray is what is to be given to another session than the one that it is for.
type stray struct {
	s *session
	answer
}

// visit is the n-th request of its kind in its session.
type visit struct {
	n       int
	g       *Gateway
	s       *session
	q       *http.Request
	body    []byte
	forward func(body []byte) answer
}

type answer struct {
	status int // 0 where the connection is to be cut instead
	kind   string
	body   []byte
}

// Start starts a gateway.
func Start(p Plan) (*Gateway, error) {
	if p.Listen == "" {
		p.Listen = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", p.Listen)
	if err != nil {
		return nil, fmt.Errorf("planted: %w", err)
	}
	g := &Gateway{
		plan: p, listener: listener, sessions: map[string]*session{},
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	g.life, g.end = context.WithCancel(context.Background())
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	g.serving.Go(func() { _ = g.server.Serve(listener) }) // it ends when the gateway is closed
	return g, nil
}

// Address is host:port.
func (g *Gateway) Address() string { return g.listener.Addr().String() }

// Strikes is how often the bug has done something wrong.
func (g *Gateway) Strikes() int { return int(g.strikes.Load()) }

// Close ends all connections, and returns when nothing runs any more.
func (g *Gateway) Close() error {
	g.end()
	err := g.server.Close()
	g.serving.Wait()
	for _, p := range g.pool {
		err = errors.Join(err, p.Close())
	}
	return err
}

// next is the node of a new session.
func (g *Gateway) next() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn++
	return g.plan.Nodes[g.turn%len(g.plan.Nodes)]
}

func (g *Gateway) session(q url.Values) *session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sessions[q.Get("sid")]
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	g.serving.Add(1)
	defer g.serving.Done()
	if g.plan.Bug.refuse != nil && g.plan.Bug.refuse(q) {
		g.strikes.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if q.Header.Get("Upgrade") != "" {
		g.upgrade(w, q)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	a := g.decide(q, body)
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (g *Gateway) decide(q *http.Request, body []byte) answer {
	if !q.URL.Query().Has("sid") {
		return g.handshake(q)
	}
	s := g.session(q.URL.Query())
	if s == nil {
		return answer{http.StatusBadRequest, "application/json", []byte(`{"code":1,"message":"Session ID unknown"}`)}
	}
	v := visit{g: g, s: s, q: q, body: body, forward: func(body []byte) answer { return g.forward(s.node, q, body) }}
	switch bug := g.plan.Bug; {
	case q.Method == http.MethodPost && bug.post != nil && g.carries(body, g.plan.Up):
		v.n = s.count(&s.posts)
		return bug.post(v)
	case q.Method == http.MethodGet && bug.poll != nil:
		v.n = s.count(&s.polls)
		return bug.poll(v)
	}
	return v.forward(body)
}

func (g *Gateway) carries(packets []byte, event string) bool {
	return bytes.Contains(packets, []byte(`["`+event+`"`))
}

var sid = regexp.MustCompile(`"sid":"([^"]+)"`)

func (g *Gateway) handshake(q *http.Request) answer {
	node := g.next()
	a := g.forward(node, q, nil)
	if m := sid.FindSubmatch(a.body); m != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.sessions[string(m[1])] = &session{node: node}
	}
	return a
}

func (s *session) count(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
	return *n
}

func (g *Gateway) forward(node string, q *http.Request, body []byte) answer {
	out, err := http.NewRequestWithContext(g.life, q.Method, "http://"+node+q.URL.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}
	}
	out.Header = q.Header.Clone()
	out.Header.Del("Connection")
	in, err := g.client.Do(out)
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

// upgrade makes a tunnel of a session, or of a new one.
func (g *Gateway) upgrade(w http.ResponseWriter, q *http.Request) {
	s := g.session(q.URL.Query())
	if s == nil {
		s = &session{node: g.next()}
	}
	if g.plan.Bug.upgrade != nil {
		w.WriteHeader(g.plan.Bug.upgrade(visit{g: g, s: s, q: q}).status)
		return
	}
	ctx, cancel := context.WithCancel(g.life)
	defer cancel()
	node, _, err := websocket.Dial(ctx, "ws://"+s.node+q.URL.String(), nil)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer node.CloseNow()
	client, err := websocket.Accept(w, q, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer client.CloseNow()
	var both sync.WaitGroup
	both.Go(func() { defer cancel(); g.frames(ctx, s, node, client, fromClient) })
	both.Go(func() { defer cancel(); g.frames(ctx, s, client, node, fromNode) })
	both.Wait()
}

type side int

const (
	fromClient side = iota
	fromNode
)

func (g *Gateway) frames(ctx context.Context, s *session, to, from *websocket.Conn, whose side) {
	from.SetReadLimit(-1)
	for {
		kind, data, err := from.Read(ctx)
		if err != nil {
			return
		}
		out := [][]byte{data}
		bug := g.plan.Bug
		event := kind == websocket.MessageText && bytes.HasPrefix(data, []byte("42")) && (g.carries(data, g.plan.Up) || g.carries(data, g.plan.Down))
		if event && bug.frame != nil && whose == bug.from {
			if out = bug.frame(g, s, data); len(out) != 1 {
				g.strikes.Add(1)
			}
		}
		for _, data := range out {
			if to.Write(ctx, kind, data) != nil {
				return
			}
		}
	}
}
