package replica

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
	"github.com/sidway/sidway/gateway/guard"
	"github.com/sidway/sidway/gateway/notice"
)

// part is what a replica has of one cluster, by one configuration. The next configuration makes another part of it, which has what
// lasts: nodes and memory, and the store where its settings are the same.
type part struct {
	cfg    config.Cluster
	nodes  *control.Nodes
	memory *memory
	count  func(affinity.Outcome)
	taken  func(refused, node string)
	state  func(affinity.State, error) // logs it
	stores *atomic.Int64               // how many there were: what those before the last one say is not told

	kin    *kin
	store  *affinity.Cached // nil in memory mode
	losses *losses          // likewise
	extras extras

	bindings *work // of the store
	looks    *work // of the nodes: probes and discovery
}

// work is what goes on all the time.
type work struct {
	sync.WaitGroup
	cancel context.CancelFunc // nil before it has begun
}

// newPart makes a part of a cluster that there was not before.
func (r *Replica) newPart(cfg config.Cluster, a config.Affinity) *part {
	p := &part{cfg: cfg, nodes: control.NewNodes(cfg, r.updateGateway), count: r.metrics.BindingOutcome(cfg.Name), looks: new(work), kin: &r.kin, state: r.tellState(cfg.Name), stores: new(atomic.Int64)}
	r.tellNodes(p.nodes)
	p.taken = r.tellTaken(cfg.Name, p.count)
	p.memory = newMemory(a.Cache, r.log, p.count, r.metrics.BindingsHeld(cfg.Name))
	r.connect(p, a)
	return p
}

// next is the part by another configuration.
func (p *part) next(cfg config.Cluster) *part {
	q := *p
	q.cfg = cfg
	return &q
}

// connect gives p the store for its bindings that a names: in this process, or in Redis behind it. Each cluster has keys of its own,
// because two clusters may give the same sid. Bindings that are known here go along.
func (r *Replica) connect(p *part, a config.Affinity) {
	var lose func(string)
	if r.redis == nil {
		lose = func(text string) { r.metrics.SetupFault(p.cfg.Name, faultCache, "", text) }
	}
	p.memory.configure(a.Cache, r.log.With("cluster", p.cfg.Name, "store", r.storeName()), lose)
	p.store, p.losses, p.bindings = nil, nil, new(work)
	this := p.stores.Add(1)
	if r.redis == nil {
		return
	}
	l := newLosses(r.log.With("cluster", p.cfg.Name), func(text string) { r.metrics.SetupFault(p.cfg.Name, faultLost, "", text) })
	back := affinity.NewRedis(r.redis, a.Prefix+p.cfg.Name+":")
	back.OnLost = func(n int) {
		for range n {
			p.count(affinity.Lost)
		}
		l.add(n)
	}
	p.losses = l
	p.store = affinity.NewCached(p.memory.Memory, back, affinity.CachedOptions{
		Ready:     r.running != nil && r.ready() == nil, // a replica that serves is told of no outage by the next store's first moment
		OnOutcome: p.count,
		OnState: func(s affinity.State, cause error) {
			if p.stores.Load() == this {
				p.state(s, cause)
			}
		},
		OnTaken: p.taken,
	})
}

// route is what the gateway is told of p.
func (p *part) route() gateway.Route {
	by, _ := gateway.ParseHashBy(p.cfg.HashBy) // which the configuration has checked
	r := gateway.Route{
		Hosts:            p.cfg.Host,
		Path:             p.cfg.Path,
		MaxBody:          p.cfg.MaxBody,
		DisableKeepAlive: p.cfg.DisableKeepAlive,
		ProxyProtocol:    p.cfg.ProxyVersion(),
		HashBy:           by,
		Static:           p.extras.route.Static,
		Files:            p.extras.route.Files,
		Maintenance:      p.extras.route.Maintenance,
		Headers:          p.extras.route.Headers,
		Auth:             p.extras.route.Auth,
		Origins:          p.cfg.Origins,
		CORS:             corsOf(p.cfg.CORS),
		Guard:            guardOf(p.cfg.Guard),
		Recovery:         p.extras.route.Recovery,
		Cluster:          p.nodes.Cluster,
		Store:            sharedMemory{p.memory.Memory, p.cfg.Name, p.kin},
		OnTaken:          p.taken,
		Kept:             p.kept,
	}
	if s := p.cfg.Sessions; s != nil {
		r.Heartbeat, r.MovePatience, r.ShowPayloads = s.Heartbeat, s.Patience, s.Payloads
	}
	if p.store != nil {
		r.Store = p.store
	}
	return r
}

// kept returns the binding of a session that lives as far as is known here, although Redis has no binding of it: while Redis loses some.
func (p *part) kept(sid string) (affinity.Binding, bool) {
	if p.losses == nil || !p.losses.lately(time.Now()) {
		return affinity.Binding{}, false
	}
	return p.memory.Peek(sid)
}

func guardOf(c config.Guard) guard.Policy {
	p := guard.Policy{MaxAttachments: c.MaxAttachments, Frames: c.Frames}
	for _, id := range c.Report {
		r, _ := guard.Find(id) // which the configuration has checked
		p.Report.Add(r)
	}
	return p
}

func corsOf(c *config.CORS) *gateway.CORS {
	if c == nil {
		return nil
	}
	return &gateway.CORS{Origins: c.Origins, Credentials: c.Credentials, MaxAge: c.MaxAge}
}

// start begins what p does all the time, unless it goes on already: the store is watched, sessions whose bindings expire are ended,
// nodes are probed and looked for.
func (p *part) start(ctx context.Context) {
	route := p.route()
	p.bindings.begin(ctx, func(ctx context.Context) {
		var both errgroup.Group
		both.Go(func() error { return gateway.RunSessions(ctx, &route) })
		if p.store != nil {
			both.Go(func() error { return p.store.Run(ctx) })
		}
		_ = both.Wait() // they return nil
	})
	p.looks.begin(ctx, func(ctx context.Context) { _ = p.nodes.Run(ctx) })
}

// end ends what start has begun, but for what goes on for one of others.
func (p *part) end(others []*part) {
	if !slices.ContainsFunc(others, func(q *part) bool { return q.bindings == p.bindings }) {
		p.bindings.end()
	}
	if !slices.ContainsFunc(others, func(q *part) bool { return q.looks == p.looks }) {
		p.looks.end()
	}
	p.extras.close(others)
}

func (w *work) begin(ctx context.Context, f func(context.Context)) {
	if w.cancel != nil {
		return
	}
	ctx, w.cancel = context.WithCancel(ctx)
	w.Go(func() { f(ctx) })
}

// end ends the work, if it has begun, and returns when nothing is left of it.
func (w *work) end() {
	if w.cancel != nil {
		w.cancel()
		w.Wait()
	}
}

// tellTaken returns what counts sids that a second node handed out, and logs one of them a minute.
func (r *Replica) tellTaken(cluster string, count func(affinity.Outcome)) func(refused, node string) {
	told := notice.Limiter[string]{Pause: time.Minute}
	return func(refused, lives string) {
		count(affinity.Taken)
		r.metrics.SetupFault(cluster, faultSame, refused, "two nodes make the same sids, and the second session is refused; the last one lives on "+lives+": does one pass requests on to the other, as a balancer or sidway itself, or do they make sids that are not random?")
		if told.Due(cluster) {
			r.log.Warn("two nodes made the same sid, the second session is refused", "cluster", cluster, "node", refused, "lives_on", lives)
		}
	}
}

const (
	fallsAgain = "a node goes and comes back again and again: it refused connections, and accepts them after that. It crashes, or something restarts it; see its log for why it ended"
	// fewestFalls is how often it does so within fallTime before that is told, and fallQuiet how long the log does not repeat it.
	fewestFalls = 3
	fallTime    = 3 * time.Minute
	fallQuiet   = time.Hour
)

// falls are when nodes of a cluster have come back lately, by their names.
type falls struct {
	mu sync.Mutex
	at map[string][]time.Time
}

// again notes that a node has come back, and reports whether it has often.
func (f *falls) again(node string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.DeleteFunc(append(f.at[node], now), func(t time.Time) bool { return now.Sub(t) > fallTime })
	f.at[node] = all[max(0, len(all)-fewestFalls):]
	return len(all) >= fewestFalls
}

// tellNodes has it told that one of a cluster's nodes is ejected, or works again, and that none is left.
func (r *Replica) tellNodes(nodes *control.Nodes) {
	c := nodes.Cluster
	log := r.log.With("cluster", c.Name)
	nodes.OnEvent = func(kind, node, text string) {
		level := slog.LevelInfo
		if kind == "unhealthy" || kind == "discovery" || kind == "node" {
			level = slog.LevelWarn
		}
		l := log
		if node != "" {
			l = log.With("node", node)
		}
		l.Log(context.Background(), level, text)
		r.event(kind, c.Name, node, text)
	}
	falls := falls{at: map[string][]time.Time{}}
	c.OnEjection = func(n *cluster.Node, ejected bool, why cluster.Reason, pause time.Duration) {
		if ejected {
			log.Warn("node ejected: it gets no new sessions until it is tried again, and then for twice as long with each failure",
				"node", n.Name, "address", n.Address, "reason", why, "for", pause, "at_most", cluster.EjectMost)
			r.event("ejected", c.Name, n.Name, fmt.Sprintf("%s: no new sessions for %v, then for twice as long with each failure, at most %v", api.WhyEjected(string(why)), pause, cluster.EjectMost))
		} else {
			log.Info("node works again", "node", n.Name)
			r.event("works_again", c.Name, n.Name, "")
			if why == cluster.ReasonRefused && falls.again(n.Name, time.Now()) {
				r.metrics.SetupFault(c.Name, "restarted_node", n.Name, fallsAgain)
				if r.falling.Due(c.Name + " " + n.Name) {
					log.Warn(fallsAgain, "node", n.Name, "address", n.Address)
				}
			}
		}
	}
	c.OnOutage = func(outage bool, why string) {
		if outage {
			log.Error("no node available", "nodes", len(c.Nodes()), "why", why)
			r.event("no_node", c.Name, "", why)
		} else {
			log.Info("a node is available again")
			r.event("node_available", c.Name, "", "")
		}
	}
	c.OnPanic = func(panic bool) {
		if panic {
			const text = "all nodes that may get sessions are unhealthy, so their probes are not believed"
			log.Error(text, "nodes", len(c.Nodes()))
			r.event("panic", c.Name, "", text)
		} else {
			log.Info("probes are believed again")
			r.event("panic_over", c.Name, "", "")
		}
	}
}
