package gateway

import (
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// home is where the session of a tunnel lives, and what is to be known of both when they end. The exchange is used for other requests by
// then.
type home struct {
	g      *Gateway
	route  *route
	node   *cluster.Node
	sid    string // "": it is not known
	seat   seat
	follow *follower           // nil: nobody follows
	log    func(tunnel.Result) // nil: there is no access log

	first string    // the node that the tunnel began at
	at    time.Time // and when
	ttl   time.Duration

	pingInterval, pingTimeout time.Duration // 0, 0: nobody waits for its pings
	maxPayload                int64

	began    int32 // for Sessions.Disconnected
	upgrade  bool  // the session began with polling
	direct   bool  // the tunnel is a direct connect
	reserved bool  // it has a place of its own on the node
	left     bool  // the session's client has, so that it is not counted any more
	short    bool  // the session has ended soon after it began
}

// newHome returns that of the request's tunnel, which is still to be entered.
func (x *exchange) newHome(sid string, s seat) *home {
	h := &home{
		g: x.g, route: x.route, node: x.Node, sid: sid, seat: s, first: x.Node.Name, at: time.Now(), ttl: x.Binding.TTL(),
		upgrade: x.Kind == request.Upgrade, direct: x.Kind == request.DirectConnect, reserved: x.Reserved,
	}
	var b affinity.Binding
	switch {
	case h.upgrade:
		b = x.Binding
	case h.direct && x.Open.SID != "":
		b = x.NewBinding(x.Open)
	}
	h.pingInterval, h.pingTimeout, h.maxPayload = b.PingInterval, b.PingTimeout, b.MaxPayload
	h.log = x.tunnelLog(h)
	return h
}

// enter counts the tunnel and its session. The lease of x, and its place on the node, last as long as the tunnel.
func (h *home) enter(x *exchange) {
	sessions, metrics := h.route.Cluster.Sessions, h.route.metrics
	if h.upgrade {
		sessions.Upgraded(h.sid, h.node, x.Binding.Expires, h.ttl-x.Binding.Silence())
	}
	if h.reserved {
		h.began = sessions.Connected(h.node)
	}
	x.Reserved, x.leased = false, false
	if h.direct {
		metrics.made[1].Observe(time.Since(x.Began).Seconds())
	}
	metrics.outcome(x.Kind, true)
	h.g.sockets.Add(1)
	metrics.tunnels.Inc()
}

// Pong implements tunnel.Owner.
func (h *home) Pong(took time.Duration) { h.route.metrics.pong(took) }

// ClientLeft implements tunnel.Owner. A node that does not end its side has as few sessions then as one that does.
func (h *home) ClientLeft(fromClient int64) {
	h.left = true
	sessions := h.route.Cluster.Sessions
	switch {
	case h.reserved:
		h.short = sessions.Disconnected(h.node, h.began) < shortLife
	case !h.upgrade:
	case fromClient <= probeBytes:
		sessions.ProbeFailed(h.sid, time.Now().Add(h.ttl))
	default:
		lasted, counted := sessions.End(h.sid)
		h.short = counted && lasted < shortLife
	}
}

// Ended implements tunnel.Owner.
func (h *home) Ended(r tunnel.Result) {
	if h.follow != nil {
		h.follow.ended()
	}
	h.node.Release()
	h.watch(r)
	h.trail(r)
	if h.log != nil {
		h.log(r)
	}
	h.g.toNodes.Add(-1)
	h.g.sockets.Add(-1)
	h.g.closed(h.seat)
}
