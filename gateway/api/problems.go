package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

// Problem is something that somebody has to look at, or is to know.
type Problem struct {
	Level   string `json:"level" doc:"bad: clients notice; warn: they may soon, or something is set up wrongly; info: somebody wanted it so"`
	Cluster string `json:"cluster,omitempty"`
	Node    string `json:"node,omitempty"`
	Replica string `json:"replica,omitempty"`
	Text    string `json:"text" doc:"a sentence"`

	order int // among those of its level: what explains others comes first
}

// The levels of a Problem, the gravest first.
const (
	bad  = "bad"
	warn = "warn"
	info = "info"
)

var levels = []string{bad, warn, info}

// The orders of a Problem.
const (
	cause = iota - 1
	plain
	effect // may come of others
	last   // comes of others
)

// orders are those of faults that are not plain.
var orders = map[string]int{
	"redis_rights": cause, "node_list": cause, "twin_nodes": cause, "prefix": cause, "cut_off_replica": cause, "upgrade": cause, "mute_websockets": cause, "balanced_node": cause, "same_sids": cause, "loop": cause, "cache_full": cause,
	"proxy_timeout": effect, "node_timeout": effect, "slow_node": effect, "unused_sessions": effect, "store": effect, "one_stranger": effect, "moves_fail": effect, "short_sessions": effect,
}

const (
	// faultFresh is how long after it was last seen a fault is a problem.
	faultFresh = 2 * time.Minute
	// faultNow is how long after it was last seen a fault is told as one that goes on: some are looked for every ten seconds.
	faultNow = 15 * time.Second
	// SilentAfter is how many seconds a replica may be silent, which tells of itself several times a second.
	SilentAfter = 5
	// fewestOld is how many sessions must be old before the share of those that poll means anything, and pollingShare which is too
	// large, one in so many.
	fewestOld    = 20
	pollingShare = 5
	// fewestAllPolling is how many must be old where all of them poll.
	fewestAllPolling = 8
	// fewestUnanswered is how many upgrades must be unanswered, beside at least half as many as sessions poll, before that is why they do.
	fewestUnanswered = 3
	// longDrain is from when on a drain without a deadline seems to be waiting in vain.
	longDrain = 10 * time.Minute
	// nearLimit is the share of limits.connections from which on it is told.
	nearLimit = 0.9
	// fewestForeign is how many must be refused in a minute before that may be the fault of what is set up and not of who comes.
	fewestForeign = 10
	// fewestOutages is how often Redis must be away within a minute before it is told where it is there.
	fewestOutages = 2
	// fewestErrors is how many requests a node must fail between two statuses.
	fewestErrors = 5
	// stormRate is how many sessions must begin within a second before that may be a storm, and stormShare which share of all, one in so
	// many.
	stormRate  = 50
	stormShare = 10
)

// responseWords say what answers of ours mean that nobody should get, by reason.
var responseWords = map[string]string{
	"no_node":     "got no node",
	"full":        "were turned away: limits.connections is reached, ports or descriptors are used up, or memory runs short",
	"paced":       "waited for their turn in vain: more clients come than the pace of the nodes allows",
	"store_away":  "could not be served while Redis is away",
	"bad_node":    "got no usable answer from their node",
	"silent_node": "got no answer from their node in time",
	"internal":    "met a bug of sidway: see the log",
}

// ejectedWords say why a node is ejected.
var ejectedWords = map[string]string{
	"refused":         "it accepts no connection",
	"connect_timeout": "it does not take connections in time",
	"unreachable":     "there is no way to it, or nobody knows its name",
	"tls":             "it cannot be spoken to by TLS: see the log, or what is told of node_tls",
	"silent":          "it answers nothing",
	"cut":             "it cuts the connection when it is asked for a session",
	"no_session":      "it answers handshakes with something else than a session",
}

// foreignWords say what clients and balancers do that are set up for another listener than the one that they came to.
var foreignWords = []struct{ reason, one, what, mend string }{
	{"bad_head", "request", "were no HTTP", "does something in front speak TLS, HTTP/2 or the PROXY protocol here?"},
	{"plain_http", "connection", "spoke plain HTTP to a listener with tls", "does a balancer in front end TLS? Then it needs one without"},
	{"tls_failed", "TLS handshake", "of clients failed", "do they trust the certificate, and does it name the host? The log says why"},
	{"no_proxy_header", "connection", "did not begin with a header of the PROXY protocol", "is send-proxy-v2 or the like set at the balancer?"},
	{"untrusted_proxy", "connection", "to a listener with proxy_protocol came from none of trusted_proxies", "is a balancer's address missing there? The log has one"},
}

// findings collects problems.
type findings struct {
	now    *Status
	before *Status // nil: there is none
	all    []Problem
}

// judge sets the status's problems, the gravest first, and its headline. With an earlier status it also tells of what grows.
func (s *Status) judge(before *Status) {
	if before != nil && !before.At.Before(s.At) {
		before = nil
	}
	f := findings{now: s, before: before, all: []Problem{}}
	f.ofReplicas()
	f.ofCertificates()
	for i := range s.Clusters {
		f.ofCluster(&s.Clusters[i])
	}
	byName := slices.SortedStableFunc(slices.Values(s.Faults), func(a, b Fault) int { // whichever came last
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Subject, b.Subject))
	})
	for _, v := range byName {
		if s.fresh(v) && !s.told(v) {
			f.ofFault(v)
		}
	}
	slices.SortStableFunc(f.all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)), cmp.Compare(a.order, b.order))
	})
	s.Problems = f.all
	s.Headline = s.headline()
}

// headline says in a sentence whether all is well.
func (s *Status) headline() string {
	serious := 0
	for _, p := range s.Problems {
		if p.Level != info {
			serious++
		}
	}
	switch {
	case serious == 1:
		return s.Problems[0].Text
	case serious > 1:
		return fmt.Sprintf("%s (and %s)", strings.TrimRight(s.Problems[0].Text, "."), count(serious-1, "more problem"))
	}
	nodes, sessions, drained, untried := 0, 0, 0, 0
	for _, c := range s.Clusters {
		nodes += len(c.Nodes)
		for _, n := range c.Nodes {
			sessions += n.Total
			if n.Draining {
				drained++
			}
			if n.Untried {
				untried++
			}
		}
	}
	well := fmt.Sprintf("All is well: %s on %s", count(sessions, "session"), count(nodes, "node"))
	if drained > 0 {
		well += fmt.Sprintf(", %s of them draining", notice.Thousands(drained))
	}
	if untried > 0 {
		well += fmt.Sprintf("; %s of them untried: neither a client nor a probe has asked them yet", notice.Thousands(untried))
	}
	return well
}

func (f *findings) add(p Problem, format string, args ...any) {
	p.Text = fmt.Sprintf(format, args...)
	f.all = append(f.all, p)
}

func (f *findings) ofReplicas() {
	s := f.now
	if !s.Store.Up {
		why := s.Store.Error
		if !strings.HasPrefix(why, "Redis ") { // it is no sentence about Redis
			why = "Redis cannot be used: " + why
		}
		f.add(Problem{Level: bad, order: cause}, "%s", why)
	} else if n := s.Store.Fell; n >= fewestOutages {
		f.add(Problem{Level: warn, order: cause}, "Redis cannot be used again and again, %s in the last minute: %s. Sessions that begin meanwhile are known to their replica alone", count(n, "time"), s.Store.Last)
	}
	if s.Replica.ReloadError != "" {
		f.add(Problem{Level: warn}, "The settings that were read last are bad, and those before them in force: %s", s.Replica.ReloadError)
	}
	made := f.made()
	for _, w := range foreignWords {
		if n := s.Replica.Recent[w.reason]; n >= fewestForeign && n > made {
			f.add(Problem{Level: bad}, "In the last minute %s %s, more than came to a session: %s", count(int(n), w.one), w.what, w.mend)
		}
	}
	versions := map[string]bool{}
	for _, r := range s.Replicas {
		versions[r.Version] = true
		p := Problem{Replica: r.Name}
		switch {
		case r.Stopping:
			p.Level = info
			f.add(p, "Replica %s stops", r.Name)
		case r.Heard > SilentAfter && (!s.Store.Up || s.Store.Deaf || f.cutOff(r.Name)): // which is told
		case r.Heard > SilentAfter:
			p.Level = warn
			f.add(p, "Replica %s has not been heard for %.0f s: it died, or does not reach Redis, or is refused there", r.Name, r.Heard)
		case r.Unready != "":
			p.Level = warn
			why := r.Unready
			if r.Self && !s.Store.Up { // which is told
				why = "it cannot use Redis"
			}
			f.add(p, "Replica %s is alive but not ready, so balancers that ask /readyz send it no clients: %s", r.Name, why)
		case r.Limit > 0 && r.Connections >= r.Limit:
			p.Level = bad
			f.add(p, "Replica %s is full: new clients are turned away from %s connections on, and it has %s; %s", r.Name, notice.Thousands(int(r.Limit)), notice.Thousands(int(r.Connections)), r.limitWords())
		case r.Limit > 0 && float64(r.Connections) >= nearLimit*float64(r.Limit):
			p.Level = warn
			f.add(p, "Replica %s is nearly full: it has %s connections, and new clients are turned away from %s on; %s", r.Name, notice.Thousands(int(r.Connections)), notice.Thousands(int(r.Limit)), r.limitWords())
		}
	}
	if len(versions) > 1 {
		f.add(Problem{Level: info}, "Replicas have %d different versions", len(versions))
	}
}

// limitWords says what limits the connections.
func (p *Peer) limitWords() string {
	if p.Descriptors > 0 {
		return fmt.Sprintf("that is what its limit of %s descriptors (ulimit -n, LimitNOFILE) allows: raise it and start the replica anew", notice.Thousands(int(p.Descriptors)))
	}
	return "that is its limits.connections"
}

// cutOff reports whether a replica that is silent is known to live.
func (f *findings) cutOff(replica string) bool {
	return slices.ContainsFunc(f.now.Faults, func(v Fault) bool {
		return v.Reason == "cut_off_replica" && f.now.At.Sub(v.Last) < faultFresh && slices.Contains(strings.Split(v.Subject, ", "), replica)
	})
}

// made is how many sessions were made in the last minute.
func (f *findings) made() (n uint64) {
	for _, c := range f.now.Clusters {
		n += c.Recent.Made
	}
	return n
}

func (f *findings) ofCertificates() {
	for _, c := range f.now.Certificates {
		p, left := Problem{Level: warn}, c.Ends.Sub(f.now.At)
		if c.Ends.IsZero() {
			if p.Level = bad; c.Error == "" {
				p.Level = info
			}
			f.add(p, "There is no certificate of %s yet: %s", c.Name, cmp.Or(c.Error, "it is being obtained"))
			continue
		}
		if left <= 0 {
			p.Level = bad
			f.add(p, "The certificate of %s has ended on %s: clients refuse it", c.Name, c.Ends.Format(time.DateOnly))
		} else if c.Late {
			f.add(p, "The certificate of %s ends in %s, on %s: does nobody renew it?", c.Name, count(int(left.Hours()/24), "day"), c.Ends.Format(time.DateOnly))
		}
		if p.Level = warn; c.Error != "" {
			f.add(p, "The certificate of %s is not renewed: %s", c.Name, c.Error)
		}
	}
}

// fresh reports whether a fault has been seen lately.
func (s *Status) fresh(v Fault) bool { return s.At.Sub(v.Last) < faultFresh }

// has reports whether a cluster has one of these faults.
func (s *Status) has(cluster string, reasons ...string) bool {
	return slices.ContainsFunc(s.Faults, func(v Fault) bool {
		return v.Cluster == cluster && s.fresh(v) && slices.Contains(reasons, v.Reason)
	})
}

func (f *findings) ofFault(v Fault) {
	p := Problem{Level: warn, Cluster: v.Cluster, order: f.now.order(v)}
	named := strings.Contains(v.Text, v.Subject) // also where there is none
	where := cmp.Or(v.Subject, v.Cluster)
	if named {
		where = v.Cluster
	} else if v.Cluster != "" {
		where += " of " + v.Cluster
	}
	for _, c := range f.now.Clusters {
		if c.Name == v.Cluster && slices.ContainsFunc(c.Nodes, func(n Node) bool { return n.Name == v.Subject }) {
			p.Node = v.Subject
		}
	}
	what, question, asks := strings.Cut(v.Text, ": ")
	if asks {
		question = ": " + question
	}
	if ago := f.now.At.Sub(v.Last); ago >= faultNow {
		where = strings.TrimPrefix(fmt.Sprintf("%s, last seen %s ago", where, lasts(ago)), ", ")
	}
	if where != "" {
		where = " (" + where + ")"
	}
	f.add(p, "%s%s%s%s", strings.ToUpper(what[:min(1, len(what))]), what[min(1, len(what)):], where, question)
}

// Grown is what a total grew by; one that is smaller is of a cluster that began anew.
func Grown(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// count says how many of a thing there are.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return notice.Thousands(n) + " " + thing + "s"
}
