package cluster

import (
	"strings"
	"time"
)

// Handed is a polling session that one replica has counted and another one is to count.
type Handed struct {
	SID, Node string
	Left      time.Duration // until its binding is to be looked at
}

// HandOn ends the counts of the polling sessions that this replica has bound, without ending the sessions: it returns them, for Adopt
// at another one. It is for a replica that ends.
func (s *Sessions) HandOn() []Handed {
	var all []Handed
	var nodes []*Node
	s.mu.Lock()
	for sid, v := range s.bySID {
		if v.bound && v.tunnels == 0 {
			all = append(all, Handed{sid, v.node.Name, time.Duration(max(v.second-s.now(), 0)) * time.Second})
			nodes = append(nodes, v.node)
			s.remove(sid)
		}
	}
	s.mu.Unlock()
	for _, n := range nodes {
		s.cluster.Leave(n)
	}
	return all
}

// Adopt counts a session that another replica has handed on, as if it had been bound here. Of a node that the cluster does not have
// it counts none.
func (s *Sessions) Adopt(h Handed) {
	n := s.cluster.Node(h.Node)
	if n == nil {
		return
	}
	sid, expires := strings.Clone(h.SID), time.Now().Add(h.Left)
	s.mu.Lock()
	v, known := s.bySID[sid]
	switch {
	case !known:
		s.put(sid, session{node: n, began: s.ages.add(s.now())}, expires)
	case v.tunnels > 0: // its place is taken already
		v.bound = true
		s.set(sid, v)
	}
	s.mu.Unlock()
	if !known {
		s.cluster.Join(n)
	}
}
