package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
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
	unponged                  // their clients' pongs may have come too late
	vague
)

// forgotten is a session that its node does not know.
type forgotten struct {
	bound  time.Time // when its binding was written last
	made   time.Time // the latest that it can have been; zero: not at this replica
	began  time.Time // the earliest that it can have, at any replica; zero: nobody remembers
	polled time.Time // when a poll of it was answered last, at any replica; zero: likewise
	gaveUp bool      // its client had left before a poll was answered
	fresh  bool      // it was asked for on a connection that had carried nothing before
}

// learn adds what a replica remembers of the session, as far as it was before now. What comes later may be an effect: a client that learns that its
// session is unknown gives its poll up.
func (s *forgotten) learn(t Trail, now time.Time) {
	if !t.Made.IsZero() {
		s.began = t.Made
	}
	for _, r := range t.Requests {
		switch {
		case r.Kind != request.Poll.String() || r.At.After(now):
		case r.Status == statusLeft:
			s.gaveUp = true
		case r.Status == http.StatusOK && r.At.After(s.polled):
			s.polled = r.At
		}
	}
}

// must reports whether a node must know the session that nobody has ended: it is too young to have missed a pong, whose time is
// over no sooner than silence, pingInterval + pingTimeout, after its handshake.
func (s *forgotten) must(now time.Time, silence time.Duration) bool {
	return !s.gaveUp && !s.began.IsZero() && now.Sub(s.began) < silence
}

// missed reports whether it may have ended since a pong came too late, and its client was there. One that slept comes later.
func (s *forgotten) missed(now time.Time, silence time.Duration) bool {
	return !s.gaveUp && !s.began.IsZero() && now.Sub(s.began) >= silence && now.Sub(s.polled) < silence
}

// forgetting is what is known of the sessions that a node did not know within memoryWindow.
type forgetting struct {
	// latest is when the latest of them was made here, in ns since 1970; 0: none was. known counts answers to sessions that are no younger:
	// a node that was started anew since then would not know them.
	latest, known atomic.Int64
	fell          atomic.Int64 // when the node refused or cut a connection last, in ns since 1970

	mu     sync.Mutex
	began  time.Time
	before int64 // sessions that it had made by began
	all    int64 // also those of which the others were not asked
	last   time.Time
	sum    lapses
}

// lapses are counts of the sessions that a node did not know and that are judged.
type lapses struct {
	count   int64
	old     int64     // of these, those that it had had for a while
	rounds  int       // one was forgotten that had been made after the last time
	must    int64     // of count, those that it must know,
	foreign int64     // and of these those that other replicas had made
	missed  int64     // of count, those that may have missed a pong,
	since   time.Time // the first of them
	gaveUp  int64
	fresh   int64
}

// answered notes that the node knows a session.
func (f *forgetting) answered(b affinity.Binding) {
	if latest := f.latest.Load(); latest != 0 && b.Expires.Add(-b.TTL()).UnixNano() <= latest {
		f.known.Add(1)
	}
}

// note notes one more session that the node does not know, of so many that it has made in all.
func (f *forgetting) note(now time.Time, made int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.began) > memoryWindow {
		f.began, f.before, f.all, f.sum = now, made, 0, lapses{}
		f.latest.Store(0)
		f.known.Store(0)
	}
	f.all++
}

// more judges one of those that were noted, and returns why the node does not know it, if that is the node's
// habit, or it has lost several that it had for a while. A node that was restarted has forgotten all that it made before, but none that
// it makes later; and now and then a client asks for a session that it has just ended. keepsAlive tells that it was never asked for one of
// them on a connection of its own.
func (f *forgetting) more(s forgotten, now time.Time, made int64, silence time.Duration) (why oblivion, keepsAlive bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.sum
	t.count++
	switch {
	case now.Sub(s.bound) > freshTime:
		t.old++
	case s.bound.After(f.last):
		t.rounds++
		f.last = now
	}
	if at := s.made.UnixNano(); !s.made.IsZero() && at > f.latest.Load() {
		f.latest.Store(at)
	}
	switch {
	case s.gaveUp:
		t.gaveUp++
	case s.must(now, silence):
		if t.must++; s.made.IsZero() {
			t.foreign++
		}
	case s.missed(now, silence):
		if t.missed++; t.missed == 1 {
			t.since = now
		}
	}
	if s.fresh {
		t.fresh++
	}
	if t.old < fewestForgotten && (t.rounds < fewestForgotten || 4*f.all < made-f.before) {
		return notYet, false
	}
	return f.why(now, made), t.fresh == 0
}

// why needs mu. Only sessions that the node must know are a sign against its address.
func (f *forgetting) why(now time.Time, made int64) oblivion {
	t, known, fell := &f.sum, f.known.Load() > 0, now.UnixNano()-f.fell.Load() < int64(memoryWindow)
	must := t.must >= fewestForgotten && 2*t.must >= t.count
	switch {
	case 4*t.gaveUp >= 3*t.count:
		return givenUp
	case must && known:
		return balanced
	case fell && !known:
		return restarted
	case must && t.foreign == t.must && made-f.before >= fewestForgotten:
		return elsewhere
	case must && t.must >= fewestVague:
		return vague
	case t.missed >= fewestVague && 4*t.missed >= max(3*t.count, made-f.before) && now.Sub(t.since) >= freshTime && !fell:
		return unponged
	}
	return notYet
}

// lapse is that a node did not know a session, with what it takes to tell of it.
type lapse struct {
	forgotten
	at      time.Time
	g       *Gateway
	route   *route
	node    *cluster.Node
	binding affinity.Binding
}

// mostAsking is of how many sessions other replicas are asked at a time. The others are only counted.
const mostAsking = 4

// tellForgotten tells of a node that says that it does not know the session, unless one of the two has just ended it: what the client
// sent before it heard of that meets no session. Other replicas may have seen that, or the client give a poll up, and are asked.
func (x *exchange) tellForgotten() {
	g := x.g
	if x.route.ended.Has(x.Query.SID) || g.stoodStill() {
		return
	}
	l := lapse{at: time.Now(), g: g, route: x.route, node: x.Node, binding: x.Binding}
	l.bound, l.fresh = x.Binding.Expires.Add(-x.Binding.TTL()), !x.Reused
	if p, known := x.route.trail.read(x.Query.SID); known {
		l.learn(p.trail(), l.at)
		if l.made = moment(p.made); l.bound.Sub(l.made) < bindTime {
			l.made = l.bound
		}
	}
	if !l.made.IsZero() && l.made.Before(x.Node.Readdressed()) {
		return // the reload has told
	}
	m := x.route.memory(x.Node)
	m.forgetting.note(l.at, m.made.Load())
	if g.trails == nil || l.gaveUp {
		l.tell()
		return
	}
	if g.asking.Add(1) > mostAsking {
		g.asking.Add(-1)
		return
	}
	sid := strings.Clone(x.Query.SID)
	g.serving.Go(func() {
		defer g.asking.Add(-1)
		if l.ask(sid) && !g.stoodStill() {
			l.tell()
		}
	})
}

// ask learns what the other replicas remember of the session, and reports whether all have said so and none has seen its end.
func (l *lapse) ask(sid string) bool {
	all, whole := l.g.trails(context.Background(), l.route.Cluster.Name, sid)
	for _, t := range all {
		if !t.Ended.IsZero() && !t.Ended.After(l.at) && t.End != endForgotten {
			return false
		}
		l.learn(t, l.at)
	}
	return whole
}

// tell judges the lapse, and tells of the fault that it shows.
func (l *lapse) tell() {
	name, m := l.route.Cluster.Name, l.route.memory(l.node)
	why, keepsAlive := m.forgetting.more(l.forgotten, l.at, m.made.Load(), l.binding.Silence())
	switch {
	case why == notYet:
		return
	case why == vague && l.g.metrics.seen.has(faultKey{name, faultBalanced, l.node.Name}):
		why = balanced // as was found out before
	}
	l.route.blamed.Store(l.at.UnixNano())
	reason, subject, words := faultForgetful, l.node.Name, ""
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
			l.binding.Silence().Seconds())
	case elsewhere:
		reason, words = faultNodeList, "a node does not know sessions that another replica made on a node of that name: the two have different addresses for it. Compare their settings"
	case unponged:
		reason, words = faultPongs, fmt.Sprintf("sessions of a node end since their clients' pongs come too late for its pingTimeout of %d ms: is that too short for these clients' network?",
			l.binding.PingTimeout.Milliseconds())
	default:
		words = "a node knows none of the sessions that it made, and was not away: servers take turns behind its address, or it keeps no session. Write each server as a node of its own"
	}
	if why != vague {
		l.g.metrics.seen.forget(faultKey{name, faultForgetful, l.node.Name})
	}
	l.g.tellFault(name, reason, subject, words, "node", l.node.Name, "address", l.node.Address)
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

// forgets reports whether an upgrade was refused because the node does not know the session. The session may live all the same: the
// upgrade comes on a connection of its own.
func (x *exchange) forgets(answer []byte) bool {
	return x.Kind == request.Upgrade && engineio.IsUnknownSID(x.Resp.Status, answer)
}
