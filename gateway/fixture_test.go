package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/tunnel"
)

// patience bounds every wait of these tests: what has not come by then never comes.
const patience = 20 * time.Second

// site is a gateway that serves on loopback until the test ends.
type site struct {
	*gateway.Gateway
	t        testing.TB
	addr     string // where it serves
	port     string
	registry *prometheus.Registry
	faults   func() []gateway.Fault
	tunnels  *tunnel.Engine
	loops    []*loop.Loop
	store    affinity.Store // of the first cluster
	clusters []*cluster.Cluster
	settings gateway.Settings
}

// reroute gives the gateway these routes in place of those that it has.
func (s *site) reroute(routes ...gateway.Route) {
	s.settings.Routes = routes
	s.Update(s.settings)
}

// siteOptions are what the options of startGateway change.
type siteOptions struct {
	proofTime time.Duration // 0: as it is

	routes   []gateway.Route
	store    affinity.Store
	method   cluster.Method
	limits   gateway.Limits
	trusted  []netip.Prefix
	log      *slog.Logger
	access   *slog.Logger
	listener net.Listener // nil: one of its own
	listen   gateway.ListenOptions
	dial     func(netip.AddrPort) (int, error)
	paceTime time.Duration // 0: as it is
	missed   func() time.Time
	missing  func() ([]string, bool)
	trails   func(context.Context, string, string) ([]gateway.Trail, bool)
}

type siteOption func(*siteOptions)

// withNodes adds a cluster of these nodes that serves every host, with Socket.IO on /socket.io/.
func withNodes(nodes ...*scriptedNode) siteOption { return withCluster("", "/socket.io/", nodes...) }

// withCluster adds a cluster of these nodes for a host, "" for all, and a Socket.IO path. Clusters are named c1, c2….
func withCluster(host, path string, nodes ...*scriptedNode) siteOption {
	return func(o *siteOptions) {
		var configs []cluster.Config
		for _, n := range nodes {
			configs = append(configs, cluster.Config{Name: n.name, Address: n.addr, Weight: 1, TLS: nodeTLS()})
		}
		name := "c" + string(rune('1'+len(o.routes)))
		r := gateway.Route{Path: path, Cluster: cluster.New(name, cluster.Settings{Method: o.method, Nodes: configs})}
		if host != "" {
			r.Hosts = []string{host}
		}
		o.routes = append(o.routes, r)
	}
}

// withStore gives all clusters that come without one this store.
func withStore(s affinity.Store) siteOption { return func(o *siteOptions) { o.store = s } }

// withLimits changes some of the limits.
func withLimits(change func(*gateway.Limits)) siteOption {
	return func(o *siteOptions) { change(&o.limits) }
}

// withMaxBody limits the bodies of the clusters that were added so far.
func withMaxBody(n int64) siteOption {
	return func(o *siteOptions) {
		for i := range o.routes {
			o.routes[i].MaxBody = n
		}
	}
}

// withTrusted trusts proxies on these networks, such as "127.0.0.0/8".
func withTrusted(prefixes ...string) siteOption {
	return func(o *siteOptions) {
		for _, p := range prefixes {
			o.trusted = append(o.trusted, netip.MustParsePrefix(p))
		}
	}
}

// withDial has the gateway connect to nodes by dial.
func withDial(dial func(netip.AddrPort) (int, error)) siteOption {
	return func(o *siteOptions) { o.dial = dial }
}

// withLog writes what the gateway has to say to l.
func withLog(l *slog.Logger) siteOption { return func(o *siteOptions) { o.log = l } }

// withAccessLog writes a line per request to l.
func withAccessLog(l *slog.Logger) siteOption {
	return func(o *siteOptions) { o.log, o.access = l, l }
}

func listenLocal(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// usualLimits are wide enough for a busy machine: a test narrows what it is about.
func usualLimits() gateway.Limits {
	return gateway.Limits{
		Connections:   1000,
		HeaderTime:    patience,
		BodyTime:      patience,
		IdleTime:      patience,
		WriteTime:     patience,
		HandshakeTime: patience,
		QueueTime:     5 * time.Second,
		Queue:         64,
	}
}

// startGateway serves a gateway until the test ends, and then checks that nothing is left of it: no connection, no
// tunnel, no lease.
func startGateway(t testing.TB, options ...siteOption) *site {
	t.Helper()
	o := siteOptions{store: affinity.NewMemory(1000), limits: usualLimits(), log: slog.New(slog.DiscardHandler), listen: listenOptions()}
	for _, option := range options {
		option(&o)
	}
	s := &site{t: t, registry: prometheus.NewRegistry(), store: o.store}
	s.tunnels, s.loops = carriers(t)
	for i := range o.routes {
		if o.routes[i].Store == nil {
			o.routes[i].Store = o.store
		}
		s.clusters = append(s.clusters, o.routes[i].Cluster)
	}
	s.settings = gateway.Settings{Routes: o.routes, Limits: o.limits, Trusted: o.trusted, Access: o.access}
	metrics := gateway.NewMetrics(s.registry)
	s.faults = metrics.Faults
	g := gateway.New(gateway.Options{
		Settings: s.settings,
		Tunnels:  s.tunnels, Loops: s.loops, Metrics: metrics, Log: o.log, Missed: o.missed, Missing: o.missing, Trails: o.trails,
	})
	if o.dial != nil {
		gateway.SetDial(g, o.dial)
	}
	if o.paceTime > 0 {
		gateway.SetPaceTime(g, o.paceTime)
	}
	if o.proofTime > 0 {
		gateway.SetProofTime(g, o.proofTime)
	}
	s.Gateway = g
	l := o.listener
	if l == nil {
		l = listenLocal(t)
	}
	s.addr = l.Addr().String()
	_, s.port, _ = net.SplitHostPort(s.addr)
	if err := g.Listen(l, o.listen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

// carriers returns what carries tunnels in this run, with the loops that it runs on.
func carriers(t testing.TB) (*tunnel.Engine, []*loop.Loop) {
	loops, err := loop.Start(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range loops { // -cpu 4, as cmd/sidway has it on two processors; -cpu 2, as with runtime.busy_loops: false
		l.SetBusy(runtime.GOMAXPROCS(0) > len(loops))
	}
	return tunnel.New(), loops
}

// end closes the gateway and looks for what it left behind.
func (s *site) end() {
	s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.tunnels.Shutdown(ctx, 1, 0)
	for _, l := range s.loops {
		l.End()
	}
	if n := s.metric("sidway_connections"); n != 0 {
		s.t.Errorf("%v connections are still counted", n)
	}
	for _, c := range s.clusters {
		if n := s.metric("sidway_tunnels", c.Name); n != 0 {
			s.t.Errorf("%s: %v tunnels are still counted", c.Name, n)
		}
		for _, n := range c.Statuses() {
			if n.Leases != 0 {
				s.t.Errorf("%s: %d leases are left", n.Node.Name, n.Leases)
			}
		}
	}
}

// metric returns the sum of a metric's series that have all these label values.
func (s *site) metric(name string, values ...string) float64 {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			matched := 0
			for _, l := range m.GetLabel() {
				for _, v := range values {
					if l.GetValue() == v {
						matched++
					}
				}
			}
			if matched >= len(values) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// bind tells the store that a session with the default timers lives on n.
func (s *site) bind(sid string, n *scriptedNode) {
	s.t.Helper()
	s.bindAs(sid, sessionOn(n))
}

// sessionOn is the binding of a session with the default timers.
func sessionOn(n *scriptedNode) affinity.Binding {
	return affinity.Binding{Node: n.name, Version: 4, PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, MaxPayload: 1e6}
}

func (s *site) bindAs(sid string, b affinity.Binding) {
	s.t.Helper()
	if err := s.store.Bind(context.Background(), sid, b); err != nil {
		s.t.Fatal(err)
	}
}

// eventually waits until a condition holds that nothing announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// get is a request without a body, with a Host and these further lines.
func get(target string, lines ...string) string { return request("GET", target, "", lines...) }

// request is a request as HTTP/1.1 with a Host, these further lines, and a body as it is: its framing is in lines.
func request(method, target, body string, lines ...string) string {
	var b strings.Builder
	io.WriteString(&b, method+" "+target+" HTTP/1.1\r\nHost: chat.example.com\r\n")
	for _, l := range lines {
		io.WriteString(&b, l+"\r\n")
	}
	return b.String() + "\r\n" + body
}

// lengthOf announces a body.
func lengthOf(body string) string { return fmt.Sprintf("Content-Length: %d", len(body)) }

// inChunks frames a body in chunks of up to n bytes.
func inChunks(body string, n int) string {
	var b []byte
	for ; len(body) > n; body = body[n:] {
		b = http1.AppendChunk(b, []byte(body[:n]))
	}
	return string(http1.AppendLastChunk(http1.AppendChunk(b, []byte(body))))
}

// The targets of Socket.IO's requests, EIO 4.
const handshakeTarget = "/socket.io/?EIO=4&transport=polling"

func pollTarget(sid string) string { return handshakeTarget + "&sid=" + sid }

func upgradeTarget(sid string) string { return "/socket.io/?EIO=4&transport=websocket&sid=" + sid }

const directTarget = "/socket.io/?EIO=4&transport=websocket"

// socketKey is the key of RFC 6455's example, and socketAccept what belongs to it.
const (
	socketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	socketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// asksWebSocket are the lines of a WebSocket's opening handshake.
var asksWebSocket = []string{
	"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + socketKey,
}
