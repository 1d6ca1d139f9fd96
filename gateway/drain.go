package gateway

import (
	"context"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// EndSessions ends up to count sessions of a node that run through this replica, in no particular order, and returns how many: those
// by polling with the close packet in answer to the poll that waits, those by WebSocket with their tunnel. Their clients come back
// with a handshake. A session without a waiting poll is left for another call. Those that can be moved are.
func (g *Gateway) EndSessions(n *cluster.Node, count int, why cluster.Removal) int {
	ended := g.moveSessions(n, count, why)
	poll, cause := engineio.Drained, tunnel.Drained
	switch why {
	case cluster.Silence:
		poll, cause = engineio.SessionGone, tunnel.NodeSilent
	}
	for _, d := range g.drivers {
		d.do(func() { ended += d.endPolls(n, count-ended, poll, why) })
	}
	if why == cluster.Unload {
		return ended
	}
	return ended + g.tunnels.EndSome(n.Key(), count-ended, cause)
}

// endPolls ends sessions whose polls wait, or moves them.
func (d *driver) endPolls(n *cluster.Node, count int, cause engineio.Cause, why cluster.Removal) (ended int) {
	for c := range d.clients {
		if ended == count {
			break
		}
		if !c.pollWaits() || c.x.searches || c.x.Node.Key() != n.Key() { // of a search it is not known whether the session is there
			continue
		}
		if m := c.x.moving; m != nil && m.overdue(d.loop.Now()) {
			d.leavePolledMove(c.x)
		}
		moves, stuck := c.movable()
		switch {
		case why == cluster.Silence:
			if !c.x.outlives() || !c.rescue() {
				c.endSession(cause)
			}
		case why == cluster.Drain && stuck && c.x.bound() < knownTime: // elsewhere the drain may have been taken back
			continue
		case why == cluster.Drain && stuck:
			c.endSession(cause)
		case !moves || c.x.moving != nil:
			continue
		default:
			c.beginPolledMove()
		}
		ended++
	}
	return ended
}

// endSession ends the request's session. A node whose poll waits takes the end of the poll's connection for the session's.
func (c *clientConn) endSession(why engineio.Cause) {
	x := c.x
	sid := x.Query.SID
	c.dropNode()
	text := tunnelEnds[tunnel.Drained]
	switch why {
	case engineio.TokenExpired:
		text = tunnelEnds[tunnel.Expired]
	case engineio.SessionGone:
		text = tunnelEnds[tunnel.NodeSilent]
	}
	x.over(sid, text)
	c.await(func() { x.route.Store.Unbind(context.Background(), sid) }, func() { c.fail(why) }, nil)
}

// bound is how long ago the session was bound, or bound again.
func (x *exchange) bound() time.Duration { return time.Since(x.Binding.Expires.Add(-x.Binding.TTL())) }

// pollWaits reports whether a poll waits at its node.
func (c *clientConn) pollWaits() bool { return c.state == asking && c.x.Kind == request.Poll }

// sessionEnds is when the session has to end whose poll waits.
func (c *clientConn) sessionEnds() time.Duration {
	if c.pollWaits() && c.x.ends > 0 {
		return c.x.ends
	}
	return forever
}
