package gateway

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
)

// topology is where requests may go. It never changes: Update puts another one in its place.
type topology struct{ routes []*route }

// route is a Route with what its requests count.
type route struct {
	*Route
	*tally
	known func(sid string) (affinity.Binding, bool) // by the store without asking anybody
}

// tally is what is counted and found out of one cluster's requests. It outlives a change of the topology.
type tally struct {
	metrics *routeMetrics
	// What tells whether the cluster is set up wrongly.
	memories  sync.Map // of node names: *memory
	strangers unknowns
}

// memory returns what is remembered of a node.
func (t *tally) memory(node string) *memory {
	if m, ok := t.memories.Load(node); ok {
		return m.(*memory)
	}
	m, _ := t.memories.LoadOrStore(node, new(memory))
	return m.(*memory)
}

// knower is a Store that can tell what it knows without asking anybody.
type knower interface {
	Known(sid string) (affinity.Binding, bool)
}

// glancer is a Store that can be asked for less than the certainty that Lookup gives.
type glancer interface {
	Glance(ctx context.Context, sid string) (affinity.Binding, error)
}

var _ interface {
	knower
	glancer
} = (*affinity.Cached)(nil)

func newRoute(r Route, t *tally) *route {
	known := func(string) (affinity.Binding, bool) { return affinity.Binding{}, false }
	if s, ok := r.Store.(knower); ok {
		known = s.Known
	}
	return &route{Route: &r, tally: t, known: known}
}

// Update gives g these routes in place of those it had. Requests that are under way go on as they began. What is counted and
// found out of a cluster is kept; of a cluster that is no more it is dropped, and connections to nodes that are no more are
// closed when nobody uses them. It is to be called when the nodes of a cluster have changed, too.
func (g *Gateway) Update(routes []Route) {
	g.updating.Lock()
	defer g.updating.Unlock()
	kept := map[*cluster.Cluster]*tally{}
	for _, r := range g.topology.Load().routes {
		kept[r.Cluster] = r.tally
	}
	next := &topology{}
	current := map[*cluster.Node]bool{}
	for _, r := range routes {
		t := kept[r.Cluster]
		if t == nil {
			t = &tally{metrics: g.Metrics.route(r.Cluster)}
		}
		delete(kept, r.Cluster)
		next.routes = append(next.routes, newRoute(r, t))
		for _, n := range r.Cluster.Nodes() {
			current[n] = true
		}
		t.memories.Range(func(name, _ any) bool {
			if r.Cluster.Node(name.(string)) == nil {
				t.memories.Delete(name)
			}
			return true
		})
	}
	g.topology.Store(next)
	for c := range kept {
		g.Metrics.drop(c)
	}
	for _, d := range g.drivers {
		d.do(func() { d.keepOnly(current) })
	}
}

// match finds the route of a request: the first that serves the host and whose Socket.IO path begins the request's
// path, else the first that serves the host, whose nodes then get an ordinary request. socketIO tells which it is.
func (g *Gateway) match(host, path, query string) (r *route, socketIO bool) {
	name := hostname(host)
	for _, candidate := range g.topology.Load().routes {
		if !candidate.serves(name) {
			continue
		}
		if strings.HasPrefix(path, candidate.Path) {
			return candidate, !candidate.isClientBundle(path) || engineio.HasQuery(query)
		}
		if r == nil {
			r = candidate
		}
	}
	return r, false
}

// serves reports whether the route is for that host name, which is compared without regard to case.
func (r *Route) serves(name string) bool {
	for _, h := range r.Hosts {
		if below, ok := strings.CutPrefix(h, "*"); ok {
			if len(name) > len(below) && strings.EqualFold(name[len(name)-len(below):], below) {
				return true
			}
		} else if strings.EqualFold(name, h) {
			return true
		}
	}
	return len(r.Hosts) == 0
}

// hostname is a Host field without port and without a final dot.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// isClientBundle recognises the JavaScript client that Socket.IO servers hand out below their own path, by the exact
// names that they look for before they take a request for Engine.IO's. A server that does not hand it out takes it for
// Engine.IO's, and so does every server that is asked for a WebSocket.
func (r *Route) isClientBundle(path string) bool {
	switch strings.TrimSuffix(path[len(r.Path):], ".map") {
	case "socket.io.js", "socket.io.esm.js", "socket.io.msgpack.js",
		"socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js":
		return true
	}
	return false
}

// hides reports whether a path reaches a Socket.IO path of the host's clusters by another spelling than the plain one:
// one that a node resolves or decodes, and that was therefore judged by the wrong rules here.
func (g *Gateway) hides(host, path string) bool {
	if !strings.Contains(path, "/.") && !strings.Contains(path, "..") && !strings.Contains(path, "//") && !strings.Contains(path, "%") {
		return false
	}
	name, plain := hostname(host), unescape(path)
	return slices.ContainsFunc(g.topology.Load().routes, func(r *route) bool { return r.serves(name) && r.hides(path, plain) })
}

// hides does so for one route and a path of which plain is the decoded form.
func (r *Route) hides(path, plain string) bool {
	dotted := strings.Contains(plain, "..") || strings.Contains(plain, "/./") || strings.Contains(plain, "//")
	switch inPath, inPlain := strings.Contains(path, r.Path), strings.Contains(plain, r.Path); {
	case inPath:
		return dotted
	case inPlain:
		return true
	default: // such as /x/..//socket.io: the path only appears when dots and slashes are resolved
		return dotted && strings.Contains(collapse(plain), strings.TrimSuffix(r.Path, "/"))
	}
}

// unescape decodes a path as lenient nodes do, which leave a malformed escape as it is and decode the others.
func unescape(path string) string {
	plain := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			if v, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				c = byte(v)
				i += 2
			}
		}
		plain = append(plain, c)
	}
	return string(plain)
}

// collapse takes the empty and dot segments out of a path.
func collapse(path string) string {
	var kept []string
	for seg := range strings.SplitSeq(path, "/") {
		switch seg {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, seg)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// RunSessions ends the sessions of the route's cluster whose bindings expire, until ctx is done. A mistake costs a count, so
// it makes no look-up take as long as one that ends a session.
func (r *Route) RunSessions(ctx context.Context) error {
	look := r.Store.Lookup
	if s, ok := r.Store.(glancer); ok {
		look = s.Glance
	}
	return r.Cluster.Sessions.Run(ctx, func(ctx context.Context, sid string) time.Time {
		b, err := look(ctx, sid)
		switch {
		case errors.Is(err, affinity.ErrNotFound):
			return time.Time{}
		case err != nil: // the store cannot say; ask again later
			return time.Now().Add(affinity.Binding{}.TTL())
		}
		return b.Expires
	})
}
