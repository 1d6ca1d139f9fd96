package gateway

import "github.com/sidway/sidway/gateway/guard"

// tellHarm counts and logs what the request would have done, or may have done, to a node.
func (x *exchange) tellHarm() {
	if x.Harm == 0 {
		return
	}
	name := x.route.Cluster.Name
	for _, r := range guard.All() {
		if !x.Harm.Has(r) {
			continue
		}
		outcome, words := "refused", "a request was refused that would harm nodes of some versions"
		if x.route.Guard.Report.Has(r) {
			outcome, words = "reported", "a request would harm nodes of some versions, and is let through as guard.report says"
		}
		x.g.metrics.guarded.WithLabelValues(name, r.String(), outcome).Inc()
		if x.g.notices.due("guard "+r.String(), name, "") {
			x.g.log.Warn(words, "cluster", name, "rule", r.String(), "what", r.About().Stops, "client", x.Origin().IP, "kind", x.Kind.String())
		}
	}
}
