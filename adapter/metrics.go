package adapter

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what adapters do. It is a Prometheus collector; registering it is up to the user. One Metrics may serve
// several adapters, from any number of goroutines.
type Metrics struct {
	published, received, lost *prometheus.CounterVec
	decodeErrors, timeouts    prometheus.Counter
	resubscribed, ghosts      prometheus.Counter
	connected, queued         prometheus.Gauge
}

var _ prometheus.Collector = (*Metrics)(nil)

// Reasons for which a message is lost, a closed set of label values.
const (
	lostOverflow = "overflow" // the queue for Redis was full
	lostUnknown  = "unknown"  // the connection broke before Redis answered: it may have arrived, and is not sent again
	lostRefused  = "refused"  // Redis refused the command
	lostEncode   = "encode"   // the value cannot travel
	lostTooLarge = "too_large"
	lostClosed   = "closed" // the adapter was closed with messages waiting
	lostGap      = "gap"    // entries were trimmed from the stream before this node read them
)

// NewMetrics returns a collector with all counters at zero.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "sidway", Subsystem: "adapter", Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sidway", Subsystem: "adapter", Name: name, Help: help})
	}
	return &Metrics{
		published: prometheus.NewCounterVec(counter("published_total", "Messages that Redis took."), []string{"kind"}),
		received:  prometheus.NewCounterVec(counter("received_total", "Messages from other nodes."), []string{"kind"}),
		lost:      prometheus.NewCounterVec(counter("lost_total", "Messages that did not reach the other nodes."), []string{"reason"}),
		decodeErrors: prometheus.NewCounter(
			counter("decode_errors_total", "Messages from other nodes that made no sense and were dropped.")),
		timeouts: prometheus.NewCounter(
			counter("request_timeouts_total", "Requests to which not all nodes answered in time.")),
		resubscribed: prometheus.NewCounter(
			counter("resubscribed_total", "Times that a lost subscription was made again.")),
		ghosts:    prometheus.NewCounter(counter("ghosts_total", "Sockets swept because their connection was gone.")),
		connected: gauge("connected", "Subscriptions to Redis that are live."),
		queued:    gauge("queued_messages", "Messages that wait for Redis."),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.published, m.received, m.lost, m.decodeErrors, m.timeouts, m.resubscribed, m.ghosts, m.connected, m.queued,
	}
}
