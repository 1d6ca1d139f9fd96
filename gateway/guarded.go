package gateway

import (
	"fmt"
	"math"

	"github.com/sidway/sidway/gateway/guard"
)

// harm is what breaks rules of the guard.
type harm struct {
	rules       guard.Set
	attachments int    // the most that a packet announces
	client      string // its address
	kind        string // of the request, or packet for one in a WebSocket
}

// tellHarm counts the rules that the request breaks.
func (x *exchange) tellHarm() {
	if x.Harm != 0 {
		x.g.tellHarm(x.route, harm{x.Harm, x.Upload.Payload.Attachments, x.Origin().IP, x.Kind.String()})
	}
}

// tellHarm counts rules that are broken. What is refused for it may be an honest client's, so that it is told like what is set up wrongly.
func (g *Gateway) tellHarm(route *route, h harm) {
	name := route.Cluster.Name
	for _, r := range guard.All() {
		switch {
		case !h.rules.Has(r):
		case route.Guard.Report.Has(r):
			g.metrics.guarded.WithLabelValues(name, r.String(), "reported").Inc()
			if g.notices.due("guard "+r.String(), name, "") {
				g.log.Warn("a request would harm nodes of some versions, and is let through as guard.report says",
					"cluster", name, "rule", r.String(), "what", h.of(r, route.Guard), "client", h.client, "kind", h.kind)
			}
		default:
			g.metrics.guarded.WithLabelValues(name, r.String(), "refused").Inc()
			g.tellFault(name, faultGuard, r.String(), "requests are refused that would harm nodes of some versions: "+h.of(r, route.Guard),
				"rule", r.String(), "client", h.client, "kind", h.kind)
		}
	}
}

// of says what is wrong by a rule, and what to mend where the client is an honest one.
func (h *harm) of(r guard.Rule, p guard.Policy) string {
	if r != guard.Attachments {
		return r.About().Stops
	}
	switch n := h.attachments; {
	case n == math.MaxInt:
		return "a packet announces attachments by no number from 1 on"
	case n > p.Most():
		return fmt.Sprintf("a packet announces %d binary attachments, and guard.max_attachments is %d; if your clients send so many, raise it, and maxAttachments at the nodes", n, p.Most())
	}
	return "a POST that nodes may read otherwise than it was read here"
}
