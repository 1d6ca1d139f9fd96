package gateway

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/throttle"
)

// strangerWait is how long a request beyond a rate waits for its turn before it is refused. That of a live session waits for QueueTime:
// it is not many at a time, and refusing it costs the session.
const strangerWait = time.Second

// bound is one of the limits of what clients do, by the name of its setting.
type bound uint8

const (
	boundConnections bound = iota
	boundRequests          // and the next one, in the order of throttle.Kind
	boundHandshakes
	boundAll
	boundTunnel
	boundUnknown
	bounds
)

var boundNames = [bounds]string{"client_connections", "client_requests", "client_handshakes", "handshakes", "tunnel_rate", "unknown_sids"}

// throttles bound what clients do: each address, and all together.
type throttles struct {
	began   time.Time
	clients *throttle.Table
	seats   throttle.Counts // connections

	mu  sync.Mutex
	all throttle.Bucket // handshakes
}

// boundMetrics count what came up against a bound.
type boundMetrics [bounds]struct{ waited, refused prometheus.Counter }

func newBoundMetrics(limited *prometheus.CounterVec) (m boundMetrics) {
	for b, name := range boundNames {
		m[b].waited = limited.WithLabelValues(name, "waited")
		m[b].refused = limited.WithLabelValues(name, "refused")
	}
	return m
}

// pass goes on with a request, at once or in its turn, or refuses it. Live is a session that is known here.
func (c *clientConn) pass(live bool) {
	switch {
	case c.x.ForeignPage():
		c.tellForeignPage()
		c.fail(engineio.Forbidden)
		return
	case c.x.Preflights():
		c.fail(engineio.Preflighted)
		return
	case c.over && c.x.Query.SID == "":
		c.bounded(boundConnections, 0, false)
		c.fail(engineio.TooMany)
		return
	}
	switch wait, ok := c.takeTurns(live); {
	case !ok:
		c.fail(engineio.TooMany)
	case wait > 0:
		c.hold(wait, func() { c.receive(live) })
	default:
		c.receive(live)
	}
}

// takeTurns returns how long a request has to wait, and false where that is too long.
func (c *clientConn) takeTurns(live bool) (wait time.Duration, ok bool) {
	l, t := c.g.limits(), &c.g.throttles
	opens := c.x.Kind == request.Handshake || c.x.Kind.WantsTunnel()
	if l.ClientRequests == 0 && (!opens || l.ClientHandshakes == 0 && l.Handshakes == 0) {
		return 0, true
	}
	now, client := c.d.loop.Clock().Sub(t.began), c.throttled()
	r := throttle.Rate{PerSecond: l.ClientRequests, Wait: strangerWait}
	if live {
		r.Wait = l.QueueTime
	}
	if wait, ok = c.takeTurn(client, throttle.Requests, now, r); !ok || !opens {
		return wait, ok
	}
	more, ok := c.takeTurn(client, throttle.Handshakes, now, throttle.Rate{PerSecond: l.ClientHandshakes, Wait: strangerWait})
	if wait = max(wait, more); !ok || l.Handshakes == 0 {
		return wait, ok
	}
	t.mu.Lock()
	more, ok = t.all.Take(now, throttle.Rate{PerSecond: l.Handshakes, Wait: strangerWait})
	t.mu.Unlock()
	c.bounded(boundAll, more, ok)
	return max(wait, more), ok
}

// takeTurn is takeTurns for one of what the client's address is bounded in.
func (c *clientConn) takeTurn(client throttle.Client, k throttle.Kind, now time.Duration, r throttle.Rate) (time.Duration, bool) {
	if r.PerSecond == 0 || !client.Known() {
		return 0, true
	}
	wait, ok := c.g.throttles.clients.Take(client, k, now, r)
	c.bounded(boundRequests+bound(k), wait, ok)
	return wait, ok
}

// tellForeignPage tells once in a while of pages that are kept out.
func (c *clientConn) tellForeignPage() {
	if cluster := c.x.route.Cluster.Name; c.g.notices.due("origin", cluster, "") {
		c.g.log.Warn("a page is refused, since its origin is none of the cluster's origins", "cluster", cluster,
			"origin", request.Shortened(c.x.Req.Get(http1.Origin), longestLogged), "client", c.x.Origin().IP)
	}
}

const (
	// overLimit is no fault of the setup by itself, so that it is not counted as one of its reasons.
	overLimit = "limit"
	// overOwn is said where one client has come up against its limit, overAll where all together have.
	overOwn = "since a limit is reached: if the client is a proxy that hides who the clients are, name it in trusted_proxies"
	overAll = "since all clients together ask for more sessions than limits.handshakes: is it a storm after a restart, or is the limit too low?"
)

// boundFault is what the status has of a limit that refuses clients.
type boundFault struct {
	key  faultKey
	text string
}

// boundFaults are made once, since floods come up against limits.
var boundFaults = func() (all [bounds]boundFault) {
	for b, name := range boundNames {
		all[b] = boundFault{faultKey{"", overLimit, "limits." + name}, "clients get 429, " + bound(b).words()}
	}
	return all
}()

// words say why a limit is reached.
func (b bound) words() string {
	if b == boundAll {
		return overAll
	}
	return overOwn
}

// bounded counts a request that came up against a bound, and tells of it once in a while if it is refused.
func (c *clientConn) bounded(b bound, wait time.Duration, ok bool) {
	if ok {
		if wait > 0 {
			c.g.metrics.bounds[b].waited.Inc()
		}
		return
	}
	c.g.metrics.bounds[b].refused.Inc()
	f := &boundFaults[b]
	c.g.metrics.seen.note(f.key, f.text)
	if c.g.notices.due(overLimit, boundNames[b], "") {
		args := []any{"limit", f.key.subject}
		if b != boundAll {
			args = append(args, "client", c.x.Origin().IP)
		}
		c.g.log.Warn("requests are refused, "+b.words(), args...)
	}
}
