package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// cutoff finds out whether what clients have open ends from one side after nearly the same time, again and again.
type cutoff struct {
	mu          sync.Mutex
	began, last time.Time
	ages        []ending
}

// ending is the age at which something ended, and the node that it was open to.
type ending struct {
	age  time.Duration
	node string
}

// ended notes an end, and returns the time after which three in four end, 0 where there is none that is less than most, with
// the node of all of these where it is one. Users who leave when they like do not agree so well.
func (f *cutoff) ended(now time.Time, e ending, most time.Duration) (after time.Duration, node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.last) < cutoffPause {
		return 0, ""
	}
	f.last = now
	if now.Sub(f.began) > memoryWindow || len(f.ages) == mostCutoffs {
		f.began, f.ages = now, f.ages[:0]
	}
	at := f.before(e.age)
	f.ages = slices.Insert(f.ages, at, e)
	first, length := 0, 0
	for i, shortest := range f.ages {
		after := f.before(min(shortest.age+shortest.age/10+1, most))
		if n := after - i; shortest.age >= shortestCutoff && n > length {
			first, length = i, n
		}
	}
	if length < fewestCutoffs || 4*length < 3*len(f.ages) {
		return 0, ""
	}
	all := f.ages[first : first+length]
	if node = all[0].node; slices.ContainsFunc(all, func(e ending) bool { return e.node != node }) {
		node = ""
	}
	return all[length/2].age, node
}

// before returns how many ended sooner. It needs mu.
func (f *cutoff) before(age time.Duration) int {
	n, _ := slices.BinarySearchFunc(f.ages, age, func(e ending, age time.Duration) int { return cmp.Compare(e.age, age) })
	return n
}

// left notes that the client has left before its request was answered.
func (c *clientConn) left() {
	x := c.x
	if x == nil || x.route == nil || x.status != 0 || x.panicked || c.d.closed {
		return
	}
	x.route.metrics.aborted[x.Kind].Inc()
	if c.state == asking {
		x.ignored()
	}
	if x.Kind == request.Poll && c.state == asking && !x.SentAt.IsZero() {
		now := time.Now()
		if after, _ := x.route.polls.ended(now, ending{age: now.Sub(x.SentAt)}, x.Binding.PingInterval); after > 0 {
			x.g.tellCutoff(x.route.Cluster.Name, "polls", after, x.Binding.PingInterval+x.Binding.PingTimeout)
		}
	}
}

const (
	// muteAge is how long a WebSocket is open before it means something that nothing has come from its client: it has the first word.
	muteAge = 2 * time.Second
	// fewestMute is how many must end so within memoryWindow, most of all, before that is told.
	fewestMute = 5
)

// mutes finds out whether most WebSockets end without a byte from their clients.
type mutes struct {
	total atomic.Uint64 // that ended so

	mu        sync.Mutex
	began     time.Time
	mute, all int
}

// ended notes an end, and reports whether most within memoryWindow had nothing from their clients.
func (m *mutes) ended(now time.Time, mute bool) (most bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.began) > memoryWindow {
		m.began, m.mute, m.all = now, 0, 0
	}
	m.all++
	if !mute {
		return false
	}
	m.mute++
	m.total.Add(1)
	return m.mute >= fewestMute && 2*m.mute > m.all
}

// watch looks at the age of the tunnel when it ends, and counts it.
func (h *home) watch(r tunnel.Result) {
	g, route, now := h.g, h.route, time.Now()
	age, bySide := now.Sub(h.at), r.Cause == tunnel.ClientClosed || r.Cause == tunnel.NodeClosed || r.Cause == tunnel.ClientIdle
	route.metrics.tunnelEnded(r.Cause, age)
	switch {
	case r.Code == closeTooLarge && h.pingInterval > 0:
		g.tellLargePackets(route, h.node, h.maxPayload)
	case h.short:
		if by := endedBy(r); by < enders {
			g.tellShort(route.tally, by, h.node.Name)
		}
	}
	mute := bySide && r.FromClient == 0
	if bySide && age >= muteAge && route.mutes.ended(now, mute) {
		g.tellMute(route.Cluster.Name)
	}
	if h.pingInterval == 0 || mute || r.Closer == tunnel.ClientClosed { // nobody waited for it, or its client has ended it in order
		return
	}
	e, most := ending{age, h.first}, h.pingInterval+h.pingTimeout
	switch r.Cause {
	case tunnel.ClientClosed:
		if after, _ := route.sockets.ended(now, e, most); after > 0 {
			g.tellCutoff(route.Cluster.Name, "WebSockets", after, most)
		}
	case tunnel.NodeClosed:
		if h.node.Name != h.first { // it came there meanwhile
			return
		}
		if after, node := route.nodeSockets.ended(now, e, most); after > 0 {
			g.tellNodeCutoff(route.Cluster.Name, node, after)
		}
	}
}

// tellMute tells of WebSockets that carry nothing.
func (g *Gateway) tellMute(cluster string) {
	g.tellFault(cluster, faultMute, "", "WebSockets open and nothing comes from their clients: something in front of sidway lets the 101 through and swallows the frames, as a proxy, a firewall or a CDN that does not know WebSockets. Clients stay on polling, or come back again and again")
}

// tellCutoff tells of what ends from the client's side after a fixed time.
func (g *Gateway) tellCutoff(cluster, what string, after, most time.Duration) {
	g.tellFault(cluster, faultTimeout, what, fmt.Sprintf(
		"%s are ended from the client's side after about %g s: is that a proxy's timeout? It must exceed pingInterval + pingTimeout (%g s)",
		what, about(after), most.Seconds()))
}

// tellNodeCutoff tells of WebSockets that end from the node's side after a fixed time, of all nodes where no one is named.
func (g *Gateway) tellNodeCutoff(cluster, node string, after time.Duration) {
	who, args := "nodes end", []any(nil)
	if node != "" {
		who, args = "a node ends", []any{"node", node}
	}
	g.tellFault(cluster, faultNodeTimeout, node, fmt.Sprintf(
		"%s WebSockets after about %g s: is that a timeout of a proxy before it, as in a mesh, or does the application disconnect its clients?",
		who, about(after)), args...)
}

// about is a time in seconds, for a line.
func about(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }
