package gateway

import (
	"fmt"
	"math"

	"github.com/sidway/sidway/gateway/guard"
)

// tellHarm counts the rules that the request breaks. One that is refused for it may be an honest client's, so that it is told like what is
// set up wrongly.
func (x *exchange) tellHarm() {
	if x.Harm == 0 {
		return
	}
	name := x.route.Cluster.Name
	for _, r := range guard.All() {
		switch {
		case !x.Harm.Has(r):
		case x.route.Guard.Report.Has(r):
			x.g.metrics.guarded.WithLabelValues(name, r.String(), "reported").Inc()
			if x.g.notices.due("guard "+r.String(), name, "") {
				x.g.log.Warn("a request would harm nodes of some versions, and is let through as guard.report says",
					"cluster", name, "rule", r.String(), "what", x.harm(r), "client", x.Origin().IP, "kind", x.Kind.String())
			}
		default:
			x.g.metrics.guarded.WithLabelValues(name, r.String(), "refused").Inc()
			x.tellFault(faultGuard, r.String(), "requests are refused that would harm nodes of some versions: "+x.harm(r),
				"rule", r.String(), "client", x.Origin().IP, "kind", x.Kind.String())
		}
	}
}

// harm says what is wrong with the request, and what to mend where the client is an honest one.
func (x *exchange) harm(r guard.Rule) string {
	if r != guard.Attachments {
		return r.About().Stops
	}
	switch n := x.Upload.Payload.Attachments; {
	case n == math.MaxInt:
		return "a packet announces attachments by no number from 1 on"
	case n > x.route.Guard.Most():
		return fmt.Sprintf("a packet announces %d binary attachments, and guard.max_attachments is %d; if your clients send so many, raise it, and maxAttachments at the nodes", n, x.route.Guard.Most())
	}
	return "a POST that nodes may read otherwise than it was read here"
}
