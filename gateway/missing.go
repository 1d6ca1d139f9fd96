package gateway

import (
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/request"
)

// awaitNode waits for a session's node that this replica does not have. Replicas learn of a node one after the other, and another
// one may have placed sessions on it before: a session survives waiting and nothing else.
func (c *clientConn) awaitNode() {
	x, cl := c.x, c.x.route.Cluster
	if x.Kind == request.Preflight || x.lostNode() {
		c.fail(engineio.SessionGone)
		return
	}
	if cl.OnMissing != nil {
		cl.OnMissing()
	}
	now := time.Now()
	if !x.held {
		x.heldAt = now
	}
	if c.queues() && !x.route.turns.makeRoom(clientPrefix(x.Origin().IP)) {
		c.fail(engineio.SessionGone)
		return
	}
	left := c.g.limits().QueueTime - now.Sub(x.heldAt)
	switch {
	case left > 0:
		c.hold(min(left, x.route.retryPause()), c.inSession)
	case cl.Incomplete(): // so nobody can say that it is gone
		c.fail(engineio.NoNode)
	default:
		x.tellMissingNode()
		c.fail(engineio.SessionGone)
	}
}

// lostNode reports whether the session's node was taken away here, and not only given back at a replica that has written the binding
// since.
func (x *exchange) lostNode() bool {
	removed := x.route.Cluster.Removed(x.Binding.Node)
	return !removed.IsZero() && !x.Binding.Expires.Add(-x.Binding.TTL()).After(removed)
}

// tellMissingNode tells of a binding to a node that this replica does not have.
func (x *exchange) tellMissingNode() {
	x.route.blamed.Store(time.Now().UnixNano())
	if x.route.Cluster.Removed(x.Binding.Node).IsZero() { // else a replica that learned of its end later has renewed the binding
		x.tellFault(faultNodeList, x.Binding.Node, "a session lives on a node that this replica does not have: do all replicas have the same nodes?",
			"node", x.Binding.Node)
	}
}
