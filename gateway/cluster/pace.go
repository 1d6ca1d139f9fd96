package cluster

import (
	"math"
	"time"
)

// Pace bounds the new sessions of each node: those that come at once when a node is lost, drained or deployed must not overrun
// the others. A node that is picked by a part of its weight, since it warms up or since its agent says so, gets the same part of the
// pace, beside the node that has the greatest part: a cluster all of whose nodes are new is throttled nowhere.
type Pace struct {
	Handshakes float64 // per second and node; 0: no limit
	Burst      int     // at once, after a while with fewer; 0: twice Handshakes
}

// normal returns p with its default.
func (p Pace) normal() Pace {
	if p.Burst == 0 {
		p.Burst = int(math.Ceil(2 * p.Handshakes))
	}
	return p
}

// PacedError says that nodes are to be had, but that each has got as many new sessions as its pace allows for now.
type PacedError struct {
	Wait time.Duration // until one of them may get the next
}

func (e PacedError) Error() string {
	return "cluster: all nodes have got as many sessions as their pace allows"
}

// passed says which nodes a pick passes over: those that were tried, and, where sessions are paced, those without a token.
type passed struct {
	cluster *Cluster // where sessions are paced
	any     bool     // whether there may be one
	tried   []*Node
	pace    *Pace // nil: not paced
	now     time.Duration
	owed    int           // which of the debts to a release is paid
	most    float64       // the greatest part of its weight by which a node is picked; 0: not known yet
	wait    time.Duration // until the first of those that were passed over for want of a token has one; 0: none was
}

// over reports whether s is passed over.
func (p *passed) over(s *state) bool { return p.any && p.skips(s) }

// skips is over where that has to be looked at.
func (p *passed) skips(s *state) bool {
	if among(p.tried, s) {
		return true
	}
	if p.pace == nil {
		return false
	}
	part := s.part()
	if part < 1 {
		if p.most == 0 {
			p.most = p.cluster.mostOfWeight()
		}
		part /= p.most
	}
	wait := s.bucket.Wait(p.now, p.pace.Handshakes*part, float64(p.pace.Burst)*part)
	if wait > 0 && (p.wait == 0 || wait < p.wait) {
		p.wait = wait
	}
	return wait > 0
}

// part is by which part of its weight s is picked.
func (s *state) part() float64 { return s.weight / float64(s.node.Weight) }

// mostOfWeight returns the greatest part of its weight by which a node is picked. It needs mu, and looks at all nodes.
func (c *Cluster) mostOfWeight() float64 {
	most := 0.0
	for _, s := range c.states {
		if s.mayBePicked() {
			most = max(most, s.part())
		}
	}
	return most
}

// Unpick gives back all that Pick took for a session that n was not asked for.
func (c *Cluster) Unpick(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.bucket.GiveBack()
	n.sessions--
	c.reorder(n.state)
}
