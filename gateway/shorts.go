package gateway

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/gateway/tunnel"
)

// This file finds sessions that end as soon as they have begun, whose clients come back again and again.

const (
	// shortLife is how many whole seconds a session must have lasted to be none of them.
	shortLife = 3
	// fewestShort is how many of them must end within memoryWindow, more than half as many as begin, before that is told.
	fewestShort = 20
)

// ender is whose side has ended a session.
type ender uint8

const (
	byNodes ender = iota
	byClients
	byNeither
	enders // how many there are
)

// endedBy says who has ended a tunnel's session, and enders where it was ended here, or by its client in order.
func endedBy(r tunnel.Result) ender {
	switch {
	case r.Closer == tunnel.ClientClosed:
		return enders
	case r.Cause == tunnel.NodeClosed, r.Cause == tunnel.NodeSilent:
		return byNodes
	case r.Cause == tunnel.ClientClosed, r.Cause == tunnel.ClientIdle:
		return byClients
	case r.Cause == tunnel.Blocked, r.Cause == tunnel.Failed:
		return byNeither
	}
	return enders
}

// shorts counts sessions that ended soon after they began.
type shorts struct {
	mu sync.Mutex
	shortsFound
	since  time.Time
	before uint64 // sessions that had begun by then
	lead   int    // how many more of the node's ended than of others
}

// shortsFound is what shorts has found within memoryWindow.
type shortsFound struct {
	by   [enders]int
	of   int    // that have begun
	node string // whose most of them were
}

func (f *shortsFound) all() int { return f.by[byNodes] + f.by[byClients] + f.by[byNeither] }

// ended notes one of them, and reports with each fewestShort whether they are too many beside those that have begun, which begun counts from some
// beginning.
func (s *shorts) ended(now time.Time, by ender, node string, begun func() uint64) (found shortsFound, many bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.since) > memoryWindow {
		s.shortsFound, s.since, s.before, s.lead = shortsFound{}, now, begun()-1, 0
	}
	s.by[by]++
	if s.node == node { // a vote, as that of unknowns
		s.lead++
	} else if s.lead--; s.lead < 0 {
		s.node, s.lead = node, -s.lead
	}
	n := s.all()
	if n%fewestShort != 0 {
		return shortsFound{}, false
	}
	found = s.shortsFound
	found.of = max(int(begun()-s.before), n) // some may have begun before
	if 2*s.lead < n {
		found.node = ""
	}
	return found, 2*n > found.of
}

// tellShort notes that a session has ended soon after it began, and tells of it where most do, more than there are: a few clients that are sent away
// and come back are no fault beside many that stay.
func (g *Gateway) tellShort(t *tally, by ender, node string) {
	f, many := t.shorts.ended(time.Now(), by, node, func() uint64 { return t.begun().Made })
	if !many || f.all() <= t.sessions() {
		return
	}
	const words = "most sessions end within 3 s of their begin"
	name, says, ask := t.cluster.Name, f.words(), f.question()
	g.metrics.SetupFault(name, faultShort, f.node, words+", "+says+": "+ask)
	g.logFault(name, faultShort, f.node, words+": "+ask,
		"node", f.node, "n", f.all(), "of", f.of, "by_nodes", f.by[byNodes], "by_clients_side", f.by[byClients], "by_neither", f.by[byNeither])
}

// sessions is how many there are here.
func (t *tally) sessions() (n int) {
	for _, s := range t.cluster.Statuses() {
		n += s.Sessions
	}
	return n
}

// words says how many ended so, and who has ended them.
func (f *shortsFound) words() string {
	var all []string
	for by, side := range [enders]string{"by the nodes' side", "by the clients' side without a Close", "by neither side"} {
		if n := f.by[by]; n > 0 {
			if n < f.all() {
				side = fmt.Sprintf("%d %s", n, side)
			}
			all = append(all, side)
		}
	}
	return fmt.Sprintf("%d of %d within a minute, ended %s", f.all(), f.of, strings.Join(all, ", "))
}

// question asks for the cause where most were ended.
func (f *shortsFound) question() string {
	switch half := f.all() / 2; {
	case f.by[byNodes] > half:
		return "does the application disconnect its clients, or does something before the nodes end WebSockets?"
	case f.by[byClients] > half:
		return "does a proxy, a firewall or a CDN in front of sidway cut them, or do clients give up?"
	}
	return "is the way to the clients or to the nodes broken?"
}
