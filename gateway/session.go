package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// The timers that nodes have by default, for one whose open packet cannot be read.
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 20 * time.Second
)

// warnOfOpen counts and logs why a node's 200 to a handshake has no session that can be bound, if it has none. A node that
// serves Socket.IO's client answers with that, which is no fault.
func (x *exchange) warnOfOpen(err error) {
	if err == nil || x.route.isClientBundle(x.req.Path) {
		return
	}
	reason := "no_open_packet"
	if errors.Is(err, engineio.ErrOpenSID) {
		reason = "bad_sid"
	}
	c := x.route.Cluster
	x.c.g.Metrics.unbound.WithLabelValues(c.Name, x.node.Name, reason).Inc()
	if c.MayWarn(x.node) {
		x.c.g.Log.Warn("a node's answer to a handshake holds no session that can be bound", "cluster", c.Name, "node", x.node.Name,
			"error", err, "content_type", x.resp.Get(http1.ContentType))
	}
}

// bind records where the new session lives, before the client learns its sid: the client's next request may reach
// another replica. While the store is down the binding is kept here and written later. It reports false where the sid
// lives on another node: the client must not learn it, since its requests would reach somebody else's session.
func (x *exchange) bind(ctx context.Context) bool {
	if x.open.SID == "" {
		return true
	}
	err := x.route.Store.Bind(ctx, x.open.SID, x.bindingOf(x.open))
	taken, ok := errors.AsType[*affinity.TakenError](err)
	if !ok {
		return true
	}
	if x.route.OnTaken != nil {
		x.route.OnTaken(x.node.Name, taken.Node)
	}
	x.open = engineio.Open{}
	return false
}

// count counts the answer to a request for a session or an upgrade that made no tunnel. A new session takes the place that
// is reserved on its node.
func (x *exchange) count() {
	switch made := x.open.SID != ""; x.kind {
	case handshake:
		x.route.metrics.outcome(handshake, made)
		if made {
			x.route.memory(x.node.Name).made.Add(1)
			x.route.strangers.made.Add(1)
			x.route.Cluster.Sessions.Open(x.open.SID, x.node, time.Now().Add(x.bindingOf(x.open).TTL()))
			x.reserved = false
		}
	case upgrade, directConnect:
		x.route.metrics.outcome(x.kind, false)
	}
}

func (x *exchange) bindingOf(o engineio.Open) affinity.Binding {
	if o.PingInterval == 0 || o.PingTimeout == 0 {
		o.PingInterval, o.PingTimeout = pingInterval, pingTimeout
	}
	return affinity.Binding{
		Node:         x.node.Name,
		Version:      x.query.Version,
		PingInterval: o.PingInterval,
		PingTimeout:  o.PingTimeout,
		MaxPayload:   o.MaxPayload,
	}
}
