package gateway

import (
	"time"

	"github.com/sidway/sidway/gateway/request"
)

// This file finds nodes that are slow.

const (
	// lateAnswer is how long a node may take to answer a POST, which Engine.IO servers do as soon as they have read it, and a request for a session,
	// which they do too, unless the application has them ask somebody,
	lateAnswer = time.Second
	// fewestLate how often within a minute it takes longer before that is told, and lateShare the share of all, one in so many.
	fewestLate = 5
	lateShare  = 4
	// lateTime is how long that goes on: a machine that stood still for a moment is not slow.
	lateTime = 5 * time.Second
)

// tookTime looks how long the node took to answer.
func (x *exchange) tookTime(m *memory, took time.Duration) {
	switch late := took > lateAnswer; {
	case late && x.Kind == request.Post:
		x.tellLate(m)
	case late && x.Kind.MakesSession():
		x.tellLateSession(m)
	case x.Kind.MakesSession():
		m.prompt.Store(time.Now().UnixNano())
	}
}

// tellLate tells of a node that takes long to answer POSTs of its sessions.
func (x *exchange) tellLate(m *memory) {
	if n, of := m.late.more(time.Now(), m.answers(request.Post)); m.late.often(n, of) {
		x.tellFault(faultSlow, x.Node.Name, "a node takes more than a second to answer POSTs of its sessions: is it busy, or short of CPU, or is the way to it slow?",
			"node", x.Node.Name, "address", x.Node.Address, "n", n, "of", of)
	}
}

// tellLateSession tells of a node that takes long to answer requests for a session, while others do not: where many clients come at once, all nodes do.
func (x *exchange) tellLateSession(m *memory) {
	n, of := m.delayed.more(time.Now(), m.answers(request.Handshake)+m.answers(request.DirectConnect))
	if m.delayed.often(n, of) && x.othersPrompt(n) {
		x.tellFault(faultSlow, x.Node.Name, "a node takes more than a second to answer handshakes, and others do not: is it busy, or does its allowRequest wait for something?",
			"node", x.Node.Name, "address", x.Node.Address, "n", n, "of", of)
	}
}

// often reports whether so many of so many are too many, and for long enough.
func (s *spate) often(n, of int64) bool {
	return n >= fewestLate && lateShare*n >= of && s.lasts() >= lateTime
}

// othersPrompt reports whether at least as many other nodes have answered requests for a session in time within the last minute, as far as they had
// some, as have not: a node that was late so often is late more than these by far.
func (x *exchange) othersPrompt(often int64) bool {
	prompt, late, now := 0, 0, time.Now()
	for _, n := range x.route.Cluster.Nodes() {
		switch o := x.route.memory(n); {
		case n.Key() == x.Node.Key():
		case lateShare*o.delayed.within(now) >= often:
			late++
		case now.UnixNano()-o.prompt.Load() < int64(memoryWindow):
			prompt++
		}
	}
	return prompt > 0 && prompt >= late
}
