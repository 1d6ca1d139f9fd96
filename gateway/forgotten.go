package gateway

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/request"
)

// This file finds out why a node does not know sessions that it has made.

const (
	// freshTime is how long after it was bound a session counts as made a moment ago.
	freshTime = 10 * time.Second
	// fewestForgotten is how often a node forgets within memoryWindow before it is told of, and fewestVague how often where nothing says
	// why.
	fewestForgotten = 3
	fewestVague     = 6
	// bindTime is how long it takes at most from a handshake until its session is bound: what is bound later was renewed.
	bindTime = time.Second
)

// oblivion is why a node does not know its sessions.
type oblivion int

const (
	notYet    oblivion = iota // it is too early to say
	balanced                  // it knows others that are older: several servers are behind its address
	restarted                 // it was away, and knows none that is older
	givenUp                   // their clients had given up a poll, which ends a session
	elsewhere                 // other replicas made them, while it knows those made here
	vague
)

// forgotten is a session that its node does not know.
type forgotten struct {
	bound  time.Time // when its binding was written last
	made   time.Time // the latest that it can have been; zero: not at this replica
	gaveUp bool      // its client had left before a poll was answered
	fresh  bool      // it was asked for on a connection that had carried nothing before
}

// forgetting is what is known of the sessions that a node did not know within memoryWindow.
type forgetting struct {
	// latest is when the latest of them was made here, in ns since 1970; 0: none was. known counts answers to sessions that are no younger:
	// a node that was started anew since then would not know them.
	latest, known atomic.Int64
	fell          atomic.Int64 // when the node refused or cut a connection last, in ns since 1970

	mu      sync.Mutex
	began   time.Time
	before  int64 // sessions that it had made by began
	count   int64
	old     int64 // of these, those that it had had for a while
	rounds  int   // one was forgotten that had been made after the last time
	last    time.Time
	foreign int64 // of these, those that other replicas had made
	gaveUp  int64
	fresh   int64
}

// answered notes that the node knows a session.
func (f *forgetting) answered(b affinity.Binding) {
	if latest := f.latest.Load(); latest != 0 && b.Expires.Add(-b.TTL()).UnixNano() <= latest {
		f.known.Add(1)
	}
}

// more notes one more session that the node does not know, of so many that it has made in all, and returns why that is, if it is the node's
// habit, or it has lost several that it had for a while. A node that was restarted has forgotten all that it made before, but none that
// it makes later; and now and then a client asks for a session that it has just ended. keepsAlive tells that it was never asked for one of
// them on a connection of its own.
func (f *forgetting) more(s forgotten, now time.Time, made int64) (why oblivion, keepsAlive bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.began) > memoryWindow {
		f.began, f.before, f.count, f.old, f.rounds, f.foreign, f.gaveUp, f.fresh = now, made, 0, 0, 0, 0, 0, 0
		f.latest.Store(0)
		f.known.Store(0)
	}
	f.count++
	switch {
	case now.Sub(s.bound) > freshTime:
		f.old++
	case s.bound.After(f.last):
		f.rounds++
		f.last = now
	}
	if s.made.IsZero() {
		f.foreign++
	} else if at := s.made.UnixNano(); at > f.latest.Load() {
		f.latest.Store(at)
	}
	if s.gaveUp {
		f.gaveUp++
	}
	if s.fresh {
		f.fresh++
	}
	if f.old < fewestForgotten && (f.rounds < fewestForgotten || 4*f.count < made-f.before) {
		return notYet, false
	}
	return f.why(now, made), f.fresh == 0
}

// why needs mu.
func (f *forgetting) why(now time.Time, made int64) oblivion {
	switch {
	case 4*f.gaveUp >= 3*f.count:
		return givenUp
	case f.known.Load() > 0:
		return balanced
	case now.UnixNano()-f.fell.Load() < int64(memoryWindow):
		return restarted
	case f.foreign == f.count && made-f.before >= fewestForgotten:
		return elsewhere
	case f.count < fewestVague:
		return notYet
	}
	return vague
}

// tellForgotten tells of a node that says that it does not know the session, unless one of the two has just ended it: what the client
// sent before it heard of that meets no session.
func (x *exchange) tellForgotten() {
	if x.route.ended.Has(x.Query.SID) || x.g.stoodStill() {
		return
	}
	m, now := x.route.memory(x.Node), time.Now()
	s := forgotten{bound: x.Binding.Expires.Add(-x.Binding.TTL()), fresh: !x.Reused}
	if p, known := x.route.trail.read(x.Query.SID); known {
		s.made, s.gaveUp = moment(p.made), p.gaveUp()
		if s.bound.Sub(s.made) < bindTime {
			s.made = s.bound
		}
	}
	if !s.made.IsZero() && s.made.Before(x.Node.Readdressed()) {
		return // the reload has told
	}
	why, keepsAlive := m.forgetting.more(s, now, m.made.Load())
	switch {
	case why == notYet:
		return
	case why == vague && x.g.metrics.seen.has(faultKey{x.route.Cluster.Name, faultBalanced, x.Node.Name}):
		why = balanced // as was found out before
	}
	x.route.blamed.Store(now.UnixNano())
	reason, subject, words := faultForgetful, x.Node.Name, ""
	switch why {
	case balanced:
		reason, words = faultBalanced, "several servers answer at the address of a node: it knows some of its sessions and not others, and was not started anew. Write each server as a node of its own"
		if keepsAlive {
			words += ", or, if they are cluster workers behind @socket.io/sticky, set keep_alive: false"
		}
	case restarted:
		reason, words = faultRestarted, "a node was started anew: it cut or refused connections, and knows none of its sessions from before. See its log for why it ended, and drain it before you restart it"
	case givenUp:
		reason, subject, words = faultTimeout, "polls", fmt.Sprintf("polls that wait are given up from the client's side, which ends their sessions at the node: a proxy in front has too short a timeout. It must exceed pingInterval + pingTimeout (%g s)",
			(x.Binding.PingInterval+x.Binding.PingTimeout).Seconds())
	case elsewhere:
		reason, words = faultNodeList, "a node does not know sessions that another replica made on a node of that name: the two have different addresses for it. Compare their settings"
	default:
		words = "a node knows none of the sessions that it made, and was not away: servers take turns behind its address, or it keeps no session. Write each server as a node of its own"
	}
	if why != vague {
		x.g.metrics.seen.forget(faultKey{x.route.Cluster.Name, faultForgetful, x.Node.Name})
	}
	x.tellFault(reason, subject, words, "node", x.Node.Name, "address", x.Node.Address)
}

// StoodStill tells that this process did not run for a while. Sessions whose polls waited here have ended at their nodes meanwhile, which is nobody's fault.
func (g *Gateway) StoodStill() { g.stood.Store(time.Now().UnixNano()) }

// stoodStill reports whether this replica, or another one, has not run of late, so that nothing is to be learned from sessions that nodes do not know.
func (g *Gateway) stoodStill() bool {
	now := time.Now().UnixNano()
	if now-g.stood.Load() < int64(memoryWindow) {
		return true
	}
	if g.missing == nil {
		return false
	}
	if silent, _ := g.missing(); len(silent) == 0 {
		g.silent.Store(0)
		return false
	}
	g.silent.CompareAndSwap(0, now)
	return now-g.silent.Load() < int64(2*memoryWindow)
}

// gaveUp reports whether the client has left before a poll was answered.
func (p *footprint) gaveUp() bool {
	for _, s := range p.last[:min(p.count, trailLength)] {
		if s.kind == request.Poll && s.status == statusLeft {
			return true
		}
	}
	return false
}

// forgets reports whether an upgrade was refused because the node does not know the session. The session may live all the same: the
// upgrade comes on a connection of its own.
func (x *exchange) forgets(answer []byte) bool {
	return x.Kind == request.Upgrade && engineio.IsUnknownSID(x.Resp.Status, answer)
}
