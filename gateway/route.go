package gateway

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/throttle"
)

// topology is where requests may go, and what else holds for them. It never changes: Update puts another one in its place.
type topology struct {
	Settings
	routes request.Routes
	all    []*route // the same
	strict string   // what Strict-Transport-Security says; "": there is none
}

func (g *Gateway) limits() *Limits { return &g.topology.Load().Limits }

// of returns what belongs to a route.
func (t *topology) of(r *request.Route) *route {
	for _, known := range t.all {
		if known.Route == r {
			return known
		}
	}
	return nil
}

// route is a Route with what its requests count.
type route struct {
	*Route
	*tally
	known   func(sid string) (affinity.Binding, bool)                       // by the store without asking anybody
	refresh func(ctx context.Context, sid string) (affinity.Binding, error) // of a session that may have been bound anew
	rebind  func(ctx context.Context, sid string, b affinity.Binding) error
	renew   func(ctx context.Context, sid string, b affinity.Binding) (affinity.Binding, error) // a binding that is due, and returns what it is now
}

// tally is what is counted and found out of one cluster's requests. It outlives a change of the topology.
type tally struct {
	cluster *cluster.Cluster
	metrics *routeMetrics
	// What tells whether the cluster is set up wrongly.
	memories    sync.Map // of Node.Key: *memory
	files       memory   // of the server of files
	strangers   unknowns
	unbound     *cluster.SIDs // that a node did not know
	ended       *cluster.SIDs // by a close packet of either side
	makes       makes
	ignoredAt   atomic.Int64 // when a node has last ignored a direct connect, after others in a row, in ns since 1970
	blamed      atomic.Int64 // when the cause of sids that nobody knows was last told, in ns since 1970
	newcomers   newcomers
	polls       cutoff
	sockets     cutoff
	nodeSockets cutoff // that nodes close
	mutes       mutes
	shorts      shorts

	deaf atomic.Int64 // when Redis could last not be told what a poll has brought, in ns since 1970

	held  atomic.Int64 // requests that wait for a node, those at the turnstile too
	turns turnstile
	moves moves
	trail *trail
}

// knower is a Store that can tell what it knows without asking anybody.
type knower interface {
	Known(sid string) (affinity.Binding, bool)
}

// glancer is a Store that can be asked for less than the certainty that Lookup gives.
type glancer interface {
	Glance(ctx context.Context, sid string) (affinity.Binding, error)
}

// refresher is a Store that knows bindings which another replica may have changed.
type refresher interface {
	Refresh(ctx context.Context, sid string) (affinity.Binding, error)
	Rebind(ctx context.Context, sid string, b affinity.Binding) error
	Renew(ctx context.Context, sid string, b affinity.Binding) (affinity.Binding, error)
}

var _ interface {
	knower
	glancer
	refresher
} = (*affinity.Cached)(nil)

func newRoute(r Route, t *tally) *route {
	known := func(string) (affinity.Binding, bool) { return affinity.Binding{}, false }
	if s, ok := r.Store.(knower); ok {
		known = s.Known
	}
	made := &route{Route: &r, tally: t, known: known}
	made.renew = func(ctx context.Context, sid string, b affinity.Binding) (affinity.Binding, error) {
		return b, r.Store.Bind(ctx, sid, b)
	}
	if s, ok := r.Store.(refresher); ok {
		made.refresh, made.rebind = s.Refresh, s.Rebind
		if r.Recovery != nil { // else no session moves, and one command does
			made.renew = s.Renew
		}
	} else if r.Store != nil {
		made.refresh = r.Store.Lookup
		made.rebind = func(ctx context.Context, sid string, b affinity.Binding) error {
			_ = r.Store.Unbind(ctx, sid) // Bind tells whether that was of use
			return r.Store.Bind(ctx, sid, b)
		}
	}
	return made
}

// Update gives g these settings in place of those it had, but for limits.connections: see SetConnections. Requests that are under
// way go on as they began. What is counted and found out of a cluster is kept; of a cluster that is no more it is dropped, and
// connections to nodes that are no more are closed when nobody uses them. It is to be called when the nodes of a cluster have
// changed, too.
func (g *Gateway) Update(s Settings) {
	g.updating.Lock()
	defer g.updating.Unlock()
	kept := map[*cluster.Cluster]*tally{}
	for _, r := range g.topology.Load().all {
		kept[r.Cluster] = r.tally
	}
	next := &topology{Settings: s}
	if s.HSTS > 0 {
		next.strict = "max-age=" + strconv.Itoa(int(s.HSTS.Seconds()))
	}
	current := map[*cluster.Node]bool{}
	for _, r := range s.Routes {
		t := kept[r.Cluster]
		if t == nil {
			t = &tally{cluster: r.Cluster, metrics: g.metrics.route(r.Cluster.Name), unbound: cluster.NewSIDs(mostUnbound), ended: cluster.NewSIDs(mostUnbound)}
			t.trail, t.strangers.known = newTrail(), cluster.NewSIDs(mostUnbound)
			t.turns.cluster, t.turns.waits = r.Cluster, t.metrics.waits
			g.metrics.nodes.add(t)
		}
		delete(kept, r.Cluster)
		made := newRoute(r, t)
		next.routes = append(next.routes, made.Route)
		next.all = append(next.all, made)
		for _, n := range r.Cluster.Nodes() {
			current[n] = true
		}
		if r.Files != nil {
			for _, n := range r.Files.Nodes() {
				current[n] = true
			}
		}
		t.forgetNodes(g.metrics)
	}
	if l := &s.Limits; g.throttles.clients == nil && (l.ClientRequests > 0 || l.ClientHandshakes > 0) {
		g.throttles.clients = throttle.New() // no loop has looked for it before
	}
	g.topology.Store(next)
	for c := range kept {
		g.metrics.drop(c)
	}
	for _, d := range g.drivers {
		d.do(func() { d.keepOnly(current) })
	}
}

// RunSessions ends the sessions of a route's cluster whose bindings expire, until ctx is done. A mistake costs a count, so
// it makes no look-up take as long as one that ends a session.
func RunSessions(ctx context.Context, r *Route) error {
	look := r.Store.Lookup
	if s, ok := r.Store.(glancer); ok {
		look = s.Glance
	}
	return r.Cluster.Sessions.Run(ctx, func(ctx context.Context, sid string) time.Time {
		b, err := look(ctx, sid)
		if errors.Is(err, affinity.ErrNotFound) && r.Kept != nil {
			if kept, ok := r.Kept(sid); ok {
				b, err = kept, nil
			}
		}
		switch {
		case errors.Is(err, affinity.ErrNotFound):
			return time.Time{}
		case err != nil: // the store cannot say; ask again later
			return time.Now().Add(affinity.Binding{}.TTL())
		}
		if n := r.Cluster.Node(b.Node); n != nil && r.Recovery != nil {
			r.Cluster.Sessions.Follow(sid, n)
		}
		return r.Cluster.Sessions.Gone(sid, b.Expires.Add(-b.TTL()), b.Silence(), b.Expires)
	})
}
