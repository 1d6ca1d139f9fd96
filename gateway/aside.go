package gateway

import (
	"slices"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
)

// This file has a search go on beside a node that is silent. Such a node may have the session and nothing to say, or may stand still, and then the session
// would wait for it although another one has it. A session lives on one node, so that what another is asked meanwhile does no harm.

// searchTime is how long a node may be silent until others are asked beside it.
const searchTime = time.Second

// aside is a node that is silent, and the connection on which its answer would come.
type aside struct {
	conn   *nodeConn
	node   *cluster.Node
	sentAt time.Time
}

// answerTime is how long the node may be silent until it is looked at what that means.
func (c *clientConn) answerTime() time.Duration {
	d := c.x.AnswerTime(time.Now(), c.g.limits().HandshakeTime)
	if c.x.searches {
		d = min(d, searchTime)
	}
	return d
}

// searchesOn reports whether a search goes on although the node that was asked is silent: at it, where it answers others or nobody else is left,
// else beside it.
func (c *clientConn) searchesOn() bool {
	x := c.x
	switch {
	case x.SentAt.IsZero() || x.Overdue(time.Now()):
		return false
	case x.nextToSearch() == nil && len(x.asides) == 0, x.Node.Heard.Load() != x.heard:
		x.heard = x.Node.Heard.Load()
		c.within(c.answerTime())
		return true
	}
	x.asides = append(x.asides, aside{c.n, x.Node, x.SentAt})
	c.n.client, c.n.aside = nil, true
	c.n = nil
	x.forwarded(0, "it is silent, and others are asked")
	x.leave()
	c.searchOn()
	return true
}

// goBack waits for a node again that was silent, for one that has answered by now before others. It reports whether there is one.
func (c *clientConn) goBack() bool {
	x := c.x
	if len(x.asides) == 0 {
		return false
	}
	i := max(0, slices.IndexFunc(x.asides, aside.answered))
	a := x.asides[i]
	x.asides = slices.Delete(x.asides, i, i+1)
	x.Node, x.SentAt, x.Reused = a.node, a.sentAt, a.conn.reused
	x.Binding = x.NewBinding(x.route.makes.likely())
	x.interim, x.Open, x.Early = 0, engineio.Open{}, x.Early[:0]
	if a.conn.closed {
		c.notThere(request.ErrCut)
		return true
	}
	x.acquire(c.d.loop.Clock())
	c.n, a.conn.client, a.conn.aside = a.conn, c, false
	c.setState(asking, c.answerTime())
	if len(a.conn.unsent.b) > 0 {
		a.conn.flush()
	}
	return true
}

// answered reports whether there is something to read on the connection.
func (a aside) answered() bool { return a.conn.readable || a.conn.closed }

// dropAsides closes the connections to nodes that were silent.
func (x *exchange) dropAsides() {
	for _, a := range x.asides {
		a.conn.close()
	}
	x.asides = nil
}
