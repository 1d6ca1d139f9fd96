package gateway

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// This file finds timeouts of proxies in front that are too short for what waits by design.

const (
	// fewestCutoffs is how many have ended after nearly the same time, within memoryWindow, before that is told.
	fewestCutoffs = 6
	// mostCutoffs is how many are looked at before others are.
	mostCutoffs = 64
	// shortestCutoff is the least time that can be a proxy's.
	shortestCutoff = time.Second
	// cutoffPause is how long after one no other counts: clients that leave at once, as when a network goes, are one.
	cutoffPause = 500 * time.Millisecond
)

// cutoff finds out whether what clients have open ends from their side after nearly the same time, again and again.
type cutoff struct {
	mu          sync.Mutex
	began, last time.Time
	ages        []time.Duration
}

// ended notes an end, and returns the time after which three in four end, 0 where there is none that is less than most. Users who
// leave when they like do not agree so well.
func (f *cutoff) ended(now time.Time, age, most time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.last) < cutoffPause {
		return 0
	}
	f.last = now
	if now.Sub(f.began) > memoryWindow || len(f.ages) == mostCutoffs {
		f.began, f.ages = now, f.ages[:0]
	}
	at, _ := slices.BinarySearch(f.ages, age)
	f.ages = slices.Insert(f.ages, at, age)
	first, length := 0, 0
	for i, shortest := range f.ages {
		after, _ := slices.BinarySearch(f.ages, min(shortest+shortest/10+1, most))
		if n := after - i; shortest >= shortestCutoff && n > length {
			first, length = i, n
		}
	}
	if length < fewestCutoffs || 4*length < 3*len(f.ages) {
		return 0
	}
	return f.ages[first+length/2]
}

// left notes that the client has left before its request was answered.
func (c *clientConn) left() {
	x := c.x
	if x == nil || x.route == nil || x.status != 0 || x.panicked || c.d.closed {
		return
	}
	x.route.metrics.aborted[x.Kind].Inc()
	if x.Kind == request.Poll && c.state == asking && !x.SentAt.IsZero() {
		now := time.Now()
		if after := x.route.polls.ended(now, now.Sub(x.SentAt), x.Binding.PingInterval); after > 0 {
			x.g.tellCutoff(x.route.Cluster.Name, "polls", after, x.Binding)
		}
	}
}

// tunnelWatch returns what looks at the age of the request's tunnel when it ends, and counts it.
func (x *exchange) tunnelWatch() func(tunnel.Cause) {
	g, route, began, b := x.g, x.route, time.Now(), affinity.Binding{}
	switch {
	case x.Kind == request.Upgrade:
		b = x.Binding
	case x.Kind == request.DirectConnect && x.Open.SID != "":
		b = x.NewBinding(x.Open)
	}
	return func(c tunnel.Cause) {
		now := time.Now()
		route.metrics.tunnelEnded(c, now.Sub(began))
		if c != tunnel.ClientClosed || b.PingInterval == 0 {
			return
		}
		if after := route.sockets.ended(now, now.Sub(began), b.PingInterval+b.PingTimeout); after > 0 {
			g.tellCutoff(route.Cluster.Name, "WebSockets", after, b)
		}
	}
}

// tellCutoff tells of what ends from the client's side after a fixed time.
func (g *Gateway) tellCutoff(cluster, what string, after time.Duration, b affinity.Binding) {
	g.tellFault(cluster, faultTimeout, what, fmt.Sprintf(
		"%s are ended from the client's side after about %g s: is that a proxy's timeout? It must exceed pingInterval + pingTimeout (%g s)",
		what, after.Round(100*time.Millisecond).Seconds(), (b.PingInterval+b.PingTimeout).Seconds()))
}
