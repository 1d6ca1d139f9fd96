package gateway

import (
	"errors"
	"strconv"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
)

// turn is a request's search for a node that takes it.
type turn struct {
	tried []*cluster.Node
	since time.Time // when it began to wait because no node was left; zero before
}

// anyNode deals with a request that belongs to no session yet: a handshake or direct connect goes to the node that the
// cluster picks for a new session, anything else to the node whose turn it is. When one refuses, the next is tried and
// the client sees nothing.
func (x *exchange) anyNode() after {
	if limit := x.route.MaxBody; limit > 0 && x.req.ContentLength > limit {
		return x.fail(engineio.BodyTooLarge)
	}
	var t turn
	defer x.endTurn(&t)
	return x.tryNodes(&t)
}

// concludeAny deals with what the first node that was tried answered on n, or with why it did not.
func (x *exchange) concludeAny(n *http1.Conn, err error) after {
	var t turn
	defer x.endTurn(&t)
	if then, settled := x.settled(&t, n, err); settled {
		return then
	}
	return x.tryNodes(&t)
}

// endTurn leaves the queue of those that wait for a node.
func (x *exchange) endTurn(t *turn) {
	if !t.since.IsZero() {
		x.c.g.held.Add(-1)
	}
}

func (x *exchange) tryNodes(t *turn) after {
	for x.choose(t) {
		x.acquire(time.Now())
		n, err := x.attempt()
		if then, settled := x.settled(t, n, err); settled {
			return then
		}
	}
	return x.fail(engineio.NoNode)
}

// settled deals with what the node in turn answered on n, or with why it did not. It reports false where the next one is to
// be tried.
func (x *exchange) settled(t *turn, n *http1.Conn, err error) (after, bool) {
	if err == nil {
		if x.kind != handshake { // of those the store has to be asked
			x.answered(x.reused)
		}
		return x.deliver(n), true
	}
	if n != nil {
		n.Close()
	}
	x.leave()
	switch {
	case errors.Is(err, errDeparted):
		return hangUp, true
	case errors.Is(err, errShortage):
		return x.fail(engineio.Full), true
	}
	x.blame(err)
	if !x.mayMoveOn(err) {
		return x.givenUp(err), true
	}
	t.tried = append(t.tried, x.node)
	x.ready = time.Now()
	return 0, false
}

// blame tells the cluster of what may be the node's fault. Any client can send an ordinary request that a node cuts, so
// that only handshakes and direct connects count.
func (x *exchange) blame(err error) {
	switch c := x.route.Cluster; {
	case errors.Is(err, errRefused):
		c.Failed(x.node)
	case errors.Is(err, errSilent) && x.sentAt.IsZero():
		c.Suspect(x.node, x.heard)
	case errors.Is(err, errCut) && x.kind.makesSession():
		if c.Cut(x.node) {
			x.tellFault(faultNoSession, x.node.Name, "a node cuts the connection when it is asked for a session: does it serve Socket.IO there, and without TLS?",
				"node", x.node.Name, "address", x.node.Address)
		}
	case errors.Is(err, errBadAnswer) && x.kind.makesSession() && x.req.Path == x.route.Path:
		x.noSession("what it says is not HTTP")
	}
}

// connected is the time for Cluster.Answered, of a connection that was reused or not.
func (x *exchange) connected(reused bool) time.Time {
	if reused {
		return time.Time{}
	}
	return x.acquired
}

// answered tells the cluster that the node has answered, on a connection that was reused or not.
func (x *exchange) answered(reused bool) {
	c, connected := x.route.Cluster, x.connected(reused)
	switch {
	case !x.kind.makesSession():
		c.Answered(x.node, connected)
	case x.open.SID != "" || x.resp.Status == 101:
		c.Made(x.node, connected)
	case x.req.Path != x.route.Path: // what no client asks for, such as another bundle's name
		c.Answered(x.node, connected)
	case x.refusedByRule():
		c.Answered(x.node, connected)
		if c.Refuses(x.node) {
			x.tellFault(faultRefusals, x.node.Name, "a node refuses one handshake after the other",
				"node", x.node.Name, "status", x.resp.Status, "client", x.origin().ip)
		}
	default:
		x.noSession(strconv.Itoa(x.resp.Status))
	}
}

// refusedByRule reports whether the node's answer to a handshake may be a rule's: any client can be refused so.
func (x *exchange) refusedByRule() bool {
	s := x.resp.Status
	return s >= 400 && s < 500 && s != 404
}

// noSession counts an answer to a handshake that no Socket.IO server gives.
func (x *exchange) noSession(said string) {
	if x.route.Cluster.NoSession(x.node) && said != "200" { // see warnOfOpen
		x.tellFault(faultNoSession, x.node.Name, "a node answers handshakes with something else than a session: does it serve Socket.IO, and on the cluster's path?",
			"node", x.node.Name, "address", x.node.Address, "path", x.route.Path, "status", said)
	}
}

func isNodeFault(err error) bool {
	return errors.Is(err, errRefused) || errors.Is(err, errSilent) || errors.Is(err, errCut)
}

// choose settles the node to be tried next. Where none is left it waits, in a queue of limited length and time, for one
// to come back. It reports whether there is one.
func (x *exchange) choose(t *turn) bool {
	g, c := x.c.g, x.route.Cluster
	x.reserved = x.kind.makesSession()
	for {
		var err error
		if x.reserved {
			x.node, err = c.Pick(t.tried)
		} else {
			x.node, err = c.Next(t.tried)
		}
		if err == nil {
			return true
		}
		if x.kind == preflight {
			break // it is granted whatever the cause
		}
		if t.since.IsZero() {
			t.since = time.Now()
			if g.held.Add(1) > int64(g.Limits.Queue) {
				break
			}
		}
		left := g.Limits.QueueTime - time.Since(t.since)
		if left <= 0 || !x.c.sleep(min(left, max(c.Retry(), retryPause))) {
			break
		}
		t.tried = t.tried[:0]
	}
	x.reserved, x.node = false, nil
	return false
}

// attempt sends the request to the chosen node and reads as much of the answer as has to be known before the client
// gets any of it.
func (x *exchange) attempt() (*http1.Conn, error) {
	x.sentAt = time.Time{}
	x.open, x.early = engineio.Open{}, x.early[:0] // of a node that was tried before
	n, err := x.take()
	if err != nil {
		return nil, err
	}
	if err := x.ask(n); err != nil {
		return n, err
	}
	return n, x.learn(n)
}

// answerTime is how long to wait for the node before waitsOn is asked: for what makes a session HandshakeTime, since
// another node could make it as well, and for anything else as long as an answer is of use.
func (x *exchange) answerTime() time.Duration {
	left := x.patience() - time.Since(x.sentAt)
	if x.reserved {
		return min(left, x.c.g.Limits.HandshakeTime)
	}
	return left
}

// waitsOn reports whether the node is waited for although nothing came within answerTime. A node that answers others is
// slow, and what a slow node was sent is not sent to another one: each would make a session of it, and a busy cluster would
// drown in them. Only a node that has answered nothing at all is given up, once for each request.
func (x *exchange) waitsOn() bool {
	if !x.reserved || x.overdue() {
		return false
	}
	// A node that talks on its WebSockets lives, but it may accept nothing new.
	talks := x.node.Talked.Load() != x.talked && time.Since(x.sentAt) < talkTime*x.c.g.Limits.HandshakeTime
	silent := false
	if !talks && x.node.Heard.Load() == x.heard {
		x.tellFault(faultSilent, x.node.Name, "a node accepts handshakes and answers nothing", "node", x.node.Name, "address", x.node.Address)
		silent = x.route.Cluster.Suspect(x.node, x.heard)
	}
	x.heard, x.talked = x.node.Heard.Load(), x.node.Talked.Load()
	return !silent || x.resent
}

// talkTime is for how many HandshakeTimes a node's words on tunnels stand in for answers.
const talkTime = 4

// overdue reports whether an answer of the node is of no use any more.
func (x *exchange) overdue() bool { return time.Since(x.sentAt) >= x.patience() }

// learn reads the open packet, where the answer on n should hold one.
func (x *exchange) learn(n *http1.Conn) error {
	var err error
	switch {
	case x.kind == handshake && x.resp.Status == 200:
		err = x.learnFromBody(n)
	case x.kind == directConnect && x.resp.CheckSwitch(&x.req) == nil:
		err = x.learnFromFrame(n)
	}
	if err != nil {
		return x.part(n, err)
	}
	return nil
}

// mayMoveOn reports whether the request may be sent to another node: always if this one has read nothing of it. What a
// node may have read is sent once more at the most: a handshake, whose orphaned session is used by nobody and expires, also
// to a node that has fallen silent; a preflight only after a cut.
func (x *exchange) mayMoveOn(err error) bool {
	switch {
	case errors.Is(err, errUnsent), errors.Is(err, errNoPort): // ports are short to each node for itself
		return true
	case !isNodeFault(err):
		return false
	case x.sentAt.IsZero():
		return true
	}
	again := !x.resent && (x.kind.makesSession() && !x.overdue() || x.kind == preflight && errors.Is(err, errCut))
	x.resent = x.resent || again
	return again
}

// givenUp answers a request that may not be sent to another node.
func (x *exchange) givenUp(err error) after {
	switch {
	case errors.Is(err, errSilent):
		return x.fail(engineio.SilentNode)
	case isNodeFault(err), errors.Is(err, errBadAnswer):
		return x.fail(engineio.BadNode)
	}
	return x.badBody(err)
}
