package cluster

import (
	"strings"
	"time"
)

// Drains reports whether n is drained: what its sessions do is told to Sessions.Heard then.
func (n *Node) Drains() bool { return n.drainsSince.Load() != 0 }

// Removal is why sessions are taken off a node.
type Removal uint8

// The reasons.
const (
	Unload  Removal = iota // its drain has begun: sessions that can be moved are, and no others are touched
	Drain                  // the deadline of its drain is over
	Silence                // it does not answer any more
)

// Heard tells that a request of sid, which lives on n, has come while n is drained.
func (s *Sessions) Heard(sid string, n *Node) {
	now := time.Now()
	n.heardAt.Store(now.UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, known := s.bySID[sid]; known {
		v.heard = s.second(now)
		s.bySID[strings.Clone(sid)] = v
	}
}

// Gone returns when a session is given up whose binding was written last at bound and expires later: where its node is drained, when
// nothing has been heard of it for as long as the protocol lets a client be silent. Whoever waits for the end of a drain must not wait
// for clients that have vanished.
func (s *Sessions) Gone(sid string, bound time.Time, silence time.Duration, expires time.Time) time.Time {
	s.mu.Lock()
	v, known := s.bySID[sid]
	s.mu.Unlock()
	if !known || !v.node.Drains() {
		return expires
	}
	if heard := s.start.Add(time.Duration(v.heard) * time.Second); heard.After(bound) {
		bound = heard
	}
	if end := bound.Add(silence); end.Before(expires) {
		expires = end
	}
	if !expires.After(time.Now()) {
		return time.Time{}
	}
	return expires
}
