package gateway

import (
	"errors"
	"strconv"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/sock"
)

// This file brings a request to a node: it chooses one, connects, sends, and decides what follows where that fails.

const (
	// dialTime is how long a node may take to accept a connection.
	dialTime = time.Second
	// retryPause is the wait before a node that could not be reached, or a store that could not be asked, is tried again.
	retryPause = 50 * time.Millisecond
	// retryEach is by how much that wait is longer for each request that waits, so that many of them are no more work than few.
	retryEach = 50 * time.Microsecond
	// triesAtOnce is how many nodes a request goes to before others are served, tryPause the wait for that,
	triesAtOnce = 8
	tryPause    = time.Millisecond
	// mostTries how many until it waits as if none were left.
	mostTries = 256
)

// ParseHashBy reads what a Route is to hash its handshakes by: client, query:NAME, header:NAME or cookie:NAME.
func ParseHashBy(s string) (request.HashBy, error) { return request.ParseHashBy(s) }

// choose settles the node of a request that belongs to no session yet: a handshake or direct connect goes to the node that the
// cluster picks for a new session, anything else to the node whose turn it is. Where none is left it waits, in a queue of
// limited length and time, for one to come back; where the pace of all allows no more for now, at the cluster's turnstile.
func (c *clientConn) choose() {
	x, cl := c.x, c.x.Cluster()
	var err error
	switch x.Reserved = x.Kind.MakesSession(); {
	case len(x.Tried) >= mostTries:
		err = cluster.ErrNoNode
	case !x.Reserved:
		x.Node, err = cl.Next(x.Tried)
	case len(x.Tried) == 0 && x.route.turns.length.Load() > 0: // others are before it
		err = cluster.PacedError{}
	default:
		x.Node, err = x.pick()
	}
	if err == nil {
		c.ask()
		return
	}
	x.Reserved, x.Node = false, nil
	if x.Kind == request.Preflight || x.HasPage() { // a preflight is granted whatever the cause
		c.fail(engineio.NoNode)
		return
	}
	c.wait(err)
}

// wait has the request wait for what err says that it lacks: a node, or its turn.
func (c *clientConn) wait(err error) {
	x := c.x
	pause := x.route.retryPause()
	if len(x.Tried) < mostTries { // else there are more, and they can be tried at once
		pause = max(pause, x.route.Cluster.Retry())
	}
	x.Tried = x.Tried[:0]
	paced, isPaced := errors.AsType[cluster.PacedError](err)
	switch full := c.queues(); {
	case full && !isPaced:
		c.fail(engineio.NoNode)
		return
	case full && !x.route.turns.makeRoom(clientPrefix(x.Origin().IP)):
		c.fail(engineio.Paced)
		return
	}
	if isPaced {
		x.queuedAt = time.Time{}
		c.waitForTurn(paced.Wait)
		return
	}
	if x.queuedAt.IsZero() {
		x.queuedAt = time.Now()
	}
	left := c.g.limits().QueueTime - time.Since(x.queuedAt)
	if left <= 0 {
		c.fail(engineio.NoNode)
		return
	}
	c.hold(min(left, pause), c.choose)
}

// queues takes a place in the cluster's queue unless the request has one, and reports whether there was none left.
func (c *clientConn) queues() (full bool) {
	if c.x.held {
		return false
	}
	c.x.held = true
	return c.x.route.held.Add(1) > int64(c.g.limits().Queue)
}

// retryPause is how long one that waits does so until it looks again.
func (t *tally) retryPause() time.Duration {
	return max(retryPause, time.Duration(t.held.Load())*retryEach)
}

// waited notes that the request waits no more.
func (x *exchange) waited() {
	if x.held {
		x.held = false
		x.route.held.Add(-1)
	}
}

// ask sends the request to the node: on an idle connection, or a fresh one. Only a fresh connection carries a request for a
// tunnel, and one that was closed before on a reused one.
func (c *clientConn) ask() {
	x, d := c.x, c.d
	x.waited()
	x.acquire(d.loop.Clock())
	x.SentAt = time.Time{}
	if !x.Kind.WantsTunnel() && !x.redialed {
		if n := c.take(); n != nil {
			c.send(n)
			return
		}
	}
	addr, ok := d.peer(x.Node)
	if !ok {
		c.askName()
		return
	}
	n, err := d.dial(x.Node, addr, x.Query.SID != "")
	if err != nil {
		c.g.log.Debug("no connection to a node", "cluster", x.route.Cluster.Name, "node", x.Node.Name, "error", err)
		c.lost(dialError(err))
		return
	}
	c.send(n)
}

// askName has a goroutine connect to a node whose address is a name.
func (c *clientConn) askName() {
	x, d := c.x, c.d
	r := dialed{fd: -1}
	c.await(
		func() { r = dialName(x.Node.Address) },
		func() {
			if r.err != nil {
				c.lost(dialError(r.err))
				return
			}
			d.peers[x.Node] = peer{r.addr, d.loop.Clock().Add(peerTime)}
			n, err := d.adopt(x.Node, r.fd)
			if err != nil {
				c.lost(dialError(err))
				return
			}
			c.send(n)
		},
		func() {
			if r.fd >= 0 {
				sock.Close(r.fd)
			}
		})
}

// send writes the request's head and what was read of its body in one piece.
func (c *clientConn) send(n *nodeConn) {
	x, d := c.x, c.d
	if x.span != nil {
		x.forwards()
	}
	d.out = x.AppendRequest(c.begin(d.out[:0], n), x.Node.Address)
	if u := &x.Upload; x.Req.Chunked && !u.Complete {
		d.out = http1.AppendChunk(d.out, u.Body)
	} else {
		d.out = append(d.out, u.Body...)
	}
	x.interim, x.Reused = 0, n.reused
	x.Open, x.Early = engineio.Open{}, x.Early[:0] // of a node that was tried before
	c.n, n.client = n, c
	c.setState(asking, dialTime)
	wrote, err := n.send(d.out)
	if err != nil {
		c.lost(n.dialError(err))
		return
	}
	if wrote > 0 {
		c.sent()
	}
}

// sent notes that the node may have begun to read the request.
func (c *clientConn) sent() {
	x := c.x
	if x.SentAt.IsZero() {
		x.SentAt = time.Now()
		x.overhead = x.SentAt.Sub(x.ready)
		c.within(c.answerTime())
		if x.Kind == request.Upgrade {
			x.memory().unanswered.Add(1)
		}
	} else if c.state == asking && !x.Upload.Complete {
		c.within(x.Patience())
	}
	if len(c.n.unsent.b) == 0 {
		c.startStream()
	}
}

// waitsOn reports whether the node is waited for although nothing came within answerTime. A node that answers others is
// slow, and what a slow node was sent is not sent to another one: each would make a session of it, and a busy cluster would
// drown in them. Only a node that has answered nothing at all is given up, once for each request.
func (c *clientConn) waitsOn() bool {
	x := c.x
	switch {
	case x.Overdue(time.Now()):
		return false
	case x.Kind == request.Post:
		x.tellHanging()
		return true
	case !x.Reserved:
		return false
	}
	// A node that talks on its WebSockets lives, but it may accept nothing new.
	talks := x.Node.Talked.Load() != x.talked && time.Since(x.SentAt) < talkTime*c.g.limits().HandshakeTime
	silent := false
	if !talks && x.Node.Heard.Load() == x.heard {
		x.tellFault(faultSilent, x.Node.Name, "a node accepts handshakes and answers nothing", "node", x.Node.Name, "address", x.Node.Address)
		silent = x.route.Cluster.Suspect(x.Node, x.heard, cluster.ReasonSilent)
	}
	x.others = x.others || x.Node.Heard.Load() != x.heard
	x.heard, x.talked = x.Node.Heard.Load(), x.Node.Talked.Load()
	return !silent || x.Resent
}

// talkTime is for how many HandshakeTimes a node's words on tunnels stand in for answers.
const talkTime = 4

// dropNode closes the connection to the node, whose answer is not waited for any more.
func (c *clientConn) dropNode() {
	if c.n != nil {
		c.n.close()
		c.n = nil
	}
}

// lost deals with a node that could not be reached or did not answer.
func (c *clientConn) lost(err error) {
	c.dropNode()
	x := c.x
	x.forwarded(0, err.Error())
	x.streams = false
	if errors.Is(err, request.ErrRefused) {
		delete(c.d.peers, x.Node) // a name may stand for another address by now
	}
	if x.Node != nil && (errors.Is(err, request.ErrRefused) || errors.Is(err, request.ErrCut)) {
		x.memory().forgetting.fell.Store(time.Now().UnixNano())
	}
	switch {
	case errors.Is(err, request.ErrUnsent) && !x.redialed:
		x.redialed = true
		c.ask()
		return
	case x.searches:
		c.notThere(err)
		return
	case x.Query.SID != "":
		c.lostSession(err)
		return
	case errors.Is(err, request.ErrShortage):
		c.fail(engineio.Full)
		return
	}
	x.leave()
	x.blame(err)
	if !x.MayMoveOn(err, time.Now()) {
		c.givenUp(err)
		return
	}
	x.Tried, x.redialed = append(x.Tried, x.Node), false
	if x.ready = c.d.loop.Clock(); len(x.Tried)%triesAtOnce == 0 {
		c.hold(tryPause, c.choose)
		return
	}
	c.choose()
}

// givenUp answers a request that may not be sent to another node.
func (c *clientConn) givenUp(err error) {
	if errors.Is(err, request.ErrSilent) {
		c.x.ignored()
		c.fail(engineio.SilentNode)
		return
	}
	c.fail(engineio.BadNode)
}

// lostSession deals with the node of a session. There is no other, and the session survives waiting: what the node has not read
// is sent again, until the protocol's own timers have ended the session. A node that refuses is gone and its sessions with it.
func (c *clientConn) lostSession(err error) {
	x := c.x
	if x.SentAt.IsZero() && !errors.Is(err, request.ErrRefused) && !errors.Is(err, request.ErrUnsent) {
		now := time.Now()
		if x.heldAt.IsZero() {
			x.heldAt = now
		}
		if now.Sub(x.heldAt) < x.Patience() {
			c.hold(retryPause, c.ask)
			return
		}
	}
	switch {
	case errors.Is(err, request.ErrShortage), errors.Is(err, request.ErrNoPort):
		c.fail(engineio.Full)
		return
	case errors.Is(err, request.ErrBadAnswer):
		c.fail(engineio.BadNode)
		return
	case errors.Is(err, request.ErrRefused):
		x.route.Cluster.Failed(x.Node)
	}
	if c.outlive(x.SentAt.IsZero() || errors.Is(err, request.ErrUnsent)) {
		return
	}
	if errors.Is(err, request.ErrRefused) || x.Kind == request.Poll || x.Kind == request.Post { // an upgrade that fails costs the session nothing
		c.gone(err)
		return
	}
	c.fail(engineio.SessionGone)
}

// blame tells the cluster of what may be the node's fault. Any client can send an ordinary request that a node cuts, so
// that only handshakes and direct connects count.
func (x *exchange) blame(err error) {
	switch c := x.Cluster(); {
	case errors.Is(err, request.ErrRefused):
		c.Failed(x.Node)
	case errors.Is(err, request.ErrTLS):
		c.Suspect(x.Node, x.heard, cluster.ReasonTLS)
	case errors.Is(err, request.ErrUnreachable):
		c.Suspect(x.Node, x.heard, cluster.ReasonUnreachable)
	case errors.Is(err, request.ErrNoConnect):
		c.Suspect(x.Node, x.heard, cluster.ReasonNoConnect)
	case errors.Is(err, request.ErrSilent) && x.SentAt.IsZero():
		c.Suspect(x.Node, x.heard, cluster.ReasonSilent)
	case errors.Is(err, request.ErrCut) && x.Kind.MakesSession():
		if c.Cut(x.Node) {
			x.tellCutHandshakes()
		}
	case errors.Is(err, request.ErrBadAnswer) && x.Kind.MakesSession() && x.Req.Path == x.route.Path:
		x.noSession("what it says is not HTTP")
	}
}

// connected is the time for Cluster.Answered: of a connection that was reused the zero time.
func (x *exchange) connected() time.Time {
	if x.Reused {
		return time.Time{}
	}
	return x.acquired
}

// answered tells the cluster that the node has answered. said is how the answer's body begins, as far as it is known.
func (x *exchange) answered(said []byte) {
	c, connected := x.Cluster(), x.connected()
	if x.Resp.Status == 508 { // which the last replica of the circle has said: who asks for one has not gone through it
		x.tellFault(faultLoop, x.Node.Name, "requests go in a circle: a node sends them back to sidway, or is a replica of sidway itself", "node", x.Node.Name, "address", x.Node.Address)
	}
	switch {
	case !x.Kind.MakesSession():
		c.Answered(x.Node, connected)
	case x.Open.SID != "" || x.Resp.Status == 101:
		c.Made(x.Node, connected)
		if n := x.refusedInARow(); n.Load() > 0 {
			n.Store(0)
		}
	case x.Req.Path != x.route.Path: // what no client asks for, such as another bundle's name
		c.Answered(x.Node, connected)
	case x.RefusedByRule():
		c.Answered(x.Node, connected)
		c.Refuses(x.Node)
		x.tellRefusals(said)
	default:
		x.noSession(strconv.Itoa(x.Resp.Status))
	}
}

// noSession counts an answer to a handshake that no Socket.IO server gives.
func (x *exchange) noSession(said string) {
	if x.route.Cluster.NoSession(x.Node) && said != "200" { // see warnOfOpen
		x.tellFault(faultNoSession, x.Node.Name, "a node answers handshakes with something else than a session: does it serve Socket.IO, and on the cluster's path?",
			"node", x.Node.Name, "address", x.Node.Address, "path", x.route.Path, "status", said)
	}
}
