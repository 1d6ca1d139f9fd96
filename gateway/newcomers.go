package gateway

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// fewestUnused is how many sessions end within a minute without a request before that is told.
const fewestUnused = 10

// newcomers finds out whether the sessions that are made here are used.
type newcomers struct {
	adopted atomic.Int64 // sessions of other replicas that came here

	mu    sync.Mutex
	began time.Time
	made  [3]newcome // in the window that is under way, and in those before, since a session ends a minute or two later
	ended uint64     // sessions that had ended unused by began
	came  int64      // adopted, by then
	pages string     // the origin of a page that may not read the node's answer
}

// newcome is the sessions that were made in a window.
type newcome struct {
	n         int64
	client    string // that made more than half of them, if one did
	votes, by int64
}

// idlers are sessions that were made and never used.
type idlers struct {
	unused, made int64
	origin       string // of a page that may not read the node's answers
	client       string // that made more than half
	by           int64  // how many it made
}

// more notes a new session, when so many have ended unused. Once a minute it looks at those before, and reports whether most were
// never used. Other replicas get some of the sessions' requests, as this one gets some of theirs.
func (n *newcomers) more(now time.Time, unused uint64, client, origin string) (found idlers, told bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.began) > memoryWindow {
		found, told = n.judge(unused)
		n.began, n.ended, n.came, n.pages = now, unused, n.adopted.Load(), ""
		n.made = [3]newcome{{}, n.made[0], n.made[1]}
	}
	m := &n.made[0]
	m.n++
	if n.pages == "" && origin != "" {
		n.pages = strings.Clone(origin)
	}
	// By a majority vote: whoever makes more than half is left (Boyer and Moore).
	switch {
	case m.client == client:
		m.votes++
		m.by++
	case m.votes > 0:
		m.votes--
	default:
		m.client, m.votes, m.by = strings.Clone(client), 1, 1
	}
	return found, told
}

// judge looks at what has come since began. The client is one of the window in which most were made: those of now may be others.
func (n *newcomers) judge(unused uint64) (idlers, bool) {
	most := slices.MaxFunc(n.made[:], func(a, b newcome) int { return cmp.Compare(a.n, b.n) })
	found := idlers{unused: int64(unused - n.ended), made: most.n, origin: n.pages}
	if 2*most.by > most.n {
		found.client, found.by = most.client, most.by
	}
	return found, found.unused >= fewestUnused && 2*found.unused > found.made+n.adopted.Load()-n.came
}

// tellUnused tells of sessions that are made and never used.
func (x *exchange) tellUnused() {
	found, told := x.route.newcomers.more(time.Now(), x.route.Cluster.Sessions.Unused(), x.Origin().IP, x.RefusedPage())
	if !told {
		return
	}
	args := []any{"unused", found.unused, "of", found.made}
	if found.origin != "" {
		args = append(args, "origin", found.origin)
	}
	if found.client != "" {
		args = append(args, "client", found.client, "n", found.by)
	}
	x.tellFault(faultUnused, "", "most new sessions are never used: does the nodes' cors.origin allow the page, or does a client only make sessions?", args...)
}
