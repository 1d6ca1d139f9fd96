package gateway

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/gateway/cluster"
)

// nodeCollector reads the nodes' figures when they are asked for, so that a request does not have to write them.
type nodeCollector struct {
	sessions, leases, ejected *prometheus.Desc

	mu       sync.Mutex
	clusters []*cluster.Cluster
}

func newNodeCollector() *nodeCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"cluster", "node"}, nil)
	}
	return &nodeCollector{
		sessions: desc("sidway_sessions", "Sessions that this replica counts on the node."),
		leases:   desc("sidway_leases", "Requests and tunnels of this replica in flight on the node."),
		ejected:  desc("sidway_node_ejected", "1 while the node gets no new sessions because it failed."),
	}
}

func (n *nodeCollector) add(c *cluster.Cluster) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clusters = append(n.clusters, c)
}

func (n *nodeCollector) remove(c *cluster.Cluster) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clusters = slices.DeleteFunc(slices.Clone(n.clusters), func(other *cluster.Cluster) bool { return other == c })
}

// Describe implements prometheus.Collector.
func (n *nodeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- n.sessions
	ch <- n.leases
	ch <- n.ejected
}

// Collect implements prometheus.Collector.
func (n *nodeCollector) Collect(ch chan<- prometheus.Metric) {
	n.mu.Lock()
	clusters := n.clusters
	n.mu.Unlock()
	for _, c := range clusters {
		for _, s := range c.Statuses() {
			out := 0.0
			if s.Ejected {
				out = 1
			}
			gauge := func(d *prometheus.Desc, v float64) {
				ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, c.Name, s.Node.Name)
			}
			gauge(n.sessions, float64(s.Sessions))
			gauge(n.leases, float64(s.Leases))
			gauge(n.ejected, out)
		}
	}
}
