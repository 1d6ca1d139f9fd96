package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// Metrics are the figures of a Gateway. Its labels come from closed sets: clusters, nodes, kinds and causes.
type Metrics struct {
	// OnFault, if set before it is used, is told of a fault that has not been seen for a while. It must not block.
	OnFault func(Fault)

	connections prometheus.Gauge
	requests    *prometheus.CounterVec
	handshakes  *prometheus.CounterVec
	unbound     *prometheus.CounterVec
	upgrades    *prometheus.CounterVec
	tunnels     *prometheus.GaugeVec
	tunnelEnds  *prometheus.CounterVec
	tunnelTime  *prometheus.HistogramVec
	aborted     *prometheus.CounterVec
	answers     *prometheus.CounterVec
	added       *prometheus.HistogramVec
	verdicts    *prometheus.CounterVec
	bindings    *prometheus.CounterVec
	held        *prometheus.GaugeVec
	faults      *prometheus.CounterVec
	panics      prometheus.Counter
	tls         *prometheus.CounterVec
	headers     *prometheus.CounterVec
	bounds      boundMetrics
	guarded     *prometheus.CounterVec
	searches    *prometheus.CounterVec
	released    *prometheus.CounterVec
	moves       *prometheus.CounterVec
	stalls      *prometheus.HistogramVec
	nodes       *nodeCollector
	nodeTime    *prometheus.HistogramVec
	made        *prometheus.HistogramVec
	heartbeats  *prometheus.HistogramVec
	waits       *prometheus.HistogramVec
	seen        faults
	told        notices // faults
}

// What can become of a handshake or an upgrade.
const (
	handshakeMade    = iota // a session was made
	handshakeRefused        // the node's answer held none
	outcomes
)

var outcomeNames = [outcomes]string{"made", "refused"}

// NewMetrics registers the figures with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidway_connections", Help: "Open client connections, those of tunnels included.",
		}),
		requests:   counter("sidway_requests_total", "Requests that reached a cluster, by what they asked for.", "cluster", "kind"),
		handshakes: counter("sidway_handshakes_total", "Handshakes and direct connects that a node answered.", "cluster", "transport", "outcome"),
		unbound: counter("sidway_unbound_sessions_total", "Answers of 200 to handshakes without a session that can be bound, by reason.",
			"cluster", "node", "reason"),
		upgrades: counter("sidway_upgrades_total", "Upgrades that a node answered.", "cluster", "outcome"),
		tunnels: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidway_tunnels", Help: "WebSockets that run through this replica.",
		}, []string{"cluster"}),
		tunnelEnds: counter("sidway_tunnels_ended_total", "WebSockets that ended, by what ended them.", "cluster", "cause"),
		tunnelTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sidway_tunnel_seconds", Help: "Age of WebSockets when they ended, by what ended them.",
			Buckets: []float64{1, 5, 15, 30, 60, 120, 600, 3600},
		}, []string{"cluster", "cause"}),
		aborted: counter("sidway_requests_aborted_total", "Requests whose client left before it was answered.", "cluster", "kind"),
		answers: counter("sidway_local_responses_total", "Requests answered here, by reason and, where one had been chosen, node.",
			"cluster", "reason", "node"),
		added: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sidway_overhead_seconds",
			Help:    "Time that a request spent in this replica, without the wait for the client's body and the node's answer.",
			Buckets: []float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 500e-3, 2.5},
		}, []string{"cluster"}),
		verdicts: counter("sidway_auth_verdicts_total", "Requests for a session, and upgrades with a token, by what the cluster's auth said of them.", "cluster", "outcome"),
		bindings: counter("sidway_bindings_total", "Operations on bindings, by outcome.", "cluster", "outcome"),
		faults:   counter("sidway_setup_faults_total", "Signs that clients, nodes or replicas are set up wrongly, by reason.", "cluster", "reason"),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidway_bindings_held", Help: "Bindings in the memory of this replica, at most affinity.cache.",
		}, []string{"cluster"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidway_panics_total", Help: "Panics, each of which has ended one connection.",
		}),
		tls: counter("sidway_tls_handshakes_total", "TLS handshakes that were begun, with clients and with nodes, by what became of them.", "side", "outcome"),
		headers: counter("sidway_proxy_headers_total", "Connections to listeners with proxy_protocol, by what their header said, or why there was none.",
			"outcome"),
		nodes: newNodeCollector(),
		nodeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sidway_node_seconds",
			Help:    "Time from a handshake, direct connect, upgrade or POST of a session that was sent to the node to the head of its answer.",
			Buckets: []float64{1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 250e-3, 1, 2.5, 10},
		}, []string{"cluster", "node", "kind"}),
	}
	limited := counter("sidway_limited_total", "Requests, and reads of WebSockets, that a limit on clients has made wait or refused.", "limit", "outcome")
	m.bounds = newBoundMetrics(limited)
	m.searches = counter("sidway_searches_total", "Requests whose session's node was looked for by asking the nodes, by what became of it.", "cluster", "outcome")
	m.released = counter("sidway_polls_released_total", "Polls that were waiting when this replica stopped, by what became of the attempt to have their node answer them.",
		"cluster", "outcome")
	m.guarded = counter("sidway_guard_total", "Requests that would harm nodes of some versions, by the rule that they break.", "cluster", "rule", "outcome")
	m.waits = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sidway_pace_wait_seconds",
		Help:    "Time that a handshake or direct connect waited because the pace of all nodes allowed no more.",
		Buckets: []float64{10e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 15},
	}, []string{"cluster"})
	m.made = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sidway_handshake_seconds",
		Help:    "Time from a client's request for a session to the answer that has it, with every wait: for a node, for the pace, for Redis.",
		Buckets: []float64{2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 15},
	}, []string{"cluster", "transport"})
	m.heartbeats = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sidway_heartbeat_seconds",
		Help:    "Time from a node's ping on a WebSocket to its client's pong, as they pass here.",
		Buckets: []float64{5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 20},
	}, []string{"cluster"})
	m.moves = counter("sidway_moves_total", "Sessions that were moved to another node while their WebSocket stayed, or were to be, by why and by what became of it.",
		"cluster", "cause", "outcome")
	m.stalls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sidway_move_stall_seconds",
		Help:    "Time for which a client's messages waited while its session went to another node.",
		Buckets: []float64{5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 10},
	}, []string{"cluster"})
	r.MustRegister(limited, m.moves, m.stalls, m.guarded, m.searches, m.released, m.made, m.heartbeats, m.connections, m.requests, m.handshakes, m.unbound, m.upgrades, m.tunnels, m.tunnelEnds, m.answers, m.added, m.bindings, m.held, m.faults, m.panics, m.tls, m.headers, m.nodes, m.nodeTime, m.tunnelTime, m.aborted, m.waits, m.verdicts)
	return m
}

// BindingOutcome returns the hook that counts what became of the bindings of a cluster.
func (m *Metrics) BindingOutcome(cluster string) func(affinity.Outcome) {
	var counters [affinity.Failed + 1]prometheus.Counter
	for o := range counters {
		counters[o] = m.bindings.WithLabelValues(cluster, affinity.Outcome(o).String())
	}
	return func(o affinity.Outcome) { counters[o].Inc() }
}

// BindingsHeld returns the hook that tells how many bindings of a cluster are in memory.
func (m *Metrics) BindingsHeld(cluster string) func(int) {
	held := m.held.WithLabelValues(cluster)
	return func(n int) { held.Set(float64(n)) }
}

// refused counts a request that belonged to no cluster or was refused before it was asked which.
func (m *Metrics) refused(reason string) { m.answers.WithLabelValues("", reason, "").Inc() }

// answered counts an answer made here. n is the node that the request was for, nil where that is not known.
func (m *Metrics) answered(c *cluster.Cluster, cause engineio.Cause, n *cluster.Node) {
	node := ""
	if n != nil && c.Node(n.Name) != nil { // lest series of nodes that are no more begin anew
		node = n.Name
	}
	m.answers.WithLabelValues(c.Name, cause.String(), node).Inc()
}

// routeMetrics are one cluster's, looked up once.
type routeMetrics struct {
	requests   [request.Kinds]prometheus.Counter
	handshakes [outcomes]prometheus.Counter // by polling
	directs    [outcomes]prometheus.Counter
	upgrades   [outcomes]prometheus.Counter
	tunnels    prometheus.Gauge
	added      prometheus.Observer
	ends       [tunnel.Failed + 1]prometheus.Counter
	ages       [tunnel.Failed + 1]prometheus.Observer // of tunnels that ended
	aborted    [request.Kinds]prometheus.Counter
	waits      prometheus.Observer
	made       [2]prometheus.Observer // handshakes and direct connects
	pong       func(time.Duration)
	stalls     prometheus.Observer
	moved      func(crash bool, outcome string)
	nodeTime   func(node string, k request.Kind) prometheus.Observer
}

func (m *Metrics) route(cluster string) *routeMetrics {
	r := &routeMetrics{
		tunnels: m.tunnels.WithLabelValues(cluster),
		added:   m.added.WithLabelValues(cluster),
		waits:   m.waits.WithLabelValues(cluster),
		stalls:  m.stalls.WithLabelValues(cluster),
		moved: func(crash bool, outcome string) {
			cause := "ordered"
			if crash {
				cause = "crash"
			}
			m.moves.WithLabelValues(cluster, cause, outcome).Inc()
		},
		made: [2]prometheus.Observer{m.made.WithLabelValues(cluster, "polling"), m.made.WithLabelValues(cluster, "websocket")},
		nodeTime: func(node string, k request.Kind) prometheus.Observer {
			return m.nodeTime.WithLabelValues(cluster, node, k.String())
		},
	}
	for _, outcome := range []string{searchFound, searchUnknown, searchUnsure, searchLimited} {
		m.searches.WithLabelValues(cluster, outcome) // so that the first one is an increase
	}
	for _, outcome := range []string{pollReleased, pollLeft, pollRefused, pollUntouched} {
		m.released.WithLabelValues(cluster, outcome)
	}
	for _, outcome := range []string{moveDone, moveRenewed, moveBusy, moveRefused, moveSilent, moveBlind, moveUnkept, moveLost, moveLeft} {
		m.moves.WithLabelValues(cluster, "ordered", outcome)
		m.moves.WithLabelValues(cluster, "crash", outcome)
	}
	heartbeats := m.heartbeats.WithLabelValues(cluster)
	r.pong = func(d time.Duration) { heartbeats.Observe(d.Seconds()) }
	for k := range request.Kinds {
		r.requests[k] = m.requests.WithLabelValues(cluster, k.String())
		r.aborted[k] = m.aborted.WithLabelValues(cluster, k.String())
	}
	for c := tunnel.ClientClosed; c <= tunnel.Failed; c++ {
		r.ends[c] = m.tunnelEnds.WithLabelValues(cluster, c.String())
		r.ages[c] = m.tunnelTime.WithLabelValues(cluster, c.String())
	}
	for o, name := range outcomeNames {
		r.handshakes[o] = m.handshakes.WithLabelValues(cluster, "polling", name)
		r.directs[o] = m.handshakes.WithLabelValues(cluster, "websocket", name)
		r.upgrades[o] = m.upgrades.WithLabelValues(cluster, name)
	}
	return r
}

// drop forgets a cluster that is no more.
func (m *Metrics) drop(c *cluster.Cluster) {
	m.nodes.remove(c)
	label := prometheus.Labels{"cluster": c.Name}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.requests, m.handshakes, m.unbound, m.upgrades, m.tunnels, m.tunnelEnds, m.answers, m.added, m.bindings, m.held, m.faults, m.nodeTime,
		m.tunnelTime, m.searches, m.released, m.moves, m.stalls, m.guarded, m.aborted, m.waits, m.made, m.heartbeats, m.verdicts,
	} {
		v.DeletePartialMatch(label)
	}
}

// dropNode forgets a node that its cluster has no more.
func (m *Metrics) dropNode(cluster, node string) {
	label := prometheus.Labels{"cluster": cluster, "node": node}
	m.unbound.DeletePartialMatch(label)
	m.answers.DeletePartialMatch(label)
	m.nodeTime.DeletePartialMatch(label)
	m.seen.forgetNode(cluster, node)
}

// outcome counts what a node made of a request for a session or an upgrade.
func (r *routeMetrics) outcome(k request.Kind, made bool) {
	o := handshakeRefused
	if made {
		o = handshakeMade
	}
	switch k {
	case request.Handshake:
		r.handshakes[o].Inc()
	case request.DirectConnect:
		r.directs[o].Inc()
	case request.Upgrade:
		r.upgrades[o].Inc()
	}
}

func (r *routeMetrics) tunnelEnded(c tunnel.Cause, age time.Duration) {
	if c == 0 || c > tunnel.Failed {
		c = tunnel.Failed
	}
	r.tunnels.Dec()
	r.ends[c].Inc()
	r.ages[c].Observe(age.Seconds())
}
