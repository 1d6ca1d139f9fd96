package gateway

import (
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/auth"
)

// judge has the route's gate say whether the client may have its session.
func (c *clientConn) judge() {
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
	g, name := x.g, x.route.Cluster.Name
	g.metrics.verdicts.WithLabelValues(name, v.Outcome.String()).Inc()
	x.Granted = v
	if v.Outcome == auth.Granted {
		c.goOn()
		return
	}
	if g.notices.due("auth", name, v.Outcome.String()) {
		g.log.Warn("clients get no session, for this reason", "cluster", name, "reason", v.Outcome.String(), "kind", x.Kind.String(), "client", x.Origin().IP)
	}
	if v.Outcome == auth.Unreachable {
		c.fail(engineio.AuthAway)
		return
	}
	c.fail(engineio.Forbidden)
}
