package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

// This file finds what is wrong with clusters and their nodes.

func (f *findings) ofCluster(c *Cluster) {
	p := Problem{Cluster: c.Name}
	if c.Storm != nil { // whatever else there is may come of it
		p.Level = bad
		if f.now.At.Sub(c.Storm.Last) >= stormGoesOn {
			p.Level = warn
		}
		f.add(p, "A storm at %s: %s", c.Name, c.Storm.Words(f.now.At))
	}
	if taking, why := c.taking(func(*Node) bool { return true }); taking == 0 {
		p.Level = bad
		f.add(p, "No node of %s takes new sessions: %s", c.Name, why)
	} else {
		f.ofRelease(c)
	}
	if c.Panic {
		p.Level = bad
		f.add(p, "All nodes of %s fail their probes%s, so these are not believed: is it the page that is broken?", c.Name, c.firstProbe())
	}
	f.ofAuth(c)
	for i := range c.Nodes {
		f.ofNode(c, &c.Nodes[i])
	}
	for _, n := range c.Removed {
		when := ""
		if !n.Since.IsZero() {
			when = " on " + n.Since.UTC().Format(time.DateTime) + " UTC"
		}
		f.add(Problem{Level: info, Cluster: c.Name, Node: n.Name}, "The configuration has %s of %s, and it is not used: an operator has taken it away%s. To have it back, put it by the API (docs/api.md)", n.Name, c.Name, when)
	}
	p.Level, p.order = warn, effect
	if c.Waiting > 0 {
		f.add(p, "Waiting for the pace of the nodes of %s: %s; more clients come at once than these may get", c.Name, count(int(c.Waiting), "handshake"))
	}
	if n := c.allPoll(); n > 0 {
		why, _ := f.now.WhyPolling(c)
		f.add(p, "All %s of %s poll: %s", count(n, "session"), c.Name, why)
	} else if c.Old.Stuck() {
		why, wanted := f.now.WhyPolling(c)
		if wanted {
			p.Level = info
		}
		f.add(p, "%s of %s of %s at this replica poll after half a minute: %s", notice.Thousands(c.Old.Polling), count(c.Old.All, "session"), c.Name, why)
		p.Level = warn
	}
	p.order = plain
	if c.NodesError != "" {
		f.add(p, "Nodes of %s cannot be looked for, and those that are known stay: %s", c.Name, c.NodesError)
	}
	f.ofRefusals(c)
	if before := f.clusterBefore(c.Name); before != nil {
		f.ofGrowth(c, before)
	}
}

// firstProbe tells, in parentheses, what the probe of the first node that is unhealthy has found, if that is known.
func (c *Cluster) firstProbe() string {
	for i := range c.Nodes {
		if n := &c.Nodes[i]; !n.Healthy && n.Probe != nil && n.Probe.Reason != "" {
			return fmt.Sprintf(" (%s: %s)", n.Name, n.Probe.Reason)
		}
	}
	return ""
}

// moved reports whether a session of c has been moved, or was to be.
func (c *Cluster) moved() bool {
	for _, n := range c.Moves {
		if n > 0 {
			return true
		}
	}
	return false
}

// lasts writes how long something has lasted, as 40 s, 3 min or 2 h.
func lasts(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, d)/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h", d/time.Hour)
}

// taking returns how many of some nodes take new sessions, and why the others do not: of each the first cause.
func (c *Cluster) taking(of func(*Node) bool) (n int, why string) {
	causes := []string{"drained", "of weight 0%", "unhealthy", "ejected"}
	counts := make([]int, len(causes))
	for i := range c.Nodes {
		switch v := &c.Nodes[i]; {
		case !of(v):
		case v.Draining:
			counts[0]++
		case v.Weight > 0 && v.Share == 0:
			counts[1]++
		case !v.Healthy && !c.Panic:
			counts[2]++
		case v.Ejected:
			counts[3]++
		default:
			n++
		}
	}
	var all []string
	for i, n := range counts {
		if n > 0 {
			all = append(all, fmt.Sprintf("%s %s", notice.Thousands(n), causes[i]))
		}
	}
	return n, cmp.Or(strings.Join(all, ", "), "there is none")
}

// ofRelease tells of a side of a release that takes no sessions, so that the other one gets them.
func (f *findings) ofRelease(c *Cluster) {
	r := c.Release
	if r == nil {
		return
	}
	p := Problem{Level: warn, Cluster: c.Name}
	in := func(n *Node) bool { return n.Labels[r.Label] == r.Value }
	if n, why := c.taking(in); n == 0 && r.Share != "0%" {
		f.add(p, "No node of %s with %s: %s takes new sessions, so the others get its %s: %s", c.Name, r.Label, r.Value, r.Share, why)
	}
	if n, why := c.taking(func(n *Node) bool { return !in(n) }); n == 0 && r.Share != "100%" {
		f.add(p, "Only the nodes of %s with %s: %s take new sessions, so they get more than %s; the others: %s", c.Name, r.Label, r.Value, r.Share, why)
	}
}

// causes are what faults come of where both are seen.
var causes = map[string]string{"node_timeout": "node_list", "store": "cache_full", "one_stranger": "cache_full"}

// shortens are faults that say why sessions end soon after they began.
var shortens = append([]string{"node_errors", "max_body", "mute_websockets", "proxy_timeout", "node_timeout", "no_session", "loop"}, explained...)

// told reports whether a fault is the cause that is told of sessions that poll, or comes of another one: where requests of a session come to a
// replica without its node, the node waits for them in vain.
func (s *Status) told(v Fault) bool {
	if by := causes[v.Reason]; by != "" && s.has(v.Cluster, by) {
		return true
	}
	if v.Reason == "short_sessions" && s.has(v.Cluster, shortens...) {
		return true
	}
	return slices.ContainsFunc(s.Clusters, func(c Cluster) bool {
		if c.Name != v.Cluster || !c.Old.Stuck() && c.allPoll() == 0 {
			return false
		}
		return v.Reason == "upgrade" && !s.has(c.Name, "mute_websockets") || v.Reason == "no_websocket" && c.unoffered() != ""
	})
}

// order is where a fault stands. Polls that a proxy in front gives up end their sessions, which their nodes then do not know.
func (s *Status) order(v Fault) int {
	if (v.Reason == "balanced_node" || v.Reason == "forgetful_node") && slices.ContainsFunc(s.Faults, func(o Fault) bool {
		return o.Cluster == v.Cluster && o.Reason == "proxy_timeout" && o.Subject == "polls" && s.fresh(o)
	}) {
		return last
	}
	return orders[v.Reason]
}

// ofRefusals tells of clients that were refused within the last minute: each of them comes back, but not between two looks.
func (f *findings) ofRefusals(c *Cluster) {
	p := Problem{Level: bad, Cluster: c.Name}
	for _, reason := range slices.Sorted(maps.Keys(responseWords)) {
		if n := c.Recent.Responses[reason]; n > 0 {
			f.add(p, "In the last minute %s of %s %s", count(int(n), "request"), c.Name, responseWords[reason])
		}
	}
	f.ofUnknown(c)
	if n := c.Recent.Responses["forbidden"]; n >= fewestForeign && n > c.Recent.Made {
		f.add(p, "In the last minute %s of %s were refused by auth or origins, more than came to a session: the log says why", count(int(n), "request"), c.Name)
	}
}

// explained are faults that say why sessions are unknown.
var explained = []string{"node_list", "prefix", "store", "one_stranger", "cache_full", "balanced_node", "forgetful_node", "restarted_node", "missed_pongs", "proxy_timeout", "cut_off_replica", "node_cuts", "node_refuses", "silent_node"}

// mostAgain is how often a session that nobody knows is asked for by a client that heeds the answer, on average at most.
const mostAgain = 5

// ofUnknown tells of sessions that Redis does not know, though it can be used here.
func (f *findings) ofUnknown(c *Cluster) {
	s, p := f.now, Problem{Level: warn, Cluster: c.Name, order: effect}
	if s.Store.Kind != "redis" || !s.Store.Up || s.Store.Deaf || c.Storm != nil || s.has(c.Name, explained...) {
		return
	}
	switch requests, n := c.Recent.Responses["sid_unknown"], c.Recent.Strangers; {
	case n >= fewestForeign && 2*n >= c.Recent.Made && requests <= mostAgain*n:
		f.add(p, "In the last minute %s of %s named %s that neither this replica nor Redis knows; %s began here meanwhile. Does another replica serve clients, and cannot use Redis? It is then missing among the replicas here: see its own status",
			count(int(requests), "request"), c.Name, count(int(n), "session"), count(int(c.Recent.Made), "session"))
	case requests >= fewestForeign && 2*requests >= c.Recent.Made:
		p.Level = info
		f.add(p, "In the last minute %s of %s named sessions that have ended, the same ones again and again: their clients do not heed the 400 that they get", count(int(requests), "request"), c.Name)
	}
}

// ofAuth tells of keys, or a server, that cannot be asked, for as long as that is so: clients that are refused come back, and few do it
// between two looks.
func (f *findings) ofAuth(c *Cluster) {
	if c.Auth == nil || c.Auth.Up {
		return
	}
	p, what, effect := Problem{Level: bad, Cluster: c.Name}, "The server of auth.forward of %s cannot be asked", "clients get no session"
	switch jwks := c.Auth.Asks == "jwks"; {
	case jwks && c.Auth.LetsIn:
		what, effect, p.Level = "The keys of auth.jwt.jwks of %s cannot be fetched", "those that are known stay in use, while tokens by a new one get 503", warn
	case jwks:
		what = "The keys of auth.jwt.jwks of %s cannot be fetched"
	case c.Auth.LetsIn:
		effect, p.Level = "clients are let in unasked", warn
	}
	f.add(p, what+", and %s (last tried on %s UTC): %s", c.Name, effect, c.Auth.Failed.UTC().Format(time.DateTime), c.Auth.Error)
}

func (f *findings) clusterBefore(name string) *Cluster {
	if f.before != nil {
		for i := range f.before.Clusters {
			if f.before.Clusters[i].Name == name {
				return &f.before.Clusters[i]
			}
		}
	}
	return nil
}

// ofGrowth tells of what has grown since an earlier status.
func (f *findings) ofGrowth(c, before *Cluster) {
	seconds := f.now.At.Sub(f.before.At).Seconds()
	p := Problem{Level: warn, Cluster: c.Name}
	if refused, made := Grown(c.Upgrades.Refused, before.Upgrades.Refused), Grown(c.Upgrades.Made, before.Upgrades.Made); refused > fewestErrors && refused > made {
		f.add(p, "The nodes of %s refuse most upgrades: %d of %d", c.Name, refused, refused+made)
	}
	was := map[string]uint64{}
	for _, n := range before.Nodes {
		was[n.Name] = n.Errors
	}
	for _, n := range c.Nodes {
		if errors := Grown(n.Errors, was[n.Name]); errors >= fewestErrors {
			f.add(Problem{Level: warn, Cluster: c.Name, Node: n.Name}, "%s of %s fails requests: %d within %.0f s", n.Name, c.Name, errors, seconds)
		}
	}
}

// WhyEjected says in words why a node is ejected.
func WhyEjected(reason string) string {
	return cmp.Or(ejectedWords[reason], "requests of clients failed there")
}

// ejection says why a node is ejected, and what comes next.
func (f *findings) ejection(n *Node) string {
	why := WhyEjected(n.Why)
	if n.Probe != nil && n.Probe.Reason == "" && n.Probe.At.After(n.Since) {
		why += ", though it answers probes"
	}
	if n.Retry.IsZero() {
		if !n.Tried.IsZero() {
			why += fmt.Sprintf(" (tried last at %s UTC, %s ago)", n.Tried.UTC().Format(time.TimeOnly), lasts(f.now.At.Sub(n.Tried)))
		}
		return why + "; the next client tries it again"
	}
	return fmt.Sprintf("%s; no new sessions for %.1f s more", why, n.Retry.Sub(f.now.At).Seconds())
}

// suspended says when sessions of a drained node are moved again, "" where they are.
func (d *Drain) suspended(at time.Time) string {
	if d.MovesAgain == nil || !d.MovesAgain.After(at) {
		return ""
	}
	return fmt.Sprintf("; none is moved before %s UTC: see moves_fail", d.MovesAgain.UTC().Format(time.TimeOnly))
}

func (f *findings) ofNode(c *Cluster, n *Node) {
	p := Problem{Cluster: c.Name, Node: n.Name}
	name := n.Name + " of " + c.Name
	if !n.Healthy {
		p.Level = bad
		reason := ""
		if n.Probe != nil && n.Probe.Reason != "" {
			reason = ": " + n.Probe.Reason
		}
		f.add(p, "%s is unhealthy%s", name, reason)
	}
	if n.Ejected && n.Healthy {
		p.Level = bad
		f.add(p, "%s is ejected: %s", name, f.ejection(n))
	}
	d := n.Drain
	if !n.Draining || d == nil {
		return
	}
	p.Level = info
	switch left := count(n.Total, "session"); {
	case n.Total == 0:
		f.add(p, "%s is drained, and empty", name)
	case d.Rate > 0:
		f.add(p, "%s is being drained: %s left, %.0f a second end%s", name, left, d.Rate, d.suspended(f.now.At))
	case d.Deadline == nil:
		if since := f.now.At.Sub(d.Since); !d.Since.IsZero() && since >= longDrain {
			p.Level = warn
			f.add(p, "%s is drained for %.0f min, and %s do not leave: give the drain a deadline, as sidway drain %s --deadline 5m", name, since.Minutes(), left, n.Name)
			return
		}
		since := ""
		if !d.Since.IsZero() {
			since = " for " + lasts(f.now.At.Sub(d.Since))
		}
		move := "; to move them: the setting sessions.move"
		if c.moved() {
			move = ""
		}
		f.add(p, "%s has been draining%s without a deadline: %s stay until their clients leave. To end them: sidway drain %s --deadline 5m%s%s", name, since, left, n.Name, move, d.suspended(f.now.At))
	case d.Deadline.After(f.now.At):
		f.add(p, "%s is being drained: %s left, ended from %s UTC on%s", name, left, d.Deadline.UTC().Format(time.TimeOnly), d.suspended(f.now.At))
	default:
		p.Level = warn
		f.add(p, "The drain of %s does not end: no other node takes its %s", name, left)
	}
}
