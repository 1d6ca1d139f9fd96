package replica

import "github.com/prometheus/client_golang/prometheus"

// collector tells, when it is asked, what is known of the clusters: whether the stores can be used, of which there are none in memory
// mode, and what became of probes.
type collector struct{ *Replica }

var (
	storeUp = prometheus.NewDesc("sidway_store_up", "Whether a cluster's bindings can be read and written in Redis: 1 or 0.",
		[]string{"cluster"}, nil)
	probesTotal = prometheus.NewDesc("sidway_probes_total", "Probes of nodes by this replica, by outcome.", []string{"cluster", "node", "outcome"}, nil)
	linesLost   = prometheus.NewDesc("sidway_log_lines_lost_total", "Lines that a log has lost, because they could not be written as fast as they came, or not at all.",
		[]string{"log"}, nil)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- storeUp
	ch <- probesTotal
	ch <- linesLost
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	log, access := c.LinesLost()
	ch <- prometheus.MustNewConstMetric(linesLost, prometheus.CounterValue, float64(log), "log")
	ch <- prometheus.MustNewConstMetric(linesLost, prometheus.CounterValue, float64(access), "access")
	for _, p := range c.parts() {
		p.nodes.EachProbes(func(node, outcome string, count uint64) {
			ch <- prometheus.MustNewConstMetric(probesTotal, prometheus.CounterValue, float64(count), p.cfg.Name, node, outcome)
		})
		if p.store == nil {
			continue
		}
		up := 1.0
		if p.store.Fault() != nil {
			up = 0
		}
		ch <- prometheus.MustNewConstMetric(storeUp, prometheus.GaugeValue, up, p.cfg.Name)
	}
}
