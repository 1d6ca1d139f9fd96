// Package api is what operators and programs ask of a running replica, and change of its clusters, over HTTP with JSON.
//
//	GET    /api/status
//	GET    /api/status/stream                            server-sent events: the status once a second, and what happens
//	GET    /api/clusters/{cluster}/nodes/{node}
//	PUT    /api/clusters/{cluster}/nodes/{node}          {"url": "http://10.0.0.1:3001", "weight": 2}
//	DELETE /api/clusters/{cluster}/nodes/{node}
//	POST   /api/clusters/{cluster}/nodes/{node}/drain    {"deadline": "5m"}
//	DELETE /api/clusters/{cluster}/nodes/{node}/drain
//	PUT    /api/clusters/{cluster}/release               {"label": "version", "value": "v2", "share": "10%"}
//	DELETE /api/clusters/{cluster}/release
//	POST   /api/reload
//	GET    /api/sessions/{sid}
//	GET    /api/sessions/{sid}/trace                     what all replicas know of it, or why nobody does
//	GET    /api/sessions/{sid}/packets                   server-sent events: its packets as they pass
//	GET    /api/events                                   server-sent events
//	GET    /api/openapi.json
//
// A change holds for all replicas that share a Redis, and for those that start later, until it is taken back. What is wrong is
// answered as {"error": "…"}. The API does not ask who its client is: package admin lets in those who may.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
	"github.com/sidway/sidway/gateway/notice"
)

// Options are what the API tells of and acts on.
type Options struct {
	Board   *control.Board
	Status  func() Status
	Session func(ctx context.Context, sid string) (Session, error)       // ErrNoSession: nobody knows it
	Trace   func(ctx context.Context, sid string) Trace                  // or of a session whose sid begins so
	Move    func(ctx context.Context, sid, to string) (Move, error)      // ErrNoSession: its WebSocket is not here, or nobody knows it
	Packets func(ctx context.Context, sid string) (<-chan Packet, error) // until ctx is done or the session ends; ErrNoSession: as Move
	Reload  func(by string) error
	Events  *Events
	Log     *slog.Logger
}

// What Options' functions answer.
var (
	// ErrNoSession says that no replica knows the session.
	ErrNoSession = errors.New("no such session")
	// ErrConflict says that the session is not one to which that can be done.
	ErrConflict = errors.New("not done")
)

// longestBody bounds what a request may bring.
const longestBody = 64 << 10

// New returns the handler of all paths below /api/. It may serve many requests at once.
func New(o Options) http.Handler {
	a := &api{Options: o, feed: feed{status: o.Status}}
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, q *http.Request) { a.serve(w, q, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		var allowed []string
		for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
			other := q.Clone(q.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			write(w, http.StatusNotFound, Failure{"no such path; /api/openapi.json lists them"})
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		write(w, http.StatusMethodNotAllowed, Failure{"method not allowed; here are " + strings.Join(allowed, ", ")})
	})
	return mux
}

type api struct {
	Options
	feed     feed
	watching atomic.Int32 // so many look at packets
}

// serve answers a request of one route.
func (a *api) serve(w http.ResponseWriter, q *http.Request, r route) {
	w.Header().Set("Cache-Control", "no-store")
	if r.stream != nil {
		r.stream(a, w, q)
		return
	}
	answer, err := r.do(a, q)
	if err != nil {
		write(w, statusOf(err), Failure{err.Error()})
		return
	}
	if r.method != http.MethodGet {
		a.Log.Info("changed by the API", "method", q.Method, "path", q.URL.Path, "client", q.RemoteAddr)
	}
	write(w, http.StatusOK, answer)
}

// refusal is an error with the status that tells it.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// statusOf returns the status that tells err.
func statusOf(err error) int {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r.status
	case errors.Is(err, control.ErrUnknownCluster), errors.Is(err, control.ErrUnknownNode), errors.Is(err, ErrNoSession):
		return http.StatusNotFound
	case errors.Is(err, control.ErrLastNode), errors.Is(err, control.ErrSameAddress), errors.Is(err, ErrConflict):
		return http.StatusConflict
	case errors.Is(err, control.ErrStore):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

func write(w http.ResponseWriter, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"this answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone needs none
}

// read decodes a request's body, which may be empty.
func read(q *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(q.Body, longestBody+1))
	switch {
	case err != nil:
		return err
	case len(body) > longestBody:
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", longestBody)}
	case len(body) == 0:
		return nil
	}
	if err := checkNames(body, into); err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the body is not the JSON that is wanted here: %w", err)
	}
	if d.More() {
		return errors.New("something follows the JSON in the body")
	}
	return nil
}

// checkNames refuses a body with a field that into, a pointer to a struct, does not have, and suggests the one that was meant.
func checkNames(body []byte, into any) error {
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) != nil {
		return nil // which is told when it is decoded
	}
	var names []string
	for f := range fields(reflect.TypeOf(into).Elem()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if slices.ContainsFunc(names, func(known string) bool { return strings.EqualFold(known, name) }) {
			continue
		}
		if near := config.Nearest(name, names); near != "" {
			return fmt.Errorf("there is no field %q here; did you mean %s?", name, near)
		}
		return fmt.Errorf("there is no field %q here; there is %s", name, strings.Join(names, ", "))
	}
	return nil
}

func (a *api) status(*http.Request) (any, error) { return a.feed.now(), nil }

func (a *api) node(q *http.Request) (any, error) {
	cluster, node := q.PathValue("cluster"), q.PathValue("node")
	s := a.Options.Status()
	for _, c := range s.Clusters {
		for _, n := range c.Nodes {
			if c.Name == cluster && n.Name == node {
				return n, nil
			}
		}
	}
	return nil, fmt.Errorf("%w as %q in cluster %q", control.ErrUnknownNode, node, cluster)
}

func (a *api) putNode(q *http.Request) (any, error) {
	var n NodeSettings
	if err := read(q, &n); err != nil {
		return nil, err
	}
	valid, err := config.NewNode(q.PathValue("node"), n.URL, n.Weight, n.Labels)
	if err != nil {
		return nil, err
	}
	if err := a.Board.PutNode(q.Context(), q.PathValue("cluster"), valid); err != nil {
		return nil, err
	}
	return a.node(q)
}

// removeNode takes a node away that has no sessions, or is drained, unless it is forced to.
func (a *api) removeNode(q *http.Request) (any, error) {
	cluster, node := q.PathValue("cluster"), q.PathValue("node")
	if found, err := a.node(q); err == nil && !q.URL.Query().Has("force") {
		if n := found.(Node); n.Total > 0 && !n.Draining {
			return nil, &refusal{http.StatusConflict, fmt.Sprintf("%s on %s of %s: drain it first, as sidway drain %s --deadline 5m --wait, or ask with ?force to have them end", live(n.Total), node, cluster, node)}
		}
	}
	return Done{true}, a.Board.RemoveNode(q.Context(), cluster, node)
}

func live(sessions int) string {
	if sessions == 1 {
		return "1 session lives"
	}
	return notice.Thousands(sessions) + " sessions live"
}

func (a *api) drain(q *http.Request) (any, error) {
	var d DrainSettings
	if err := read(q, &d); err != nil {
		return nil, err
	}
	within := time.Duration(0)
	if d.Deadline != "" {
		var err error
		if within, err = time.ParseDuration(d.Deadline); err != nil || within < 0 {
			return nil, fmt.Errorf(`deadline: %q is no time; write "30s", "5m" or "1h"`, d.Deadline)
		}
		within = max(within, time.Nanosecond) // at once
	}
	if err := a.Board.Drain(q.Context(), q.PathValue("cluster"), q.PathValue("node"), within); err != nil {
		return nil, err
	}
	return a.node(q)
}

func (a *api) undrain(q *http.Request) (any, error) {
	if err := a.Board.Undrain(q.Context(), q.PathValue("cluster"), q.PathValue("node")); err != nil {
		return nil, err
	}
	return a.node(q)
}

func (a *api) cluster(q *http.Request) (any, error) {
	name := q.PathValue("cluster")
	for _, c := range a.Options.Status().Clusters {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w as %q", control.ErrUnknownCluster, name)
}

func (a *api) putRelease(q *http.Request) (any, error) {
	var r Release
	if err := read(q, &r); err != nil {
		return nil, err
	}
	valid, err := config.NewRelease(r.Label, r.Value, r.Share)
	if err != nil {
		return nil, err
	}
	if err := a.Board.SetRelease(q.Context(), q.PathValue("cluster"), new(control.Release(valid))); err != nil {
		return nil, err
	}
	return a.cluster(q)
}

func (a *api) removeRelease(q *http.Request) (any, error) {
	if err := a.Board.SetRelease(q.Context(), q.PathValue("cluster"), nil); err != nil {
		return nil, err
	}
	return a.cluster(q)
}

func (a *api) reload(q *http.Request) (any, error) {
	host, _, _ := net.SplitHostPort(q.RemoteAddr)
	return Done{true}, a.Options.Reload("the API, from " + host)
}

func (a *api) session(q *http.Request) (any, error) {
	return a.Options.Session(q.Context(), q.PathValue("sid"))
}

func (a *api) trace(q *http.Request) (any, error) {
	return a.Trace(q.Context(), q.PathValue("sid")), nil
}

func (a *api) move(q *http.Request) (any, error) {
	var m MoveSettings
	if err := read(q, &m); err != nil {
		return nil, err
	}
	return a.Options.Move(q.Context(), q.PathValue("sid"), m.To)
}

func (a *api) document(*http.Request) (any, error) { return Document(), nil }
