package gateway

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// Reasons of sidway_setup_faults_total.
const (
	faultLoop        = "loop"
	faultPath        = "path"
	faultNodeList    = "node_list"
	faultForgetful   = "forgetful_node"
	faultBalanced    = "balanced_node"
	faultRestarted   = "restarted_node"
	faultStore       = "store"
	faultNoSession   = "no_session"
	faultUpgrade     = "upgrade"
	faultRefusals    = "refusals"
	faultSilent      = "silent_node"
	faultHost        = "host"
	faultProxy       = "untrusted_proxy"
	faultErrors      = "node_errors"
	faultCuts        = "node_cuts"
	faultRefuses     = "node_refuses"
	faultTimeout     = "proxy_timeout"
	faultPongs       = "missed_pongs"
	faultNodeTimeout = "node_timeout"
	faultMute        = "mute_websockets"
	faultUnused      = "unused_sessions"
	faultStranger    = "one_stranger"
	faultSlow        = "slow_node"
	faultNodeTLS     = "node_tls"
	faultGuard       = "guard"
	faultMaxBody     = "max_body"
	faultCutOff      = "cut_off_replica"
	faultMoves       = "moves_fail"
	faultShort       = "short_sessions"
	faultUnasked     = "unasked_bytes"
	faultIgnored     = "unanswered_websockets"
	faultUnoffered   = "no_websocket"
)

// tellFault counts a sign that clients, nodes or replicas of a cluster are set up wrongly, and logs it once in a while. subject is
// what it is about where a cluster can have several: a node's name.
func (g *Gateway) tellFault(cluster, reason, subject, words string, args ...any) {
	g.metrics.SetupFault(cluster, reason, subject, words)
	g.logFault(cluster, reason, subject, words, args...)
}

// logFault is the part of tellFault that the log has.
func (g *Gateway) logFault(cluster, reason, subject, words string, args ...any) {
	if g.notices.due(reason, cluster, subject) {
		g.log.Warn(words, append([]any{"cluster", cluster}, args...)...)
	}
}

func (x *exchange) tellFault(reason, subject, words string, args ...any) {
	x.g.tellFault(x.route.Cluster.Name, reason, subject, words, args...)
}

// tellPath looks for a Socket.IO request on a path that is no cluster's.
func (x *exchange) tellPath() {
	if q := &x.Req; !x.Kind.SocketIO() && strings.Contains(q.RawQuery, "EIO=") &&
		strings.Contains(q.RawQuery, "transport=") && !strings.HasPrefix(q.Path, x.route.Path) {
		x.tellFault(faultPath, strings.Clone(request.Shortened(q.Path, longestLogged)), "Socket.IO requests come on a path that is no cluster's, so each goes to any node: write it as the path of a cluster",
			"path", request.Shortened(q.Path, longestLogged), "expected", x.g.topology.Load().routes.Paths(q.Host), "client", x.Origin().IP)
	}
}

// tellProbe looks for health checks that a node, or nobody, answers in sidway's place.
func (x *exchange) tellProbe() {
	switch q := &x.Req; q.Path {
	case "/healthz", "/livez", "/readyz":
		if x.g.notices.due("probe", "", "") {
			x.g.log.Info("health checks come to the public address, where nodes answer them if anybody does: to ask sidway itself, ask its admin address",
				"path", strings.Clone(q.Path), "host", request.Shortened(q.Host, longestLogged), "client", x.Origin().IP)
		}
	}
}

// tellHost tells of Socket.IO requests for hosts that no cluster serves, where so many come that nobody tries hosts: as many as sessions are made.
func (x *exchange) tellHost() {
	g := x.g
	if !strings.Contains(x.Req.RawQuery, "EIO=") || !g.foreign.more(time.Now(), g.made) {
		return
	}
	host := strings.Clone(request.Shortened(x.Req.Host, longestLogged))
	g.metrics.SetupFault("", faultHost, "", "Socket.IO requests come for hosts that no cluster serves, the last one for "+strconv.Quote(host)+": does a proxy in front pass Host on?")
	if g.notices.due(faultHost, "", "") {
		g.log.Warn("Socket.IO requests come for hosts that no cluster serves: does a proxy in front pass Host on?", "host", host, "client", x.Origin().IP)
	}
}

// fewestForeign is how many requests for foreign hosts must come within a minute before that is told.
const fewestForeign = 10

// foreigners counts requests for hosts that no cluster serves. Scanners send some all day.
type foreigners struct {
	mu    sync.Mutex
	began time.Time
	count uint64
	made  uint64 // sessions by then
}

// more notes one more of them, and reports with each tenth whether there are too many within a minute, beside the sessions that are made. made, which
// is called no oftener, counts these from some beginning.
func (f *foreigners) more(now time.Time, made func() uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.began) > memoryWindow {
		f.began, f.count, f.made = now, 0, made()
	}
	f.count++
	return f.count%fewestForeign == 0 && f.count+f.made > made()
}

// made is how many sessions all clusters have made here. It becomes less when a cluster goes.
func (g *Gateway) made() (n uint64) {
	for _, r := range g.topology.Load().all {
		n += r.tally.begun().Made
	}
	return n
}

// tellStripped looks for the request of a WebSocket that does not ask for one.
func (x *exchange) tellStripped() {
	if x.route != nil && x.Query.Transport == engineio.WebSocket && !x.Req.WebSocket {
		x.tellFault(faultUpgrade, "", "requests for a WebSocket come without Upgrade: does a proxy in front of sidway strip it? Clients stay on polling, or do not connect at all where WebSockets are all that they may use",
			"client", x.Origin().IP)
	}
}

// tellProxy looks for a proxy that nobody named in trusted_proxies, so that all its clients seem to have its address.
func (x *exchange) tellProxy() {
	if x.Client.Trusted || !x.Req.Has(http1.XForwardedFor) && !x.Req.Has(http1.Forwarded) {
		return
	}
	if ip, err := netip.ParseAddr(x.Client.IP); err == nil && (ip.IsPrivate() || ip.IsLoopback()) {
		x.tellFault(faultProxy, "", "what a private address says in X-Forwarded-For is not believed: if that is a proxy of yours, name it in trusted_proxies",
			"client", x.Client.IP)
	}
}

// fewestLarge is how many bodies within a minute are longer than what their node takes before that is told: clients know how long that is, but cannot
// divide one packet.
const fewestLarge = 5

// tellLarge tells of bodies that are refused because of their length.
func (x *exchange) tellLarge() {
	if limit := x.route.MaxBody; limit > 0 {
		x.tellFault(faultMaxBody, "", "bodies are refused that are longer than max_body: if clients send so much, it should be what nodes allow (maxHttpBufferSize)",
			"limit", limit, "kind", x.Kind.String(), "client", x.Origin().IP)
		return
	}
	n := x.route.Cluster.Node(x.Binding.Node)
	if n == nil || x.Query.SID == "" {
		return
	}
	x.g.tellLargePackets(x.route, n, x.Binding.MaxPayload, "client", x.Origin().IP)
}

// closeTooLarge is the code by which a node closes a WebSocket because of a message that is too long (RFC 6455, 7.4.1).
const closeTooLarge = 1009

// tellLargePackets tells of packets that are longer than what their node takes: it has announced limit.
func (g *Gateway) tellLargePackets(r *route, n *cluster.Node, limit int64, args ...any) {
	if count, _ := r.memory(n).large.more(time.Now(), 0); count >= fewestLarge {
		g.tellFault(r.Cluster.Name, faultMaxBody, n.Name, "clients send packets that are longer than what their node takes, which ends their sessions: raise its maxHttpBufferSize, or have them send less at once",
			append([]any{"node", n.Name, "limit", limit}, args...)...)
	}
}

const (
	// fewestErrors is how often within a minute a node answers its sessions with errors before it is told of,
	fewestErrors = 5
	// errorShare the share of its answers to them, one in so many.
	errorShare = 20
)

// tellErrors tells of a node that answers requests of its sessions with errors, which no Engine.IO server does.
func (x *exchange) tellErrors(m *memory) {
	n, of := m.errors.more(time.Now(), m.inSessions())
	if n < fewestErrors || errorShare*n < of {
		return
	}
	const words = "a node answers requests of its sessions with errors"
	name, status, said := x.route.Cluster.Name, x.Resp.Status, excerpt([]byte(x.Resp.Get(http1.ContentType)))
	ask := ": see its log, or that of what stands before it"
	if status < 500 {
		ask = ": its Socket.IO server does not say that: does a rate limiter, a firewall or a login stand before it?"
	}
	x.g.metrics.SetupFault(name, faultErrors, x.Node.Name, strings.TrimRight(words+", as "+strconv.Itoa(status)+" "+said, " ")+ask)
	x.g.logFault(name, faultErrors, x.Node.Name, words+ask,
		"node", x.Node.Name, "address", x.Node.Address, "status", status, "kind", x.Kind.String(), "n", n, "of", of, "content_type", said)
}

// fewestHanging is how often within a minute a POST must have waited while its node said nothing before that is told.
const fewestHanging = 3

// tellHanging tells of a node that has what its sessions have sent, which nodes answer at once, and says nothing.
func (x *exchange) tellHanging() {
	if x.Node.Heard.Load() != x.heard || x.Node.Talked.Load() != x.talked || !x.Upload.Complete {
		return
	}
	m := x.memory()
	if n, _ := m.hanging.more(time.Now(), 0); n >= fewestHanging {
		x.tellFault(faultSilent, x.Node.Name, "a node has accepted what its sessions send, and says nothing: is it stopped, or its event loop stuck?", "node", x.Node.Name, "address", x.Node.Address)
	}
}

// fewestLost is how many sessions end within a minute because their node is not to be had before that is told.
const fewestLost = 3

// tellLost tells of a node that does not go on with its live sessions, so that they end.
func (x *exchange) tellLost(err error) {
	n, _ := x.route.memory(x.Node).lost.more(time.Now(), 0)
	if n < fewestLost {
		return
	}
	reason, words := faultCuts, "a node cuts connections of its live sessions, which end: was it started anew, does it crash, or is its limit of descriptors or connections reached?"
	switch {
	case errors.Is(err, request.ErrRefused):
		reason, words = faultRefuses, "a node refuses connections of its live sessions, which end: is it down, or was it started anew?"
	case errors.Is(err, request.ErrSilent):
		reason, words = faultSilent, "a node does not answer requests of its live sessions, which end: does it hang, or drop its polls?"
	}
	x.tellFault(reason, x.Node.Name, words, "node", x.Node.Name, "address", x.Node.Address, "n", n)
}

// tellCutHandshakes tells of a node that cuts one handshake after the other.
func (x *exchange) tellCutHandshakes() {
	reason, words := faultNoSession, "a node cuts the connection when it is asked for a session: does it serve Socket.IO there, on the cluster's path, without TLS, and does it expect the PROXY protocol as the cluster's proxy_protocol says?"
	if x.route.memory(x.Node).serves() {
		reason, words = faultCuts, "a node that serves sessions cuts the connection when it is asked for another: is its limit of descriptors or connections reached?"
	}
	x.tellFault(reason, x.Node.Name, words, "node", x.Node.Name, "address", x.Node.Address, "path", x.route.Path)
}

// fewestRefusals is how many handshakes of one version a node must refuse, one after the other, before it is worth a word.
const fewestRefusals = 10

// refusedInARow is how many handshakes of the request's version the node has refused since it last made a session of it: it may know the other one.
func (x *exchange) refusedInARow() *atomic.Int64 {
	m := x.memory()
	if x.Query.Version == 4 {
		return &m.refused[1]
	}
	return &m.refused[0]
}

// tellRefusals tells of a node that has refused many handshakes in a row.
func (x *exchange) tellRefusals(said []byte) {
	if x.refusedInARow().Add(1) < fewestRefusals {
		return
	}
	const words = "a node refuses one handshake after the other"
	body, name := excerpt(said), x.route.Cluster.Name
	if x.route.ProxyProtocol > 0 && x.Resp.Status == 400 && (body == "" || strings.HasPrefix(body, "400 Bad Request")) { // as Node and Go answer what is no HTTP
		x.tellFault(faultRefusals, x.Node.Name, words+": does it expect the PROXY protocol's header (clusters.proxy_protocol)?", "node", x.Node.Name, "address", x.Node.Address)
		return
	}
	x.g.metrics.SetupFault(name, faultRefusals, x.Node.Name, words+": it says "+cmp.Or(body, "nothing"))
	x.g.logFault(name, faultRefusals, x.Node.Name, words+", for the reason in body: either its rules are wrong, or these clients are",
		"node", x.Node.Name, "status", x.Resp.Status, "eio", x.Query.Version, "transport", x.Query.Transport.String(), "body", body,
		"client", x.Origin().IP, "origin", request.Shortened(x.Req.Get(http1.Origin), longestLogged))
}

// longestExcerpt bounds what a node may write into a line.
const longestExcerpt = 100

// excerpt is how what a node said begins, without control characters.
func excerpt(said []byte) string {
	clean := func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}
	return request.Shortened(strings.Map(clean, string(said[:min(len(said), 2*longestExcerpt)])), longestExcerpt)
}

// mostUnbound is how many sids are remembered that were unbound here, and that nobody knew.
const mostUnbound = 4096

// tellUnknown tells of sids that nobody knows, but not of those that are unknown because a node did not know them.
func (x *exchange) tellUnknown() {
	now := time.Now()
	if x.route.unbound.Has(x.Query.SID) || now.UnixNano()-x.route.blamed.Load() < int64(memoryWindow) {
		return
	}
	client := x.Origin().IP
	adopted := x.route.newcomers.adopted.Load() > 0 // sessions of other replicas have been found here
	switch many, one := x.route.strangers.came(now, x.Query.SID, clientPrefix(client)); {
	case !many:
	case one:
		words := "one client names many sessions that nobody knows: does it try sids?"
		if !adopted {
			words += " If it is a proxy that hides who the clients are, name it in trusted_proxies, and see whether all replicas share one Redis, with the same database and prefix"
		}
		x.tellFault(faultStranger, "", words, "client", client)
	case adopted:
		x.tellFault(faultStore, "", "many requests name sessions that nobody knows, though sessions of other replicas are found here: is there one replica that has another Redis, database or prefix, or is not let in? See their logs. Or has Redis lost bindings?",
			"client", client)
	default:
		x.tellFault(faultStore, "", "many requests name sessions that nobody knows: do all replicas share one Redis, with the same database and prefix, and does it let each of them in? See their logs",
			"client", client)
	}
}

// fewestUnoffered is how many sessions in a row a node must make by polling, and offer no WebSocket, before that is told.
const fewestUnoffered = 3

// offered looks whether the session that a node has made by polling was offered a WebSocket, and tells of a node that offers none while others do.
func (x *exchange) offered() {
	m := x.memory()
	if x.Open.WebSocket {
		m.unoffered.Store(0)
		return
	}
	if m.unoffered.Add(1) < fewestUnoffered {
		return
	}
	others := slices.ContainsFunc(x.route.Cluster.Nodes(), func(n *cluster.Node) bool {
		o := x.route.memory(n)
		return o.made.Load() > 0 && o.unoffered.Load() == 0
	})
	if others {
		x.tellFault(faultUnoffered, x.Node.Name, "a node offers its sessions no WebSocket, and others of its cluster do: see its transports and allowUpgrades", "node", x.Node.Name, "address", x.Node.Address)
	}
}

const (
	unknownWindow  = 5 * time.Second
	unknownWindows = 3
	fewestUnknown  = 3
)

// unknowns finds out whether sids that nobody knows keep coming, in number beside the sessions that are made here. After an
// outage they come too, but not for long. A sid that comes again is none more: its client does not notice that its session has ended.
type unknowns struct {
	made  atomic.Int64  // sessions, since began
	total atomic.Uint64 // sids
	known *cluster.SIDs // that have come

	mu    sync.Mutex
	began time.Time
	count int64
	full  int // windows in a row with too many

	all, lead float64      // sids since there are too many, those of the last windows above all, and how many more the leader named than others
	leader    netip.Prefix // the client that named most of them, if one did
}

// came notes that one of them was named. It reports whether there are too many, and whether one client names most of them: where it
// names three in four, and not where it names less than half.
func (u *unknowns) came(now time.Time, sid string, client netip.Prefix) (many, one bool) {
	if u.known.Has(sid) {
		return false, false
	}
	u.known.Add(sid)
	u.total.Add(1)
	u.mu.Lock()
	defer u.mu.Unlock()
	if age := now.Sub(u.began); age > unknownWindow {
		if u.full++; age > 2*unknownWindow || u.count < fewestUnknown || 4*u.count < u.made.Load() {
			u.full, u.all, u.lead = 0, 0, 0
		}
		u.all, u.lead = u.all/2, u.lead/2
		u.began, u.count = now, 0
		u.made.Store(0)
	}
	u.count++
	u.all++
	if u.leader == client { // a vote by majority, which needs no list of clients (Boyer and Moore)
		u.lead++
	} else if u.lead--; u.lead < 0 {
		u.leader, u.lead = client, -u.lead
	}
	return u.full >= unknownWindows, u.all >= fewestUnknown && 2*u.lead >= u.all
}
