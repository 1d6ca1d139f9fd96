// Package gateway is the road of one request: decode, resolve, acquire, forward, release, in that order and once.
//
// A client's requests are read one after the other. What Engine.IO says in the
// query decides where a request goes: a sid to the node that made it (affinity.Store), a handshake or direct connect to
// the node that the cluster picks, anything else to a node in turn. After a checked 101 both connections belong to a
// tunnel.
//
//	g, err := gateway.New(gateway.Options{Routes: routes, …})
//	g.Listen(listener, gateway.ListenOptions{})
//	…
//	g.Drain(ctx)
//	g.Close()
//
// All of it runs on event loops (package loop): a client connection stays on one of them, with the connections to nodes that it
// uses, and is a state machine there. See clientConn for its states; serve.go, ask.go and answer.go are the road in its order.
//
// It reads no configuration.
package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/limits"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/trace"
	"github.com/sidway/sidway/gateway/tunnel"
)

// Route is a cluster and the requests that belong to it.
type Route = request.Route

// CORS is what pages are told in place of nodes; see package request.
type CORS = request.CORS

// Limits bound what clients may take; see package limits.
type Limits = limits.Limits

// Auth is who may have a session of a Route; see request.Auth.
type Auth = request.Auth

// TokenPlace is where a request may have a token.
type TokenPlace = request.TokenPlace

// ParseTokenPlace reads header:NAME, query:NAME, cookie:NAME or protocol.
func ParseTokenPlace(s string) (TokenPlace, error) { return request.ParseTokenPlace(s) }

// Settings are what of a Gateway may change while it runs.
type Settings struct {
	Routes  []Route
	Limits  Limits
	Trusted []netip.Prefix // proxies whose forwarded headers are kept and appended to
	HSTS    time.Duration  // for which browsers are told to come by https alone, where they have (RFC 6797); 0: they are not
	Trace   *trace.Tracer  // nil: none
	Access  *slog.Logger   // of a line for each request; nil: none
}

// Options are what a Gateway is made of.
type Options struct {
	Settings
	Tunnels *tunnel.Engine
	Loops   []*loop.Loop // at least one; they must outlive Close
	Metrics *Metrics
	Log     *slog.Logger
	// Missed, if not nil, returns when the other replicas will look at the nodes for sessions of which the store was not told here; zero:
	// there are no others. It is called concurrently and must not block.
	Missed func() time.Time
	// Missing, if not nil, reports whether other replicas may have bound sessions of which the store knows nothing, and names those that are silent, and did
	// not say that they stop. It is called concurrently and must not block.
	Missing func() (names []string, may bool)
	// Trails, if not nil, asks the other replicas what they remember of a session of the cluster of that name, which may take some seconds. whole tells
	// that all of them have answered. It is called concurrently, and by few at a time.
	Trails func(ctx context.Context, cluster, sid string) (all []Trail, whole bool)
}

// Gateway serves client connections. Its methods may be called concurrently.
type Gateway struct {
	tunnels  *tunnel.Engine
	metrics  *Metrics
	log      *slog.Logger
	topology atomic.Pointer[topology]
	updating sync.Mutex
	drivers  []*driver // one on each loop
	dial     func(netip.AddrPort) (int, error)
	paceTime time.Duration
	notices  notices
	foreign  foreigners

	proofTime time.Duration // for which a poll waits for its session to be proven

	draining atomic.Bool
	active   atomic.Int64 // requests between head and answer
	open     atomic.Int64 // client connections, those of tunnels too
	sockets  atomic.Int64 // those of open that are tunnels
	most     atomic.Int64 // of open without sockets, since the last SetConnections
	polling  atomic.Int64 // places that sessions which poll have, connected or not
	limit    atomic.Int64 // of open
	toNodes  atomic.Int64 // connections to nodes, those of tunnels too

	descriptors atomic.Int64 // limit of open and toNodes together, where live sessions come above limit; 0: none

	missed  func() time.Time
	stood   atomic.Int64                      // when this process went on that had stood still, in ns since 1970
	silent  atomic.Int64                      // since when another replica is, as far as stoodStill was asked; 0: none is
	missing func() (names []string, may bool) // see Options
	trails  func(ctx context.Context, cluster, sid string) (all []Trail, whole bool)
	asking  atomic.Int64 // calls of trails
	short   atomic.Bool  // of memory for more sessions

	two       lazyHTTP2
	pipes     *tunnel.Engine // of connections with HTTP/2, which do not end in waves, but when their requests are answered
	quota     quota
	throttles throttles
	crew      crew
	serving   sync.WaitGroup // requests that wait for what goes on elsewhere
}

// New returns a Gateway. Close ends it.
func New(o Options) *Gateway {
	g := &Gateway{
		tunnels: o.Tunnels, metrics: o.Metrics, log: o.Log, missed: o.Missed, missing: o.Missing, trails: o.Trails,
		pipes: tunnel.New(), dial: sock.Dial, paceTime: paceTime,
	}
	g.throttles.began = time.Now()
	g.proofTime = proofTime
	for _, l := range o.Loops {
		g.drivers = append(g.drivers, newDriver(g, l))
	}
	g.topology.Store(&topology{})
	g.SetConnections(o.Limits.Connections, 0)
	g.Update(o.Settings)
	return g
}

// Stop closes the listeners and makes each kept connection end with its next answer. What is in flight goes on.
func (g *Gateway) Stop() {
	g.draining.Store(true)
	for _, d := range g.drivers {
		d.do(d.stopListening)
	}
	g.two.shutdown()
}

// A polling client sends its next request some time after it had an answer, on a connection that it may have kept. Only when
// none has come for so long, none is expected any more.
const (
	quietTime = time.Second
	quietTick = 50 * time.Millisecond
)

// Drain is Stop, and waits, without closing any connection, until none is left, until no request has been in flight for a
// second, or until ctx is done.
func (g *Gateway) Drain(ctx context.Context) {
	g.Stop()
	tick := time.NewTicker(quietTick)
	defer tick.Stop()
	for quiet := time.Duration(0); quiet < quietTime && g.open.Load() > 0; quiet += quietTick {
		if g.active.Load() > 0 {
			quiet = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close closes the listeners and every client connection that no tunnel has, and returns when nothing is done for one of them
// any more.
func (g *Gateway) Close() {
	g.Stop()
	for _, d := range g.drivers {
		d.do(d.close)
	}
	g.two.close()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = g.pipes.Shutdown(now, 1, 0)
	g.serving.Wait()
	g.crew.close()
}
