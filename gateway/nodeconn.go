package gateway

import (
	"errors"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

// nodeConn is a connection to a node: idle, or with the request of one client.
type nodeConn struct {
	loop.Timer
	d        *driver
	node     *cluster.Node
	client   *clientConn // nil: idle, or an errand's
	errand   errand      // nil: none uses it
	owner    *clientConn // that alone may use it, since it began with a header that names tells; nil: each may
	tells    string
	cluster  string // of the last request
	fd       int
	token    loop.Token
	unsent   queued // of the request
	in       queued // received and not used yet
	looked   int    // how much of in does not suffice to go on
	scan     http1.Scan
	readable bool          // there may be bytes to read
	reused   bool          // it has carried a request before
	spoilt   bool          // it carries no other request
	aside    bool          // its node is silent, and others are asked beside it
	hup      bool          // the node sends no more than what waits to be read
	until    time.Duration // it may be used again
	since    time.Duration // the end of its last answer
	keeps    time.Duration // for how long from then on the node keeps it, as far as is known
	aged     bool          // its last answer took as long: it may have been on its way for so long, and the node have closed the connection since
	closed   bool
	noTLS    bool // the node has not begun TLS, or has ended it by an alert, and that was told
}

// Event implements loop.EventHandler.
func (n *nodeConn) Event(_ int, e loop.Events) {
	if e&loop.Hup != 0 {
		n.hup, n.readable = true, true
	}
	if e&loop.Readable != 0 {
		n.readable = true
	}
	c := n.client
	switch {
	case n.aside:
	case n.errand != nil:
		n.errand.event()
	case c != nil:
		if !n.d.g.guarded(func() { n.serve(c) }) { // n may be another's, or closed, by now
			c.Fail()
		}
	case !n.isQuiet():
		n.drop()
	}
}

// serve goes on with the client's request.
func (n *nodeConn) serve(c *clientConn) {
	if len(n.unsent.b) > 0 {
		n.flush()
	}
	c.advance()
}

// Fail implements loop.Failer.
func (n *nodeConn) Fail() {
	if n.errand != nil {
		n.errand.Fail()
		return
	}
	if n.client != nil {
		n.client.Fail()
		return
	}
	if n.aside {
		n.close()
		return
	}
	n.drop()
}

// send writes b, or leaves it for when the connection is made or takes more. It returns how much was written at once.
func (n *nodeConn) send(b []byte) (int, error) {
	if len(n.unsent.b) > 0 {
		n.unsent.add(b)
		return 0, nil
	}
	wrote, err := n.d.loop.Write(n.token, n.fd, b)
	if err != nil && err != sock.Again {
		return 0, err
	}
	if wrote < len(b) {
		n.unsent.add(b[wrote:])
	}
	return wrote, nil
}

// flush writes what is left of the request.
func (n *nodeConn) flush() {
	c := n.client
	wrote, err := n.d.loop.Write(n.token, n.fd, n.unsent.b)
	if err != nil && err != sock.Again {
		if c.x.SentAt.IsZero() {
			c.lost(n.dialError(err))
			return
		}
		n.unwritable()
		return
	}
	if n.unsent.drop(wrote); wrote > 0 {
		c.sent()
		if x := c.x; c.n == n && x.streams { // the time that the node took is not the client's
			x.due = max(x.due, n.d.loop.Now()+c.g.limits().BodyTime)
		}
	}
}

// unwritable gives up sending to a node that takes no more of the request: it may have answered.
func (n *nodeConn) unwritable() {
	n.unsent.free()
	n.client.x.streams = false
	n.spoilt, n.readable = true, true
}

// dialError sorts an error of a connection on which nothing was written yet.
func (n *nodeConn) dialError(err error) error {
	switch {
	case n.noTLS:
		return request.ErrTLS
	case n.reused:
		return request.ErrUnsent
	}
	return dialError(err)
}

// fill reads once from the node.
func (n *nodeConn) fill() {
	b := n.d.loop.Shared
	got, err := n.d.loop.Read(n.token, n.fd, b)
	switch {
	case err == sock.Again:
		n.readable = false
	case err != nil:
		n.readable = false
		n.client.nodeEnded(err)
	default:
		n.readable = got == len(b) || n.hup
		n.in.receive(b[:got])
	}
}

// unread reports whether err, in place of an answer, tells that the node has not read all of the request: it closed an idle connection, for
// instance because it was stopped, or cut off, and its timer ran out, while the request was on its way. The end of what it sends confirms all
// that it had received by then. A system resets where a program closes with bytes unread, and one that has read everything ends its connection
// in order, as a rule.
func (n *nodeConn) unread(err error) bool {
	if err == io.EOF {
		return sock.Unacknowledged(n.fd)
	}
	return errors.Is(err, syscall.ECONNRESET) && n.mayBeUnread()
}

// mayBeUnread reports whether the reset of a connection that was used before tells that the node has closed it unread, as one does whose timer for
// idle connections has run out. A reset looks the same where a node resets what it has read: that is not thought of one that has never done so, nor
// before the time that it keeps connections is over. A poll may be sent again even if it was read: a node that has reset it has ended its session.
func (n *nodeConn) mayBeUnread() bool {
	switch {
	case n.reused && n.aged && n.client.x.Kind == request.Poll:
		return true
	case n.reused && n.d.loop.Now()-n.since >= n.keeps:
		return !n.node.Resets.Load()
	}
	n.node.Resets.Store(true)
	return false
}

// isRead reports whether all that has come has been read, and tells of bytes behind the answer. It takes one of them.
func (n *nodeConn) isRead() bool {
	if len(n.in.b) == 0 {
		if !n.readable {
			return true
		}
		if _, err := n.d.loop.Read(n.token, n.fd, n.client.peeked[:]); err != nil {
			return err == sock.Again
		}
	}
	n.tellUnasked()
	return false
}

// isQuiet reports whether nothing has come on an idle connection, which is of no use otherwise, and tells of bytes. Some servers say 408 before they
// close one.
func (n *nodeConn) isQuiet() bool {
	if n.d.loop.Quiet(n.token, n.fd) {
		return true
	}
	const version = "HTTP/1.1 "
	b := make([]byte, len(version)+len("408"))
	if got, _ := n.d.loop.Read(n.token, n.fd, b); got > 0 && string(b[len(version):]) != "408" {
		n.tellUnasked()
	}
	return false
}

// tellUnasked has no connection to the node be kept for a while, and tells why.
func (n *nodeConn) tellUnasked() {
	n.node.Unasked.Store(time.Now().UnixNano())
	n.d.g.tellFault(n.cluster, faultUnasked, n.node.Name, "a node sends bytes that belong to no answer, so that no connection to it is used twice for a minute: does it answer a request twice, or give a 204, a 304 or the answer to a HEAD a body?",
		"node", n.node.Name, "address", n.node.Address)
}

// free ends the client's use of the connection. It is kept if it can carry another request, for so long as the node keeps it as
// well.
func (n *nodeConn) free(keep time.Duration, again bool) {
	n.in.drop(0)
	if n.client != nil {
		n.aged = time.Since(n.client.x.SentAt) >= n.keeps
		n.cluster = n.client.x.route.Cluster.Name
	}
	again = again && keep > 0 && !n.spoilt && !n.hup && !n.d.closed && len(n.unsent.b) == 0 && n.isRead() && n.d.trusts(n.node) && n.d.mayKeep()
	n.client = nil
	if !again {
		n.close()
		return
	}
	n.reused, n.readable, n.looked = true, false, 0
	n.since = n.d.loop.Now()
	n.until = n.since + keep
	if n.owner != nil {
		n.owner.keepNode(n)
	} else {
		n.d.idle[n.node] = append(n.d.idle[n.node], n)
		n.d.idling++
	}
	if _, set := n.Due(); !set {
		n.d.loop.SetTimer(&n.Timer, n.until)
	}
}

// Expire implements loop.Expirer: the connection may have been idle for too long.
func (n *nodeConn) Expire() {
	switch {
	case n.client != nil || n.aside: // set again when it is free
	case n.d.loop.Now() < n.until:
		n.d.loop.SetTimer(&n.Timer, n.until)
	default:
		n.drop()
	}
}

// drop closes an idle connection.
func (n *nodeConn) drop() {
	if n.owner != nil {
		n.owner.keepNode(nil)
		return
	}
	idle := n.d.idle[n.node]
	if i := slices.Index(idle, n); i >= 0 {
		if idle = slices.Delete(idle, i, i+1); len(idle) > 0 {
			n.d.idle[n.node] = idle
		} else {
			delete(n.d.idle, n.node)
		}
		n.d.idling--
	}
	n.close()
}

func (n *nodeConn) close() {
	if n.client = nil; n.closed {
		return
	}
	n.closed = true
	n.in.free()
	n.unsent.free()
	n.d.loop.StopTimer(&n.Timer)
	n.d.loop.Close(n.token, n.fd)
	n.d.g.toNodes.Add(-1)
}

// hand gives the connection to the engine of tunnels.
func (n *nodeConn) hand() tunnel.Socket {
	n.client = nil
	n.d.loop.StopTimer(&n.Timer)
	return tunnel.Socket{FD: n.fd, Token: n.token, Readable: n.readable, Hup: n.hup}
}
