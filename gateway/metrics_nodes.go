package gateway

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
)

// nodeCollector reads the nodes' figures when they are asked for, so that a request does not have to write them.
type nodeCollector struct {
	sessions, others, leases, ejected, healthy, draining, weight, label, responses, unused, waiting, lengths, carried, old, oldPolling *prometheus.Desc

	mu       sync.Mutex
	clusters []*tally
}

func newNodeCollector() *nodeCollector {
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"cluster", "node"}, more...), nil)
	}
	return &nodeCollector{
		sessions: desc("sidway_sessions", "Sessions that this replica counts on the node."),
		others:   desc("sidway_sessions_elsewhere", "Sessions that other replicas count on the node, as they told it last."),
		healthy:  desc("sidway_node_healthy", "1 while the node's probes find it healthy, or there are none."),
		draining: desc("sidway_node_draining", "1 while the node gets no new sessions because it is drained."),
		weight:   desc("sidway_node_weight", "Weight by which the node is picked now: what slow start and the node itself leave of the configured one."),
		label:    desc("sidway_node_label", "1 for each label of a node.", "label", "value"),
		leases:   desc("sidway_leases", "Requests and tunnels of this replica in flight on the node."),
		ejected:  desc("sidway_node_ejected", "1 while the node gets no new sessions because it failed."),
		responses: desc("sidway_node_responses_total", "Answers of the node, by what was asked for and the class of their status.",
			"kind", "class"),
		unused: prometheus.NewDesc("sidway_sessions_unused_total", "Sessions made here that expired without any request to this replica.",
			[]string{"cluster"}, nil),
		carried: desc("sidway_sessions_by_transport", "Sessions that this replica counts on the node, by what carries them as far as it knows.", "transport"),
		old:     prometheus.NewDesc("sidway_sessions_old", "Sessions that this replica counts and that are older than half a minute.", []string{"cluster"}, nil),
		oldPolling: prometheus.NewDesc("sidway_sessions_old_polling", "Those of them that are known to poll still.",
			[]string{"cluster"}, nil),
		lengths: prometheus.NewDesc("sidway_session_seconds", "How long sessions lasted, by what carried them when they ended.", []string{"cluster", "transport"}, nil),
		waiting: prometheus.NewDesc("sidway_pace_waiting", "Handshakes and direct connects that wait because the pace of all nodes allows no more.",
			[]string{"cluster"}, nil),
	}
}

func (n *nodeCollector) add(t *tally) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clusters = append(n.clusters, t)
}

func (n *nodeCollector) remove(c *cluster.Cluster) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clusters = slices.DeleteFunc(slices.Clone(n.clusters), func(t *tally) bool { return t.cluster == c })
}

// Describe implements prometheus.Collector.
func (n *nodeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- n.sessions
	ch <- n.leases
	ch <- n.ejected
	ch <- n.others
	ch <- n.healthy
	ch <- n.draining
	ch <- n.weight
	ch <- n.label
	ch <- n.responses
	ch <- n.unused
	ch <- n.waiting
	ch <- n.lengths
	ch <- n.carried
	ch <- n.old
	ch <- n.oldPolling
}

// Collect implements prometheus.Collector.
func (n *nodeCollector) Collect(ch chan<- prometheus.Metric) {
	n.mu.Lock()
	clusters := n.clusters
	n.mu.Unlock()
	for _, t := range clusters {
		n.collectStatuses(ch, t.cluster)
		ch <- prometheus.MustNewConstMetric(n.unused, prometheus.CounterValue, float64(t.cluster.Sessions.Unused()), t.cluster.Name)
		n.collectLengths(ch, t.cluster)
		old, polling := t.cluster.Sessions.Old()
		ch <- prometheus.MustNewConstMetric(n.old, prometheus.GaugeValue, float64(old), t.cluster.Name)
		ch <- prometheus.MustNewConstMetric(n.oldPolling, prometheus.GaugeValue, float64(polling), t.cluster.Name)
		n.collectResponses(ch, t.cluster.Name, fileNode, &t.files)
		ch <- prometheus.MustNewConstMetric(n.waiting, prometheus.GaugeValue, float64(t.turns.length.Load()), t.cluster.Name)
		t.memories.Range(func(key, m any) bool {
			if m := m.(*memory); t.has(m, key) {
				n.collectResponses(ch, t.cluster.Name, m.node, m)
			}
			return true
		})
	}
}

func (n *nodeCollector) collectStatuses(ch chan<- prometheus.Metric, c *cluster.Cluster) {
	for _, s := range c.Statuses() {
		is := func(fact bool) float64 {
			if fact {
				return 1
			}
			return 0
		}
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, c.Name, s.Node.Name)
		}
		gauge(n.sessions, float64(s.Sessions))
		ch <- prometheus.MustNewConstMetric(n.carried, prometheus.GaugeValue, float64(s.Polling), c.Name, s.Node.Name, "polling")
		ch <- prometheus.MustNewConstMetric(n.carried, prometheus.GaugeValue, float64(s.Sockets), c.Name, s.Node.Name, "websocket")
		gauge(n.leases, float64(s.Leases))
		gauge(n.ejected, is(s.Ejected))
		gauge(n.others, float64(s.Others))
		gauge(n.healthy, is(s.Healthy))
		gauge(n.draining, is(s.Draining))
		gauge(n.weight, s.Weight)
		for label, value := range s.Node.Labels {
			ch <- prometheus.MustNewConstMetric(n.label, prometheus.GaugeValue, 1, c.Name, s.Node.Name, label, value)
		}
	}
}

func (n *nodeCollector) collectResponses(ch chan<- prometheus.Metric, cluster, node string, m *memory) {
	for kind := range m.responses {
		for class := range m.responses[kind] {
			if count := m.responses[kind][class].Load(); count > 0 {
				ch <- prometheus.MustNewConstMetric(n.responses, prometheus.CounterValue, float64(count),
					cluster, node, request.Kind(kind).String(), classNames[class])
			}
		}
	}
}

func (n *nodeCollector) collectLengths(ch chan<- prometheus.Metric, c *cluster.Cluster) {
	for e := range cluster.Ends {
		l, all, buckets := c.Sessions.Lengths(e), uint64(0), map[float64]uint64{}
		for i, count := range l.Counts {
			if all += count; i < len(cluster.LengthBounds) {
				buckets[float64(cluster.LengthBounds[i])] = all
			}
		}
		ch <- prometheus.MustNewConstHistogram(n.lengths, all, float64(l.Sum), buckets, c.Name, e.String())
	}
}
