package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is an API over a cluster of two nodes.
type site struct {
	t      *testing.T
	nodes  *control.Nodes
	events api.Events
	reload error
	url    string
	asked  atomic.Int64 // for the status
}

func start(t *testing.T) *site {
	t.Helper()
	cfg := config.Cluster{Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions, Nodes: []config.Node{
		{Name: "n1", URL: "http://n1:3000", Weight: 1}, {Name: "n2", URL: "http://n2:3000", Weight: 1},
	}}
	s := &site{t: t, nodes: control.NewNodes(cfg, func() {})}
	board := control.NewBoard(slog.New(slog.DiscardHandler))
	board.Add(s.nodes)
	h := api.New(api.Options{
		Board: board, Status: s.status, Reload: func(string) error { return s.reload }, Events: &s.events,
		Log: slog.New(slog.DiscardHandler),
		Session: func(_ context.Context, sid string) (api.Session, error) {
			if sid != "known" {
				return api.Session{}, fmt.Errorf("%w as %s", api.ErrNoSession, sid)
			}
			return api.Session{SID: "know…", Cluster: "chat", Node: "n1"}, nil
		},
		Packets: func(_ context.Context, sid string) (<-chan api.Packet, error) {
			switch sid {
			case "known":
			case "quiet":
				return nil, nil
			default:
				return nil, fmt.Errorf("%w as %s", api.ErrNoSession, sid)
			}
			c := make(chan api.Packet, 2)
			c <- api.Packet{From: "client", Type: "event", Namespace: "/", Event: "hello", ID: new(uint64(7)), Size: 14}
			c <- api.Packet{From: "node", Type: "ping", Size: 1}
			close(c)
			return c, nil
		},
	})
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.url = server.URL
	return s
}

func (s *site) status() api.Status {
	s.asked.Add(1)
	c := api.Cluster{Name: "chat"}
	for _, n := range s.nodes.Cluster.Statuses() {
		c.Nodes = append(c.Nodes, api.Node{Name: n.Node.Name, Address: n.Node.Address, Weight: n.Node.Weight, Draining: n.Draining, Total: n.All()})
	}
	return api.Status{Clusters: []api.Cluster{c}}
}

// ask sends "METHOD path body", and returns the answer's status and body.
func (s *site) ask(request string, fields ...string) (int, string) {
	s.t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	q, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		q.Header.Add(name, value)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

// names are those of the nodes, with a "-" before those that drain.
func (s *site) names() string {
	var all []string
	for _, n := range s.nodes.Cluster.Statuses() {
		name := n.Node.Name + "=" + n.Node.Address
		if n.Draining {
			name = "-" + name
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func TestChanges(t *testing.T) {
	s := start(t)
	for _, step := range []struct {
		request string
		status  int
		says    string // part of the answer
		nodes   string
	}{
		{"GET /api/status", 200, `"name":"n1"`, "n1=n1:3000 n2=n2:3000"},
		{`POST /api/clusters/chat/nodes/n2/drain {"deadline":"5m"}`, 200, `"draining":true`, "n1=n1:3000 -n2=n2:3000"},
		{"GET /api/clusters/chat/nodes/n2", 200, `"draining":true`, "n1=n1:3000 -n2=n2:3000"},
		{"DELETE /api/clusters/chat/nodes/n2/drain", 200, `"draining":false`, "n1=n1:3000 n2=n2:3000"},
		{"POST /api/clusters/chat/nodes/n1/drain", 200, `"draining":true`, "-n1=n1:3000 n2=n2:3000"},
		{`PUT /api/clusters/chat/nodes/n3 {"url":"http://10.0.0.3:3000","weight":2}`, 200, `"weight":2`, "-n1=n1:3000 n2=n2:3000 n3=10.0.0.3:3000"},
		{`PUT /api/clusters/chat/nodes/n2 {"url":"http://10.0.0.2:3000"}`, 200, `"address":"10.0.0.2:3000"`, "-n1=n1:3000 n2=10.0.0.2:3000 n3=10.0.0.3:3000"},
		{"DELETE /api/clusters/chat/nodes/n1", 200, `{"done":true}`, "n2=10.0.0.2:3000 n3=10.0.0.3:3000"},
		{`PUT /api/clusters/chat/nodes/n4 {"url":"http://10.0.0.4:3000","labels":{"version":"v2"}}`, 200, `"name":"n4"`, "n2=10.0.0.2:3000 n3=10.0.0.3:3000 n4=10.0.0.4:3000"},
		{`PUT /api/clusters/chat/release {"label":"version","value":"v2","share":"10%"}`, 200, `"name":"chat"`, "n2=10.0.0.2:3000 n3=10.0.0.3:3000 n4=10.0.0.4:3000"},
		{"DELETE /api/clusters/chat/release", 200, `"name":"chat"`, "n2=10.0.0.2:3000 n3=10.0.0.3:3000 n4=10.0.0.4:3000"},
		{"DELETE /api/clusters/chat/nodes/n4", 200, `{"done":true}`, "n2=10.0.0.2:3000 n3=10.0.0.3:3000"},
		{"POST /api/reload", 200, `{"done":true}`, "n2=10.0.0.2:3000 n3=10.0.0.3:3000"},
		{"GET /api/sessions/known", 200, `"node":"n1"`, "n2=10.0.0.2:3000 n3=10.0.0.3:3000"},
	} {
		if status, body := s.ask(step.request); status != step.status || !strings.Contains(body, step.says) {
			t.Errorf("%s: %d %s", step.request, status, body)
		}
		if got := s.names(); got != step.nodes {
			t.Errorf("%s: %s, want %s", step.request, got, step.nodes)
		}
	}
}

// What cannot be is refused with words that say what to mend, and changes nothing.
func TestBadRequests(t *testing.T) {
	s := start(t)
	s.reload = errors.New("sidway.yaml:3: clusters: the list is empty")
	for request, want := range map[string]string{
		"GET /api/nothing":                                                               "404 no such path",
		"PATCH /api/status":                                                              "405 method not allowed; here are GET",
		"GET /api/reload":                                                                "405 method not allowed; here are POST",
		"POST /api/clusters/talk/nodes/n1/drain":                                         `404 no such cluster as \"talk\"`,
		"POST /api/clusters/chat/nodes/n9/drain":                                         `404 no such node as \"n9\"`,
		"GET /api/clusters/chat/nodes/n9":                                                `404 no such node`,
		"GET /api/sessions/other":                                                        "404 no such session",
		`POST /api/clusters/chat/nodes/n1/drain {"deadline":"soon"}`:                     `400 deadline: \"soon\" is no time; write`,
		`POST /api/clusters/chat/nodes/n1/drain {"deadline":"-5m"}`:                      "400 deadline",
		`POST /api/clusters/chat/nodes/n1/drain {"deadlime":"5m"}`:                       `400 there is no field \"deadlime\" here; did you mean deadline?`,
		`PUT /api/clusters/chat/nodes/n3 {"url":"http://x:1","wieght":2}`:                `400 there is no field \"wieght\" here; did you mean weight?`,
		`PUT /api/clusters/chat/nodes/n3 {"url":"http://x:1","color":"red"}`:             `400 there is no field \"color\" here; there is url, weight, labels`,
		`POST /api/clusters/chat/nodes/n1/drain {"deadline":"5m"}{}`:                     "400 something follows",
		`POST /api/clusters/chat/nodes/n1/drain ` + strings.Repeat(" ", 65<<10):          "413 the body is longer",
		`PUT /api/clusters/chat/nodes/n3 {}`:                                             "400 url: ",
		`PUT /api/clusters/chat/nodes/n3 {"url":"10.0.0.3:3000"}`:                        "400 url: \\\"10.0.0.3:3000\\\" has no scheme; write http://10.0.0.3:3000",
		`PUT /api/clusters/chat/nodes/n3 {"url":"http://x:1","weight":5000}`:             "400 weight: ",
		`PUT /api/clusters/chat/nodes/-n {"url":"http://x:1"}`:                           "400 name: ",
		`PUT /api/clusters/chat/nodes/n3 {"url":"http://n1:3000"}`:                       "409 http://n1:3000 is also node n1",
		`PUT /api/clusters/chat/nodes/n3 {"url":"http://x:1","labels":{"":1}}`:           "400 the body is not",
		`PUT /api/clusters/chat/release {"label":"version","value":"v9","share":"10%"}`:  "404 no such node of cluster",
		`PUT /api/clusters/chat/release {"label":"version","value":"v9","share":"much"}`: "400 share: ",
		"POST /api/reload": "400 sidway.yaml:3: clusters",
	} {
		status, body := s.ask(request)
		if got := fmt.Sprint(status, " ", strings.TrimPrefix(body, `{"error":"`)); !strings.HasPrefix(got, want) {
			t.Errorf("%.80s: %s", request, got)
		}
	}
	s.nodes.Cluster.Join(s.nodes.Cluster.Node("n1"))
	if status, body := s.ask("DELETE /api/clusters/chat/nodes/n1"); status != 409 || !strings.Contains(body, "1 session lives on n1 of chat: drain it first") {
		t.Errorf("a node with a session: %d %s", status, body)
	}
	if status, _ := s.ask("DELETE /api/clusters/chat/nodes/n1?force"); status != 200 {
		t.Error("a node that can be taken away was not")
	}
	if status, body := s.ask("DELETE /api/clusters/chat/nodes/n2"); status != 409 {
		t.Errorf("the last node: %d %s", status, body)
	}
	if got := s.names(); got != "n2=n2:3000" {
		t.Errorf("got %s", got)
	}
}

// The status comes once a second to all who listen, made once for all, and not while nobody does; what happens comes between.
func TestStatusStream(t *testing.T) {
	s := start(t)
	type message struct{ kind, data string }
	listen := func(ctx context.Context) func() message {
		q, err := http.NewRequestWithContext(ctx, "GET", s.url+"/api/status/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		lines, m := bufio.NewScanner(res.Body), message{}
		return func() message {
			t.Helper()
			for lines.Scan() {
				if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
					m.kind = kind
				}
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					m.data = data
					return m
				}
			}
			t.Fatal(lines.Err())
			return m
		}
	}
	const listeners = 5
	ctx, leave := context.WithCancel(t.Context())
	var all []func() message
	for range listeners {
		all = append(all, listen(ctx))
	}
	for _, next := range all {
		if m := next(); m.kind != "status" || !strings.Contains(m.data, `"name":"n1"`) {
			t.Fatalf("at first %+v", m)
		}
	}
	before := s.asked.Load()
	const seconds = 3
	for range seconds {
		for _, next := range all {
			if m := next(); m.kind != "status" {
				t.Fatalf("then %+v", m)
			}
		}
	}
	if n := s.asked.Load() - before; n > seconds+1 {
		t.Errorf("%d statuses were made for %d listeners in %d seconds", n, listeners, seconds)
	}
	s.events.Add(api.Event{Kind: "ejected", Node: "n2"})
	for m := all[0](); m.kind != "ejected"; m = all[0]() {
		if m.kind != "status" {
			t.Fatalf("between %+v", m)
		}
	}
	leave()
	affinitytest.Eventually(t, "nobody makes statuses", func() bool {
		made := s.asked.Load()
		select {
		case <-time.After(1500 * time.Millisecond):
		case <-t.Context().Done():
		}
		return s.asked.Load() == made
	})
}

// Those who listen are told of what happens, and of what has just happened.
func TestEvents(t *testing.T) {
	s := start(t)
	for i := range 300 {
		s.events.Add(api.Event{Kind: "ejected", Node: fmt.Sprint("n", i+1)})
	}
	listen := func(last string) *bufio.Scanner {
		q, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Last-Event-ID", last)
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("it is %s", got)
		}
		return bufio.NewScanner(res.Body)
	}
	next := func(b *bufio.Scanner) (e api.Event) {
		t.Helper()
		for b.Scan() {
			if data, ok := strings.CutPrefix(b.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
		t.Fatal(b.Err())
		return e
	}
	again, fresh := listen("298"), listen("")
	if e := next(again); e.ID != 299 || e.Node != "n299" || e.Time.IsZero() {
		t.Errorf("one who was there: %+v", e)
	}
	next(again)
	if e := next(fresh); e.ID != 45 { // the last 256
		t.Errorf("one who is new: %+v", e)
	}
	s.events.Add(api.Event{Kind: "drain", Cluster: "chat", Node: "n1", Text: "two\nlines"})
	if e := next(again); e.ID != 301 || e.Text != "two\nlines" {
		t.Errorf("what happens now: %+v", e)
	}
	if e := next(listen("7000")); e.ID != 46 {
		t.Errorf("one who comes from another process: %+v", e)
	}
}

// The document names each path, and each reference in it leads somewhere.
func TestDocument(t *testing.T) {
	s := start(t)
	status, text := s.ask("GET /api/openapi.json")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || status != 200 || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%d %v %.100s", status, err, text)
	}
	ids := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if ids[op.OperationID] || op.OperationID == "" {
				t.Errorf("%s %s has no name of its own: %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	if len(ids) != 16 {
		t.Errorf("%d operations: %v", len(ids), ids)
	}
	for _, part := range strings.Split(text, `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if !strings.Contains(text, `"`+name+`":{`) {
			t.Errorf("%s is not there", name)
		}
	}
}
