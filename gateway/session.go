package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// warnOfOpen counts and logs why a node's 200 to a handshake has no session that can be bound, if it has none. A node that
// serves Socket.IO's client answers with that, which is no fault.
func (x *exchange) warnOfOpen(err error) {
	if err == nil || x.route.IsClientBundle(x.Req.Path) {
		return
	}
	reason := "no_open_packet"
	if errors.Is(err, engineio.ErrOpenSID) {
		reason = "bad_sid"
	}
	c := x.route.Cluster
	x.g.metrics.unbound.WithLabelValues(c.Name, x.Node.Name, reason).Inc()
	const words = "a node's answer to a handshake holds no session that can be bound: does it serve Socket.IO, and on the cluster's path?"
	x.g.metrics.SetupFault(c.Name, faultNoSession, x.Node.Name, words)
	if c.MayWarn(x.Node) {
		x.g.log.Warn(words,
			"cluster", c.Name, "node", x.Node.Name, "address", x.Node.Address, "path", request.Shortened(x.Req.Path, longestLogged),
			"status", x.Resp.Status, "error", err, "content_type", x.Resp.Get(http1.ContentType))
	}
}

// bind records where the new session lives, before the client learns its sid: the client's next request may reach
// another replica. While the store is down the binding is kept here and written later. It reports false where the sid
// lives on another node: the client must not learn it, since its requests would reach somebody else's session. Where other replicas
// would take the store's word that there is no such session, the client waits until they do not.
func (x *exchange) bind(ctx context.Context) bool {
	if x.Open.SID == "" {
		return true
	}
	err := x.route.Store.Bind(ctx, x.Open.SID, x.NewBinding(x.Open))
	taken, ok := errors.AsType[*affinity.TakenError](err)
	if !ok {
		x.route.makes.learn(x.Query.Version, x.Open)
		if err != nil && x.g.missed != nil {
			select {
			case <-time.After(time.Until(x.g.missed())):
			case <-ctx.Done():
			}
		}
		if x.Kind == request.Handshake {
			x.route.noUpgrade.Store(!x.Open.WebSocket)
		}
		return true
	}
	if x.route.OnTaken != nil {
		x.route.OnTaken(x.Node.Name, taken.Node)
	}
	x.Open = engineio.Open{}
	return false
}

// count counts the answer to a request for a session or an upgrade that made no tunnel. A new session takes the place that
// is reserved on its node.
func (x *exchange) count() {
	switch made := x.Open.SID != ""; x.Kind {
	case request.Handshake:
		x.route.metrics.outcome(request.Handshake, made)
		if made {
			x.route.memory(x.Node).made.Add(1)
			x.route.strangers.made.Add(1)
			x.route.metrics.made[0].Observe(time.Since(x.Began).Seconds())
			x.route.Cluster.Sessions.Open(x.Open.SID, x.Node, time.Now().Add(x.NewBinding(x.Open).TTL()))
			x.Reserved = false
			x.tellUnused()
		}
	case request.Upgrade, request.DirectConnect:
		x.route.metrics.outcome(x.Kind, false)
	}
}
