package cluster

import (
	"maps"
	"math"
	"time"
)

// SetHealthy records what n's probes have found. An unhealthy node is not picked, whatever it answers, unless all are that may get
// sessions at all: then the probes are not believed, for what they ask for may be what is broken.
func (c *Cluster) SetHealthy(n *Node, healthy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.unhealthy == healthy {
		n.unhealthy, n.sick = !healthy, time.Now()
		c.learned(n.state)
	}
}

// SetDraining records what n's operator wants. A draining node is not picked; its sessions go on.
func (c *Cluster) SetDraining(n *Node, draining bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.draining != draining {
		n.draining = draining
		n.watch(&n.drainsSince, draining)
		n.heardAt.Store(0)
		c.learned(n.state)
	}
}

// leastShare is the smallest share of its weight that a node has which is to get anything.
const leastShare = 1e-3

// SetShare records by how much of its weight n wants to be picked, as an agent on it says, 0 to 1. A node of no share is not picked;
// its sessions go on.
func (c *Cluster) SetShare(n *Node, share float64) {
	if share = min(share, 1); share > 0 {
		share = max(share, leastShare)
	} else {
		share = 0 // not a number, too
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.share == share {
		return
	}
	left := n.leaves()
	n.share = share
	if n.leaves() != left {
		c.learned(n.state)
	} else if n.node != nil {
		c.weigh(n.state, time.Now())
	}
}

// SetOthers records how many sessions other replicas count on the nodes, by their names, in place of what was said before: they
// weigh as much as those that are counted here, but for those that two replicas count. A node that is not named has none.
func (c *Cluster) SetOthers(counts map[string]int, twice map[string]Twice) {
	counts, twice = maps.Clone(counts), maps.Clone(twice)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others, c.twice = counts, twice
	for name, s := range c.states {
		s.others, s.double = max(0, counts[name]), twice[name]
		c.reorder(s)
	}
}

// Join counts one more session on n; Leave one less.
func (c *Cluster) Join(n *Node) { c.add(n, 1) }

// Leave gives a session's place on n back.
func (c *Cluster) Leave(n *Node) { c.add(n, -1) }

func (c *Cluster) add(n *Node, d int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.sessions += d
	c.reorder(n.state)
}

// reorder has s stand by sessions where its load puts it. It needs mu.
func (c *Cluster) reorder(s *state) {
	if s.mayBePicked() {
		c.groups[s.group].sessions.update(s, s.load(), s.picked)
	}
}

// learned does what a new fact about s calls for. It needs mu.
func (c *Cluster) learned(s *state) {
	if c.panics() != c.panic {
		c.settleAll()
	} else {
		c.settle(s)
	}
}

// panics reports whether every node is unhealthy that may get sessions at all. It needs mu.
func (c *Cluster) panics() bool {
	some := false
	for _, n := range c.Nodes() {
		if n.leaves() {
			continue
		}
		if !n.unhealthy {
			return false
		}
		some = true
	}
	return some
}

// settleAll has every node stand where it is to stand. It needs mu.
func (c *Cluster) settleAll() {
	was := c.panic
	c.panic = c.panics()
	states := make([]*state, 0, len(c.Nodes()))
	for _, n := range c.Nodes() {
		states = append(states, n.state)
	}
	c.settle(states...)
	if c.panic != was && c.OnPanic != nil {
		c.OnPanic(c.panic)
	}
}

// settle has these nodes stand in the queues in which they are to stand. It needs mu.
func (c *Cluster) settle(states ...*state) {
	now, works := time.Now(), false
	for _, s := range states {
		if s.node != nil {
			c.weigh(s, now)
		}
		switch {
		case s.node == nil:
			c.leaveQueues(s)
		case s.leaves() || s.unhealthy && !c.panic:
			c.leaveQueues(s)
			s.cold = true
		case s.until.After(now):
			c.leaveQueues(s)
			c.ejected.push(s, s.until.Sub(c.start).Seconds(), 0)
		default:
			c.ejected.remove(s)
			c.enter(s, now)
			if !s.failing.Load() { // else it is only tried
				s.failed = time.Time{}
				works = true
			}
		}
	}
	switch {
	case works:
		c.setOutage(false)
	case c.settings.Incomplete && len(c.Nodes()) == 0: // it has not begun to work
	case c.pickable() == 0:
		c.hurry()
		c.setOutage(true)
	}
}

// pickable is how many nodes may be picked. It needs mu.
func (c *Cluster) pickable() int {
	return len(c.groups[0].sessions.entries) + len(c.groups[1].sessions.entries)
}

// enter lets s be picked. Its turn comes no earlier than that of nodes that were there all the time. It needs mu.
func (c *Cluster) enter(s *state, now time.Time) {
	if s.mayBePicked() {
		return
	}
	c.begin(s, now)
	g := &c.groups[s.group]
	s.turn = max(s.turn, g.turn+(s.phase-1)/s.weight)
	g.sessions.push(s, s.load(), s.picked)
	g.turns.push(s, s.due(), s.picked)
}

// move puts s into another group, where it has to enter. It needs mu.
func (c *Cluster) move(s *state, group int) {
	if s.group != group {
		c.leaveQueues(s)
		s.group, s.turn = group, math.Inf(-1)
	}
}

// leaveQueues needs mu.
func (c *Cluster) leaveQueues(s *state) {
	c.groups[s.group].sessions.remove(s)
	c.groups[s.group].turns.remove(s)
	c.ejected.remove(s)
}

// readmit lets nodes be picked whose ejection is over. It needs mu.
func (c *Cluster) readmit() {
	if len(c.ejected.entries) == 0 {
		return
	}
	for now := time.Now(); len(c.ejected.entries) > 0 && !c.ejected.entries[0].node.until.After(now); {
		s := c.ejected.entries[0].node
		c.ejected.remove(s)
		c.enter(s, now)
	}
}

// Retry returns how long it takes until an ejected node may be tried again; 0 where none is ejected or one may be tried now.
func (c *Cluster) Retry() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ejected.entries) == 0 {
		return 0
	}
	return max(0, time.Until(c.ejected.entries[0].node.until))
}
