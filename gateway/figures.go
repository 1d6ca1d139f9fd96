package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// Figures are what has been counted of a cluster: the same as its metrics, for whoever does not read those.
type Figures struct {
	Handshakes Made // direct connects too
	Upgrades   Made
	Mute       uint64            // WebSockets that ended without a byte from their client
	Waiting    int64             // for pace
	Strangers  uint64            // different sids that nobody knew
	Tunnels    int               // WebSockets, also those that are no Socket.IO's
	Ends       map[string]uint64 // of tunnels, by cause
	Moves      map[string]uint64 // of sessions on WebSockets, by what became of them
	MovesAgain time.Time         // when sessions are moved again; zero: they are
	Responses  map[string]uint64 // that were made here, by reason; of no cluster also what came to no request
	Nodes      map[string]NodeFigures
}

// Made is how many came to something, and how many did not.
type Made struct{ Made, Refused uint64 }

// NodeFigures are what has been counted of one node's answers.
type NodeFigures struct {
	Handshakes uint64 // and direct connects that it accepted
	Unanswered uint64 // upgrades that it was sent since it last answered one
	NoUpgrade  bool   // it offered the last session that it made by polling no WebSocket
	Errors     uint64 // answers of 5xx, those in sessions that no Engine.IO server gives, and requests that it did not answer as it should
}

// nodeFaults are the answers made here that are the fault of the node that had been chosen.
var nodeFaults = map[string]bool{
	engineio.SessionGone.String(): true, engineio.SilentNode.String(): true, engineio.BadNode.String(): true,
}

// What connections came to that got as far as no request, by the outcome of their TLS handshake, or of their PROXY header: health checks of
// TCP, which leave without a word, are none of these.
var (
	foreignTLS     = map[string]string{tlsPlain: "plain_http", tlsFailed: "tls_failed"}
	foreignHeaders = map[string]string{headerMalformed: "no_proxy_header", headerLate: "no_proxy_header", headerUntrusted: "untrusted_proxy"}
)

// Figures returns those of all clusters, by name; "" has the responses to what belonged to none. It looks at each node of each once.
func (g *Gateway) Figures() map[string]*Figures {
	all := map[string]*Figures{"": {Responses: map[string]uint64{}}}
	for _, r := range g.topology.Load().all {
		f := r.tally.figures()
		f.MovesAgain = r.moves.resume()
		all[r.tally.cluster.Name] = f
	}
	each(g.metrics.answers, func(labels map[string]string, n uint64) {
		f, reason, node := all[labels["cluster"]], labels["reason"], labels["node"]
		if f == nil {
			return
		}
		f.Responses[reason] += n
		if of, known := f.Nodes[node]; known && nodeFaults[reason] {
			of.Errors += n
			f.Nodes[node] = of
		}
	})
	each(g.metrics.moves, func(labels map[string]string, n uint64) {
		if f := all[labels["cluster"]]; f != nil {
			f.Moves[labels["outcome"]] += n
		}
	})
	none := all[""].Responses
	each(g.metrics.tls, func(labels map[string]string, n uint64) {
		if reason := foreignTLS[labels["outcome"]]; reason != "" && labels["side"] == "client" {
			none[reason] += n
		}
	})
	each(g.metrics.headers, func(labels map[string]string, n uint64) {
		if reason := foreignHeaders[labels["outcome"]]; reason != "" {
			none[reason] += n
		}
	})
	return all
}

// Turnover is how many sessions of a cluster have been made here by handshakes and direct connects, and how many of its WebSockets have
// ended: all, by the clients' side, and by the nodes' side.
type Turnover struct{ Made, Ended, ByClients, ByNodes uint64 }

// Turnovers returns those of all clusters, by name. It takes less than Figures.
func (g *Gateway) Turnovers() map[string]Turnover {
	all := map[string]Turnover{}
	for _, r := range g.topology.Load().all {
		t := Turnover{Made: r.tally.begun().Made}
		for c := tunnel.ClientClosed; c <= tunnel.Failed; c++ {
			n := value(r.tally.metrics.ends[c])
			t.Ended += n
			switch c {
			case tunnel.ClientClosed, tunnel.ClientIdle:
				t.ByClients += n
			case tunnel.NodeClosed, tunnel.NodeSilent:
				t.ByNodes += n
			}
		}
		all[r.tally.cluster.Name] = t
	}
	return all
}

func (t *tally) figures() *Figures {
	m := t.metrics
	f := &Figures{
		Handshakes: t.begun(), Upgrades: made(&m.upgrades), Mute: t.mutes.total.Load(), Waiting: t.turns.length.Load(), Strangers: t.strangers.total.Load(), Tunnels: int(value(m.tunnels)),
		Ends: map[string]uint64{}, Moves: map[string]uint64{}, Responses: map[string]uint64{}, Nodes: map[string]NodeFigures{},
	}
	for c := tunnel.ClientClosed; c <= tunnel.Failed; c++ {
		f.Ends[c.String()] = value(m.ends[c])
	}
	t.memories.Range(func(key, v any) bool {
		if m := v.(*memory); t.has(m, key) {
			f.Nodes[m.node] = m.figures()
		}
		return true
	})
	return f
}

// begun is what became of handshakes and direct connects.
func (t *tally) begun() Made {
	polling, direct := made(&t.metrics.handshakes), made(&t.metrics.directs)
	return Made{polling.Made + direct.Made, polling.Refused + direct.Refused}
}

func (m *memory) figures() NodeFigures {
	const switched, ok, failed = 1, 2, 5
	f := NodeFigures{Handshakes: m.responses[request.Handshake][ok].Load() + m.responses[request.DirectConnect][switched].Load()}
	f.Errors, f.Unanswered, f.NoUpgrade = m.strange.Load(), m.unanswered.Load(), m.unoffered.Load() > 0
	for k := range m.responses {
		f.Errors += m.responses[k][failed].Load()
	}
	return f
}

func made(c *[outcomes]prometheus.Counter) Made {
	return Made{value(c[handshakeMade]), value(c[handshakeRefused])}
}

// value reads a counter or a gauge.
func value(m prometheus.Metric) uint64 {
	var d dto.Metric
	_ = m.Write(&d) // it fails for labels that are no UTF-8, and these are
	return uint64(d.GetCounter().GetValue() + d.GetGauge().GetValue())
}

// each tells all that a vector has counted.
func each(of *prometheus.CounterVec, f func(labels map[string]string, n uint64)) {
	all := make(chan prometheus.Metric, 64)
	go func() {
		defer close(all)
		of.Collect(all)
	}()
	for one := range all {
		var d dto.Metric
		_ = one.Write(&d)
		labels := map[string]string{}
		for _, l := range d.Label {
			labels[l.GetName()] = l.GetValue()
		}
		f(labels, uint64(d.GetCounter().GetValue()))
	}
}
