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
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/admin"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/notice"
	"github.com/sidway/sidway/gateway/page"
	"github.com/sidway/sidway/gateway/trace"
	"github.com/sidway/sidway/gateway/tunnel"
)

// Replica is one running sidway. New makes it, Run runs it, once.
type Replica struct {
	// Load reads the configuration again, for Reload; Applied is told of each that holds from now on. They are set before Run, if at
	// all.
	Load    func() (*config.Config, error)
	Applied func(*config.Config)
	// Access takes the lines of the access log; nil: the log does. LinesLost tells how many lines both have lost.
	Access    *slog.Logger
	LinesLost func() (log, access uint64)
	// Version is what the build is called, for people.
	Version string
	// Notify is told of the replica's state in the words of systemd's sd_notify, and at least once in each Watchdog, if that is not 0,
	// as long as no loop hangs. Both are set before Run, if at all; it may be called concurrently.
	Notify   func(state string)
	Watchdog time.Duration

	cfg      atomic.Pointer[config.Config]
	all      atomic.Pointer[[]*part] // one for each cluster, in the order of the configuration
	log      *slog.Logger
	gateway  *gateway.Gateway
	loops    []*loop.Loop
	tunnels  *tunnel.Engine
	registry *prometheus.Registry
	metrics  *gateway.Metrics
	tracer   atomic.Pointer[trace.Tracer]
	certs    *certs.Certificates
	reloads  *prometheus.CounterVec
	refused  atomic.Pointer[string] // why the configuration that was read last is not in force; nil: it is
	good     atomic.Int64           // when one was last found to be good, in ms since 1970
	board    *control.Board
	events   api.Events
	started  time.Time
	away     atomic.Int64 // since when Redis has been of no use, in ns since 1970; 0: it is of use
	recent   recent
	compared notice.Limiter[*comparison] // differences that the log tells of
	polling  notice.Limiter[pollers]     // clusters whose clients poll
	storms   storms
	outages  outages
	stormy   notice.Limiter[string] // clusters that have storms
	falling  notice.Limiter[string] // nodes that go and come back
	lacks    string                 // which rights in Redis, as was told; sweep's own

	addrs       atomic.Pointer[[]net.Addr] // of the listeners
	admin       *http.Server
	adminAt     net.Listener
	begun       string                       // the first of addrs at the start
	adminListen string                       // what was asked for, by the configuration or by whoever opened it
	handler     atomic.Pointer[http.Handler] // of the admin address
	stopping    atomic.Bool
	paused      atomic.Int64 // nanoseconds; see watch

	reloading sync.Mutex // guards what follows
	listeners []*listener
	redis     redis.UniversalClient // nil in memory mode
	running   context.Context       // of what goes on all the time; nil before Run

	adminGiven  bool // somebody else has opened it
	handed      *Handed
	kin         kin
	succeeded   atomic.Bool // a successor serves
	handovers   *prometheus.CounterVec
	given       map[string][]net.Listener // sockets by name, see Sockets
	descriptors uint64                    // that the process may open
	limitedBy   atomic.Uint64             // as descriptors, where these limit the connections; 0: limits.connections does

	adminLimit  *admin.Limited
	adminServed chan struct{} // closed when no connection to admin is accepted any more

	system     fs.FS // the root of the filesystem
	short      bool  // memory runs short
	processors int   // that the process may use
	busy       bool  // the loops keep theirs
}

// New opens the listeners and everything else that can fail for reasons that the user can mend, and serves nothing yet.
func New(cfg *config.Config, log *slog.Logger) (*Replica, error) {
	return NewOn(Sockets{}, cfg, log)
}

// NewOn is New with sockets that are open already. They are the replica's from now on.
func NewOn(s Sockets, cfg *config.Config, log *slog.Logger) (*Replica, error) {
	r := &Replica{
		given: s.Listen, adminAt: s.Admin, adminGiven: s.Admin != nil, handed: s.Handed,
		Load: func() (*config.Config, error) { return cfg, nil }, LinesLost: func() (uint64, uint64) { return 0, 0 },
		log: log, registry: prometheus.NewRegistry(), board: control.NewBoard(log),
		compared: notice.Limiter[*comparison]{Pause: compareQuiet}, polling: notice.Limiter[pollers]{Pause: pollingQuiet},
		stormy: notice.Limiter[string]{Pause: stormQuiet}, falling: notice.Limiter[string]{Pause: fallQuiet},
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidway_reloads_total", Help: "How often the configuration was read again, by outcome.",
		}, []string{"outcome"}),
		handovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidway_handovers_total", Help: "Takeovers from a predecessor by this process, and successors that failed to take over from it.",
		}, []string{"outcome"}),
		system: os.DirFS("/"), started: time.Now().UTC(),
	}
	r.board.OnEvent, r.board.Self, r.board.Answer = r.event, r.self, r.answer
	r.board.Refuse = func(cluster string, n config.Node) error { return r.refuseOwn(cluster, n, r.Addrs()) }
	r.good.Store(r.started.UnixMilli())
	for _, outcome := range []string{"applied", "unchanged", "refused"} {
		r.reloads.WithLabelValues(outcome) // so that the first one is an increase
	}
	for _, outcome := range []string{"done", "failed"} {
		r.handovers.WithLabelValues(outcome)
	}
	r.metrics = gateway.NewMetrics(r.registry)
	r.metrics.OnFault = r.tellFault
	r.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		r.reloads, r.handovers, collector{r})
	r.cfg.Store(cfg)
	r.all.Store(new([]*part))
	r.addrs.Store(new([]net.Addr))
	if err := r.open(cfg); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *Replica) open(cfg *config.Config) error {
	var err error
	if r.redis, err = openRedis(cfg.Affinity); err != nil {
		return err
	}
	if err := r.openCertificates(cfg); err != nil {
		return err
	}
	listen, err := r.nextListeners(cfg.Listen)
	if err != nil {
		return err
	}
	r.setListeners(listen)
	r.begun = r.Addrs()[0].String()
	if r.adminAt != nil || !cfg.Admin.Off() {
		if err := r.openAdmin(cfg.Admin); err != nil {
			return err
		}
	}
	if err := r.refuseOwnNodes(cfg, r.Addrs()); err != nil {
		return err
	}
	if r.loops, err = loop.Start(r.countProcessors()); err != nil {
		return err
	}
	r.shareProcessors()
	r.limitMemory()
	r.tunnels = tunnel.New()
	r.gateway = gateway.New(gateway.Options{Tunnels: r.tunnels, Loops: r.loops, Metrics: r.metrics, Log: r.log, Missed: r.board.Missed, Missing: r.board.Missing, Trails: r.trails})
	r.board.Mover = r.movePolled
	next, err := r.nextParts(cfg, true)
	if err != nil {
		return err
	}
	r.setParts(cfg, next)
	r.noteRecent(time.Now())
	return r.setConnections()
}

// How long the admin address waits for a request, and keeps an idle connection.
const (
	adminHeaderTime = 5 * time.Second
	adminIdleTime   = 75 * time.Second
	adminWriteTime  = 30 * time.Second
)

func (r *Replica) openAdmin(a config.Admin) error {
	if err := r.openAdminListener(a.Listen); err != nil {
		return err
	}
	if a, ok := r.adminAt.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && r.cfg.Load().Admin.Token == "" {
		r.log.Warn("the admin address is open to other machines, and there is no admin.token: they get its health checks alone, and its "+
			"metrics where admin.open_metrics is set", "admin", a.String())
	}
	r.setAdmin()
	r.admin = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { (*r.handler.Load()).ServeHTTP(w, q) }),
		ReadHeaderTimeout: adminHeaderTime,
		IdleTimeout:       adminIdleTime,
		WriteTimeout:      admin.LongestProfile + adminWriteTime,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          notice.ServerLog(r.log),
	}
	return nil
}

// setAdmin has the admin address follow the configuration.
func (r *Replica) setAdmin() {
	cfg := r.cfg.Load()
	o := admin.Options{
		Ready: r.ready, Metrics: r.registry, OpenMetrics: cfg.Admin.OpenMetrics, Profiles: cfg.Admin.Pprof, Token: cfg.Admin.Token,
		Listen: r.adminListen, Hosts: cfg.Admin.Hosts, Log: r.log, API: r.api(), Page: page.Handler(),
	}
	if cfg.Affinity.Redis != "" {
		o.Store, o.Rights = func() error { return r.askStores((*affinity.Cached).Fault) }, r.refusal
	}
	h := admin.New(o)
	r.handler.Store(&h)
}

// Addrs returns the addresses that clients are served on.
func (r *Replica) Addrs() []net.Addr { return *r.addrs.Load() }

// AdminAddr returns the admin address, nil where there is none.
func (r *Replica) AdminAddr() net.Addr {
	if r.adminAt == nil {
		return nil
	}
	return r.adminAt.Addr()
}

// ready tells a load balancer whether to send clients here. Nodes that were not found yet count, and a Redis that was of no use yet, since sessions would be
// known to this replica alone; one that goes down later does not, since this replica serves on, unless affinity.unready_after says so.
func (r *Replica) ready() error {
	if r.stopping.Load() && !r.succeeded.Load() {
		return errors.New("stopping")
	}
	all := []error{r.askStores((*affinity.Cached).Ready)}
	if since, after := r.away.Load(), r.cfg.Load().Affinity.UnreadyAfter; after > 0 && since > 0 && time.Since(time.Unix(0, since)) >= after {
		all = append(all, r.askStores((*affinity.Cached).Fault))
	}
	for _, p := range r.parts() {
		if err := p.nodes.Ready(); err != nil {
			all = append(all, fmt.Errorf("discover: cluster %s: %w", p.cfg.Name, err))
		}
	}
	return errors.Join(all...)
}

// ErrNoNotice, as the cause of the end of Run's context, leaves shutdown.notice out.
var ErrNoNotice = errors.New("stop without notice")

// Run serves until ctx is done, then ends gracefully within the configured deadline, and closes everything. It returns
// an error only if it could not serve on.
func (r *Replica) Run(ctx context.Context) error {
	defer r.close()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r.start(running)
	if err := r.awaitTurn(ctx); err != nil {
		return err
	}
	r.reloading.Lock()
	n, _, _ := r.connections()
	err := r.serve()
	r.reloading.Unlock()
	if err != nil {
		return err
	}
	work, failed := errgroup.WithContext(running)
	work.Go(func() error { return r.sweep(running) })
	obtaining, stopObtaining := context.WithCancel(running)
	defer stopObtaining()
	work.Go(func() error { return r.certs.Run(obtaining) })
	work.Go(func() error { return r.watch(running) })
	work.Go(func() error { return r.compare(running) })
	work.Go(func() error { return r.findTwins(running) })
	work.Go(func() error { return r.board.Run(running, r.gateway.EndSessions) })
	r.adminServed = make(chan struct{})
	if r.admin != nil {
		r.adminLimit = admin.Limit(r.admin, r.adminAt, r.log)
		work.Go(r.serveAdmin)
	}
	r.takeOver()
	r.warnOfEverybody()
	r.log.Info("serving", "listen", r.Addrs(), "admin", r.adminName(), "clusters", len(r.parts()),
		"store", r.storeName(), "connections", n)
	r.tellServing("started")
	if r.Watchdog > 0 {
		work.Go(func() error { r.watchdog(running); return nil })
	}

	select {
	case <-ctx.Done():
		if r.succeeded.Load() {
			stopObtaining() // the successor does
			r.retire()
		} else {
			r.end(errors.Is(context.Cause(ctx), ErrNoNotice))
		}
	case <-failed.Done():
	}
	r.reloading.Lock() // a reload that is under way ends first
	r.stopping.Store(true)
	r.reloading.Unlock()
	r.gateway.Close()
	closeTracer(r.tracer.Load())
	if r.admin != nil {
		r.admin.Close()
	}
	stop()
	return work.Wait()
}

// start begins what goes on all the time, before anybody is served.
func (r *Replica) start(running context.Context) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	r.running = running
	for _, p := range r.parts() {
		p.start(running)
	}
	r.setTrace(config.Trace{})
	r.updateGateway()
}

func (r *Replica) adminName() string {
	if a := r.AdminAddr(); a != nil {
		return a.String()
	}
	return "off"
}

func (r *Replica) serveAdmin() error {
	defer close(r.adminServed)
	if err := r.admin.Serve(r.adminLimit); !errors.Is(err, http.ErrServerClosed) && !r.succeeded.Load() {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// close gives back what New opened.
func (r *Replica) close() {
	r.kin.close()
	for _, p := range r.parts() {
		p.end(nil)
	}
	for _, l := range r.listeners {
		l.close()
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
