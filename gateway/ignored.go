package gateway

import (
	"slices"
	"strconv"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
)

// This file finds nodes that do not answer direct connects, as where a proxy before them swallows requests with Upgrade, and has others preferred.

const (
	// fewestIgnored is how many clients must leave, one after the other, that have waited for handshake_time, before that is told of their node, and it
	// is avoided,
	fewestIgnored = 3
	// ignoredPause how long until one direct connect tries it again.
	ignoredPause = 15 * time.Second
)

// ignored notes that a direct connect has got no answer of its node, and tells of a node that answers none.
func (x *exchange) ignored() {
	if x.Kind != request.DirectConnect || x.SentAt.IsZero() || time.Since(x.SentAt) < x.g.limits().HandshakeTime {
		return
	}
	m, now := x.memory(), time.Now().UnixNano()
	n := m.ignored.Add(1)
	if n < fewestIgnored {
		return
	}
	m.retry.Store(now + int64(ignoredPause))
	x.route.ignoredAt.Store(now)
	if !x.others && x.Node.Heard.Load() == x.heard {
		x.tellFault(faultSilent, x.Node.Name, "a node accepts handshakes and answers nothing", "node", x.Node.Name, "address", x.Node.Address)
		return
	}
	const words, ask = "a node does not answer WebSockets", ": does a proxy or a firewall before it swallow requests with Upgrade, or does its allowRequest hang?"
	name := x.route.Cluster.Name
	x.g.metrics.SetupFault(name, faultIgnored, x.Node.Name, words+", "+strconv.FormatInt(n, 10)+" clients in a row left before an answer"+ask)
	x.g.logFault(name, faultIgnored, x.Node.Name, words+", clients in a row left before an answer"+ask,
		"node", x.Node.Name, "address", x.Node.Address, "n", n)
}

// heeded notes that the node has answered a request for a WebSocket.
func (x *exchange) heeded(m *memory) {
	if x.Kind == request.Upgrade {
		m.unanswered.Store(0)
	}
	if m.ignored.Load() > 0 && m.ignored.Swap(0) >= fewestIgnored && x.g.notices.due("heeded", x.route.Cluster.Name, x.Node.Name) {
		x.g.log.Info("a node answers WebSockets again", "cluster", x.route.Cluster.Name, "node", x.Node.Name)
	}
}

// avoids reports whether direct connects go to other nodes, for now.
func (m *memory) avoids(now int64) bool {
	if m.ignored.Load() < fewestIgnored {
		return false
	}
	at := m.retry.Load()
	return now < at || !m.retry.CompareAndSwap(at, now+int64(ignoredPause))
}

// pick chooses the node of a new session. A direct connect goes to no node that answers none, as long as that is no more than half of the nodes, and
// another is to be had: where all are slow, none is avoided.
func (x *exchange) pick() (*cluster.Node, error) {
	c := x.route.Cluster
	want := cluster.Want{Tried: x.Tried, Key: x.HashKey()}
	now := time.Now().UnixNano()
	if x.Kind != request.DirectConnect || now-x.route.ignoredAt.Load() > int64(memoryWindow) {
		return c.Pick(want)
	}
	var avoided []*cluster.Node
	for _, n := range c.Nodes() {
		if x.route.memory(n).avoids(now) {
			avoided = append(avoided, n)
		}
	}
	if len(avoided) == 0 || 2*len(avoided) > len(c.Nodes()) {
		return c.Pick(want)
	}
	want.Tried = slices.Concat(x.Tried, avoided)
	if n, err := c.Pick(want); err == nil {
		return n, nil
	}
	want.Tried = x.Tried
	return c.Pick(want)
}
