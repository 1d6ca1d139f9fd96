package gateway

import (
	"github.com/sidway/sidway/gateway/cluster"
)

// This file moves a session that polls because somebody wants that session moved, and not all of a node.

// PolledOrder is that a session that polls is to go on at another node.
type PolledOrder struct {
	SID  string
	From string // the node that it lives on
	To   string // "": the one that the cluster picks
}

// PolledMove is what became of an order: the node that the session lives on, and an outcome as those of MoveSession.
type PolledMove struct{ Node, Outcome string }

// MovePolled begins to move a session of a cluster if its poll waits at this replica, and reports whether it has: then it calls told once, on a loop, which
// must not block. All replicas must have watched the session for two seconds: see cluster.Sessions.Watch.
func (g *Gateway) MovePolled(c *cluster.Cluster, o PolledOrder, told func(PolledMove)) (begun bool) {
	for _, d := range g.drivers {
		d.do(func() { begun = begun || d.movePolled(c, o, told) })
	}
	return begun
}

func (d *driver) movePolled(of *cluster.Cluster, o PolledOrder, told func(PolledMove)) (begun bool) {
	for c := range d.clients {
		if !c.pollWaits() || c.x.Query.SID != o.SID || c.x.route.Cluster != of {
			continue
		}
		if m := c.x.moving; m != nil && m.overdue(d.loop.Now()) {
			d.leavePolledMove(c.x)
		}
		if c.x.moving != nil || c.x.Node.Name != o.From || !c.canMove() {
			return false
		}
		to := of.Node(o.To)
		if o.To != "" && to == nil {
			told(PolledMove{o.From, moveRefused})
			return true
		}
		m := c.beginPolledMove()
		m.to, m.named, m.told = to, to != nil, told
		return true
	}
	return false
}

// became is what became of the move by its outcome.
func (m *polledMove) became(outcome string) PolledMove {
	switch outcome {
	case moveDone, moveRenewed, moveLost:
		if m.to != nil { // the old node was lost before
			return PolledMove{m.to.Name, outcome}
		}
	}
	return PolledMove{m.x.Node.Name, outcome}
}
