package gateway

import (
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/request"
)

// judge has the route's gate say whether the client may have its session, unless its token may come later.
func (c *clientConn) judge() {
	if c.x.MayProve() {
		c.x.Unproven = true
		c.goOn()
		return
	}
	v, later := c.x.route.Auth.Gate.Judge(c.x.Ask())
	if later == nil {
		c.judged(v)
		return
	}
	c.await(func() { v = later() }, func() { c.judged(v) }, nil)
}

// judged goes on with a request that is let in, and refuses others.
func (c *clientConn) judged(v auth.Verdict) {
	x := c.x
	x.g.tellVerdict(x.route, v, x.Kind.String(), x.Origin().IP)
	x.Granted = v
	if v.Outcome == auth.Granted {
		c.goOn()
		return
	}
	if v.Outcome == auth.Unreachable {
		c.fail(engineio.AuthAway)
		return
	}
	c.fail(engineio.Forbidden)
}

// tellVerdict counts a verdict, and logs the first of a kind that lets a client not in. kind is what it was about. It may be called concurrently.
func (g *Gateway) tellVerdict(r *route, v auth.Verdict, kind, client string) {
	name, outcome := r.Cluster.Name, v.Outcome.String()
	g.metrics.verdicts.WithLabelValues(name, outcome).Inc()
	if v.Outcome != auth.Granted && g.notices.due("auth", name, outcome) {
		g.log.Warn("clients get no session, for this reason", "cluster", name, "reason", outcome, "means", v.Words(), "kind", kind, "client", client)
	}
}

// goOn brings a request that may pass to a node.
func (c *clientConn) goOn() {
	x := c.x
	switch limit := x.route.MaxBody; {
	case x.Query.SID != "":
		c.resolve()
	case limit > 0 && x.Req.ContentLength > limit:
		c.fail(engineio.BodyTooLarge)
	default:
		c.choose()
	}
}

// overAt reports whether a session that ends at that second is at its end, and else has a poll that waits end then. A preflight is
// granted whatever the cause.
func (c *clientConn) overAt(ends int64) bool {
	left := time.Until(time.Unix(ends, 0))
	c.x.ends = c.d.loop.Now() + max(left, 1)
	return left <= 0 && c.x.Kind != request.Preflight
}
