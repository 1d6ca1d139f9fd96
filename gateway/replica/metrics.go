package replica

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/gateway/loop"
)

// collector tells, when it is asked, what is known of the replica and its clusters, so that nobody has to write it down before.
type collector struct{ *Replica }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	buildInfo     = desc("sidway_build_info", "1, with what was built.", "version", "goversion")
	limit         = desc("sidway_connections_limit", "Client connections that there may be: by limits.connections and the limit of descriptors.")
	reloadOK      = desc("sidway_reload_last_successful", "1 unless the configuration that was read last was refused.")
	reloadTime    = desc("sidway_reload_last_success_timestamp_seconds", "When a configuration was last found to be good, at start or later.")
	linesLost     = desc("sidway_log_lines_lost_total", "Lines that a log has lost, because they could not be written as fast as they came, or not at all.", "log")
	loopBusy      = desc("sidway_loop_busy_seconds_total", "Time that an event loop did not wait.", "loop")
	loopLag       = desc("sidway_loop_lag_seconds", "By how much timers of an event loop were late, as all else on it was.", "loop")
	storeUp       = desc("sidway_store_up", "Whether a cluster's bindings can be read and written in Redis: 1 or 0.", "cluster")
	discoveryUp   = desc("sidway_discovery_up", "Whether a cluster's nodes can be looked for: 1 or 0.", "cluster")
	authUp        = desc("sidway_auth_up", "Whether the last look-up of a cluster's keys for tokens, or at its server of forward-auth, worked: 1 or 0.", "cluster")
	memoryShort   = desc("sidway_memory_short", "Whether memory runs short, so that no session is begun here: 1 or 0.")
	paused        = desc("sidway_paused_seconds_total", "Time in which this process was stopped, or did not come to run.")
	probesTotal   = desc("sidway_probes_total", "Probes of nodes by this replica, by outcome.", "cluster", "node", "outcome")
	certExpiry    = desc("sidway_certificate_expiry_timestamp_seconds", "When a certificate ends that clients are shown.", "name")
	drainSince    = desc("sidway_drain_since_timestamp_seconds", "When the drain of a node began.", "cluster", "node")
	drainDeadline = desc("sidway_drain_deadline_timestamp_seconds", "From when on the sessions of a drained node are ended.", "cluster", "node")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		buildInfo, limit, reloadOK, reloadTime, linesLost, loopBusy, loopLag, storeUp, discoveryUp, authUp, memoryShort, paused, probesTotal, certExpiry, drainSince, drainDeadline,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(buildInfo, 1, c.Version, runtime.Version())
	_, most := c.gateway.Connections()
	gauge(limit, float64(most))
	gauge(reloadOK, number(c.refused.Load() == nil))
	gauge(reloadTime, float64(c.good.Load())/1e3)
	gauge(memoryShort, number(c.gateway.Short()))
	counter(paused, time.Duration(c.paused.Load()).Seconds())
	log, access := c.LinesLost()
	counter(linesLost, float64(log), "log")
	counter(linesLost, float64(access), "access")
	for i, l := range c.loops {
		name, p := strconv.Itoa(i), l.Pulse()
		counter(loopBusy, p.Busy.Seconds(), name)
		ch <- lags(p, name)
	}
	c.eachEnd(func(name string, ends time.Time) { gauge(certExpiry, seconds(ends), name) })
	for _, p := range c.parts() {
		p.nodes.EachProbes(func(node, outcome string, count uint64) {
			counter(probesTotal, float64(count), p.cfg.Name, node, outcome)
		})
		for node, d := range p.nodes.Draining() {
			if !d.Since.IsZero() { // else the node itself has asked for it
				gauge(drainSince, seconds(d.Since), p.cfg.Name, node)
			}
			if !d.Deadline.IsZero() {
				gauge(drainDeadline, seconds(d.Deadline), p.cfg.Name, node)
			}
		}
		if looks, works := p.nodes.Discovers(); looks {
			gauge(discoveryUp, number(works), p.cfg.Name)
		}
		if f, asks := authFault(p); asks {
			gauge(authUp, number(f == nil), p.cfg.Name)
		}
		if p.store != nil {
			gauge(storeUp, number(p.store.Fault() == nil), p.cfg.Name)
		}
	}
}

// lags is a loop's histogram.
func lags(p loop.Pulse, name string) prometheus.Metric {
	all, buckets := uint64(0), map[float64]uint64{}
	for i, n := range p.Lags {
		if all += n; i < loop.Lags {
			buckets[float64(int(1)<<i)/1e3] = all
		}
	}
	return prometheus.MustNewConstHistogram(loopLag, all, p.Lag.Seconds(), buckets, name)
}

func number(fact bool) float64 {
	if fact {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
