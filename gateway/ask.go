package gateway

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/sock"
)

// This file brings a request to a node: it chooses one, connects, sends, and decides what follows where that fails.

// What can become of a request between us and a node.
var (
	errRefused   = errors.New("gateway: the node refused the connection")
	errSilent    = errors.New("gateway: the node did not answer in time")
	errShortage  = errors.New("gateway: no descriptor or memory is left")
	errNoPort    = errors.New("gateway: all ports to the node are in use")
	errCut       = errors.New("gateway: the node cut the connection")
	errUnsent    = errors.New("gateway: the node's connection was closed before the request was read")
	errBadAnswer = errors.New("gateway: the node's answer is not HTTP")
)

const (
	// dialTime is how long a node may take to accept a connection.
	dialTime = time.Second
	// margin is what network and scheduling may add to the protocol's own timers.
	margin = 15 * time.Second
	// ordinaryTime is how long a node may take to answer a request that is not Socket.IO's, or the last handshake tried.
	ordinaryTime = 60 * time.Second
	// retryPause is the wait before a node that could not be reached, or a store that could not be asked, is tried again.
	retryPause = 50 * time.Millisecond
)

// choose settles the node of a request that belongs to no session yet: a handshake or direct connect goes to the node that the
// cluster picks for a new session, anything else to the node whose turn it is. Where none is left it waits, in a queue of
// limited length and time, for one to come back.
func (c *clientConn) choose() {
	x, cl := c.x, c.x.route.Cluster
	var err error
	if x.reserved = x.kind.makesSession(); x.reserved {
		x.node, err = cl.Pick(x.tried)
	} else {
		x.node, err = cl.Next(x.tried)
	}
	if err == nil {
		c.ask()
		return
	}
	x.reserved, x.node = false, nil
	if x.kind == preflight { // it is granted whatever the cause
		c.fail(engineio.NoNode)
		return
	}
	if x.queuedAt.IsZero() {
		x.queuedAt = time.Now()
		if c.g.held.Add(1) > int64(c.g.Limits.Queue) {
			c.fail(engineio.NoNode)
			return
		}
	}
	left := c.g.Limits.QueueTime - time.Since(x.queuedAt)
	if left <= 0 {
		c.fail(engineio.NoNode)
		return
	}
	x.tried = x.tried[:0]
	c.hold(min(left, max(cl.Retry(), retryPause)), c.choose)
}

// ask sends the request to the node: on an idle connection, or a fresh one. Only a fresh connection carries a request for a
// tunnel, and one that was closed before on a reused one.
func (c *clientConn) ask() {
	x, d := c.x, c.d
	x.acquire(d.loop.Clock())
	if !x.kind.wantsTunnel() && !x.redialed {
		if n := d.take(x.node); n != nil {
			c.send(n)
			return
		}
	}
	addr, ok := d.peer(x.node)
	if !ok {
		c.askName()
		return
	}
	n, err := d.dial(x.node, addr, x.query.SID != "")
	if err != nil {
		c.g.Log.Debug("no connection to a node", "cluster", x.route.Cluster.Name, "node", x.node.Name, "error", err)
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
		func() { r = dialName(x.node.Address) },
		func() {
			if r.err != nil {
				c.lost(dialError(r.err))
				return
			}
			d.peers[x.node] = peer{r.addr, d.loop.Clock().Add(peerTime)}
			n, err := d.adopt(x.node, r.fd)
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
	d.out = x.appendRequest(d.out[:0], x.node.Address)
	if u := &x.upload; x.req.Chunked && !u.complete {
		d.out = http1.AppendChunk(d.out, u.body)
	} else {
		d.out = append(d.out, u.body...)
	}
	x.sentAt, x.interim, x.reused = time.Time{}, 0, n.reused
	x.open, x.early = engineio.Open{}, x.early[:0] // of a node that was tried before
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
	if c.hup {
		c.lookForEnd()
	}
}

// sent notes that the node may have begun to read the request.
func (c *clientConn) sent() {
	x := c.x
	if x.sentAt.IsZero() {
		x.sentAt = time.Now()
		x.own = x.sentAt.Sub(x.ready)
		c.within(x.answerTime())
	} else if c.state == asking && !x.upload.complete {
		c.within(x.patience())
	}
	if len(c.n.unsent.b) == 0 {
		c.startStream()
	}
}

// dialError sorts what a dial may say: only a refusal is a fact about the node. A shortage of our own is no fault of
// the node, and a time-out may be a node that is slow, stopped or behind a broken network.
func dialError(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return errRefused
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errNoPort
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return errShortage
	}
	return errSilent
}

// waitsOn reports whether the node is waited for although nothing came within answerTime. A node that answers others is
// slow, and what a slow node was sent is not sent to another one: each would make a session of it, and a busy cluster would
// drown in them. Only a node that has answered nothing at all is given up, once for each request.
func (c *clientConn) waitsOn() bool {
	x := c.x
	if !x.reserved || x.overdue() {
		return false
	}
	// A node that talks on its WebSockets lives, but it may accept nothing new.
	talks := x.node.Talked.Load() != x.talked && time.Since(x.sentAt) < talkTime*c.g.Limits.HandshakeTime
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
	x.upload.streams = false
	switch {
	case errors.Is(err, errUnsent) && !x.redialed:
		x.redialed = true
		c.ask()
		return
	case x.query.SID != "":
		c.lostSession(err)
		return
	case errors.Is(err, errShortage):
		c.fail(engineio.Full)
		return
	}
	x.leave()
	x.blame(err)
	if !x.mayMoveOn(err) {
		c.givenUp(err)
		return
	}
	x.tried, x.redialed = append(x.tried, x.node), false
	x.ready = c.d.loop.Clock()
	c.choose()
}

// givenUp answers a request that may not be sent to another node.
func (c *clientConn) givenUp(err error) {
	if errors.Is(err, errSilent) {
		c.fail(engineio.SilentNode)
		return
	}
	c.fail(engineio.BadNode)
}

// lostSession deals with the node of a session. There is no other, and the session survives waiting: what the node has not read
// is sent again, until the protocol's own timers have ended the session. A node that refuses is gone and its sessions with it.
func (c *clientConn) lostSession(err error) {
	x := c.x
	if x.sentAt.IsZero() && !errors.Is(err, errRefused) && !errors.Is(err, errUnsent) {
		now := time.Now()
		if x.heldAt.IsZero() {
			x.heldAt = now
		}
		if now.Sub(x.heldAt) < x.patience() {
			c.hold(retryPause, c.ask)
			return
		}
	}
	switch {
	case errors.Is(err, errShortage), errors.Is(err, errNoPort):
		c.fail(engineio.Full)
		return
	case errors.Is(err, errBadAnswer):
		c.fail(engineio.BadNode)
		return
	case errors.Is(err, errRefused):
		x.route.Cluster.Failed(x.node)
	}
	if errors.Is(err, errRefused) || x.kind == poll || x.kind == post { // an upgrade that fails costs the session nothing
		x.route.Cluster.Sessions.End(x.query.SID)
	}
	c.fail(engineio.SessionGone)
}

// acquire takes a lease on the node, if none is held, at a time that the caller knows.
func (x *exchange) acquire(now time.Time) {
	if !x.leased {
		x.leased = true
		x.node.Acquire()
	}
	x.heard, x.talked, x.acquired = x.node.Heard.Load(), x.node.Talked.Load(), now
}

// leave ends the lease on the node, if there is one, and gives the session's place back where one is still reserved.
func (x *exchange) leave() {
	if x.leased {
		x.leased = false
		x.node.Release()
	}
	if x.reserved {
		x.reserved = false
		x.route.Cluster.Leave(x.node)
	}
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

// connected is the time for Cluster.Answered: of a connection that was reused the zero time.
func (x *exchange) connected() time.Time {
	if x.reused {
		return time.Time{}
	}
	return x.acquired
}

// answered tells the cluster that the node has answered.
func (x *exchange) answered() {
	c, connected := x.route.Cluster, x.connected()
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
