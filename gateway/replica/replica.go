// Package replica is one running sidway: it wires a gateway, its stores, its listeners and its admin address from a
// configuration, runs them, and ends them in the order that loses the least.
//
//	r, err := replica.New(cfg, log)
//	…
//	err = r.Run(ctx) // until ctx is done, and gracefully
//
// It decides nothing about requests; package gateway does.
package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/admin"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/notice"
	"github.com/sidway/sidway/gateway/tunnel"
)

// Replica is one running sidway. New makes it, Run runs it, once.
type Replica struct {
	cfg       *config.Config
	log       *slog.Logger
	gateway   *gateway.Gateway
	loops     []*loop.Loop
	tunnels   *tunnel.Engine
	metrics   *gateway.Metrics
	routes    []gateway.Route
	redis     redis.UniversalClient // nil in memory mode
	stores    []*affinity.Cached    // one for each cluster, none in memory mode
	memories  []*memory             // one for each cluster
	losses    []*losses             // the same
	listeners []net.Listener        // until the gateway takes them
	addrs     []net.Addr            // theirs
	admin     *http.Server
	adminAt   net.Listener
	stopping  atomic.Bool
	compared  notice.Limiter[*comparison] // differences that the log tells of

	descriptors uint64 // that the process may open

	system     fs.FS // the root of the filesystem
	processors int   // that the process may use
	busy       bool  // the loops keep theirs
}

// New opens the listeners and everything else that can fail for reasons that the user can mend, and serves nothing yet.
func New(cfg *config.Config, log *slog.Logger) (*Replica, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r := &Replica{
		cfg: cfg, log: log, metrics: gateway.NewMetrics(registry),
		compared: notice.Limiter[*comparison]{Pause: compareQuiet},
		system:   os.DirFS("/"),
	}
	if err := r.open(registry); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *Replica) open(registry *prometheus.Registry) error {
	var err error
	if r.cfg.Affinity.Redis != "" {
		if r.redis, err = affinity.Open(r.cfg.Affinity.Redis); err != nil {
			return fmt.Errorf("affinity.redis: %w", err)
		}
	}
	for _, c := range r.cfg.Clusters {
		r.routes = append(r.routes, r.route(c))
	}
	r.countStores(registry)
	for _, address := range r.cfg.Listen {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		r.listeners = append(r.listeners, l)
		r.addrs = append(r.addrs, l.Addr())
	}
	if !r.cfg.Admin.Off() {
		if err := r.openAdmin(registry); err != nil {
			return err
		}
	}
	if err := r.refuseOwn(); err != nil {
		return err
	}
	limits, err := r.limits()
	if err != nil {
		return err
	}
	if r.loops, err = loop.Start(r.countProcessors()); err != nil {
		return err
	}
	r.shareProcessors()
	r.tunnels = tunnel.New()
	r.gateway = gateway.New(gateway.Options{
		Settings: gateway.Settings{Routes: r.routes, Limits: limits, Trusted: r.cfg.TrustedProxies, AccessLog: r.cfg.AccessLog},
		Tunnels:  r.tunnels,
		Loops:    r.loops,
		Metrics:  r.metrics,
		Log:      r.log,
	})
	return nil
}

func (r *Replica) openAdmin(registry *prometheus.Registry) (err error) {
	if r.adminAt, err = net.Listen("tcp", r.cfg.Admin.Listen); err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	o := admin.Options{
		Ready: r.ready, Metrics: registry, Profiles: r.cfg.Admin.Pprof,
		Listen: r.cfg.Admin.Listen, Hosts: r.cfg.Admin.Hosts, Log: r.log,
	}
	if r.redis != nil {
		o.Store = func() error { return r.askStores((*affinity.Cached).Fault) }
	}
	r.admin = &http.Server{
		Handler:           admin.New(o),
		ReadHeaderTimeout: r.cfg.Limits.HeaderTime,
		IdleTimeout:       r.cfg.Limits.IdleTime,
		WriteTimeout:      admin.LongestProfile + r.cfg.Limits.WriteTime,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelWarn),
	}
	return nil
}

// route makes a cluster's nodes and its store.
func (r *Replica) route(c config.Cluster) gateway.Route {
	method := cluster.LeastSessions
	if c.Balance == config.RoundRobin {
		method = cluster.RoundRobin
	}
	nodes := make([]cluster.Config, 0, len(c.Nodes))
	for _, n := range c.Nodes {
		nodes = append(nodes, cluster.Config{
			Name: n.Name, Address: n.Address(), Weight: n.Weight,
		})
	}
	known := cluster.New(c.Name, method, nodes)
	known.OnEjection, known.OnOutage = r.tellNodes(c.Name, len(nodes))
	outcome := r.metrics.BindingOutcome(c.Name)
	taken := r.tellTaken(c.Name, outcome)
	return gateway.Route{
		Hosts:            c.Host,
		Path:             c.Path,
		MaxBody:          c.MaxBody,
		DisableKeepAlive: c.DisableKeepAlive,
		Cluster:          known,
		Store:            r.store(c.Name, outcome, taken),
		OnTaken:          taken,
	}
}

// tellTaken returns what counts sids that a second node handed out, and logs one of them a minute.
func (r *Replica) tellTaken(cluster string, count func(affinity.Outcome)) func(refused, node string) {
	told := notice.Limiter[string]{Pause: time.Minute}
	return func(refused, node string) {
		count(affinity.Taken)
		if told.Due(cluster) {
			r.log.Warn("two nodes made the same sid, the second session is refused", "cluster", cluster, "node", refused, "lives_on", node)
		}
	}
}

// tellNodes returns what logs that one of a cluster's nodes is ejected, or works again, and that none is left.
func (r *Replica) tellNodes(name string, nodes int) (onEjection func(*cluster.Node, bool, cluster.Reason), onOutage func(bool)) {
	log := r.log.With("cluster", name)
	onEjection = func(n *cluster.Node, ejected bool, why cluster.Reason) {
		if ejected {
			log.Warn("node ejected: it gets no new sessions for a while", "node", n.Name, "address", n.Address, "reason", why)
		} else {
			log.Info("node works again", "node", n.Name)
		}
	}
	onOutage = func(outage bool) {
		if outage {
			log.Error("no node available", "nodes", nodes)
		} else {
			log.Info("a node is available again")
		}
	}
	return onEjection, onOutage
}

// Addrs returns the addresses that clients are served on.
func (r *Replica) Addrs() []net.Addr {
	return r.addrs
}

// AdminAddr returns the admin address, nil where there is none.
func (r *Replica) AdminAddr() net.Addr {
	if r.adminAt == nil {
		return nil
	}
	return r.adminAt.Addr()
}

// ready tells a load balancer whether to send clients here. A Redis that was of no use yet counts, since sessions would be
// known to this replica alone; one that goes down later does not, since this replica serves on.
func (r *Replica) ready() error {
	if r.stopping.Load() {
		return errors.New("stopping")
	}
	return r.askStores((*affinity.Cached).Ready)
}

// ErrNoNotice, as the cause of the end of Run's context, leaves shutdown.notice out.
var ErrNoNotice = errors.New("stop without notice")

// Run serves until ctx is done, then ends gracefully within the configured deadline, and closes everything. It returns
// an error only if it could not serve on.
func (r *Replica) Run(ctx context.Context) error {
	defer r.close()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	work, failed := errgroup.WithContext(running)
	for _, s := range r.stores {
		work.Go(func() error { return s.Run(running) })
	}
	for i := range r.routes {
		work.Go(func() error { return gateway.RunSessions(running, &r.routes[i]) })
	}
	work.Go(func() error { return r.sweep(running) })
	if r.redis != nil {
		work.Go(func() error { return r.compare(running) })
	}
	for i, l := range r.listeners {
		if err := r.gateway.Listen(l); err != nil {
			r.listeners = r.listeners[i:]
			return fmt.Errorf("listen: %w", err)
		}
	}
	r.listeners = nil
	if r.admin != nil {
		work.Go(r.serveAdmin)
	}
	r.log.Info("serving", "listen", r.addrs, "admin", r.adminName(), "clusters", len(r.routes),
		"store", r.storeName(), "connections", r.connectionsAllowed())

	select {
	case <-ctx.Done():
		r.end(errors.Is(context.Cause(ctx), ErrNoNotice))
	case <-failed.Done():
	}
	r.stopping.Store(true)
	r.gateway.Close()
	if r.admin != nil {
		r.admin.Close()
	}
	stop()
	return work.Wait()
}

func (r *Replica) adminName() string {
	if a := r.AdminAddr(); a != nil {
		return a.String()
	}
	return "off"
}

func (r *Replica) serveAdmin() error {
	if err := r.admin.Serve(r.adminAt); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// close gives back what New opened.
func (r *Replica) close() {
	for _, l := range r.listeners {
		l.Close()
	}
	if r.adminAt != nil {
		r.adminAt.Close()
	}
	if r.redis != nil {
		r.redis.Close()
	}
	if r.tunnels != nil {
		r.cutTunnels()
	}
	for _, l := range r.loops {
		l.End()
	}
}

// cutTunnels ends the engine of tunnels; after end it has none.
func (r *Replica) cutTunnels() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	r.tunnels.Shutdown(now, 1, 0)
}
