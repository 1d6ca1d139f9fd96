package gateway

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

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

// inSession deals with a request that names a sid: the node that made the session, or none.
func (x *exchange) inSession() after {
	if cause, ok := x.resolve(); !ok {
		return x.fail(cause)
	}
	if cause, ok := x.admissible(); !ok {
		return x.fail(cause)
	}
	x.acquire(time.Now())
	n, err := x.connect(x.take)
	if err == nil {
		err = x.ask(n)
	}
	if errors.Is(err, errUnsent) {
		n.Close()
		if n, err = x.connect(x.dial); err == nil {
			err = x.ask(n)
		}
	}
	return x.conclude(n, err)
}

// conclude deals with what the session's node answered on n, or with why it did not.
func (x *exchange) conclude(n *http1.Conn, err error) after {
	if err != nil {
		x.leave()
		return x.failed(n, err)
	}
	x.route.Cluster.Answered(x.node, x.connected(x.reused))
	return x.deliver(n)
}

// admissible holds the request against its session's binding and reports whether the node may get it. From here on the
// query's version is the session's, but for a preflight, of whose version nodes make nothing.
func (x *exchange) admissible() (engineio.Cause, bool) {
	if x.kind != preflight && x.query.Version != x.binding.Version {
		return engineio.VersionMismatch, false // an upgrade with another can end the node's process: CVE-2026-102599
	}
	if x.kind == post {
		x.upload.limit = x.bodyLimit()
		if max(x.req.ContentLength, x.upload.got) > x.upload.limit {
			return engineio.BodyTooLarge, false
		}
	}
	return 0, true
}

// acquire takes a lease on the node, at a time that the caller knows.
func (x *exchange) acquire(now time.Time) {
	x.node.Acquire()
	x.leased = true
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

// resolve finds the session's binding and its node. While the store cannot be asked, a request whose sid is unknown here
// is held, because a session survives waiting and nothing else.
func (x *exchange) resolve() (engineio.Cause, bool) {
	sid, store := x.query.SID, x.route.Store
	held := time.Time{}
	for {
		b, err := store.Lookup(x.c.ctx, sid)
		switch {
		case err == nil:
			x.binding = b
			if x.renews() {
				store.Bind(x.c.ctx, sid, b) // a store that is away writes it later
			}
			if x.node = x.route.Cluster.Node(b.Node); x.node == nil {
				x.tellMissingNode()
				return engineio.SessionGone, false
			}
			return 0, true
		case errors.Is(err, affinity.ErrNotFound):
			return engineio.SIDUnknown, false
		case x.c.ctx.Err() != nil:
			return engineio.StoreAway, false // nobody reads it
		}
		if held.IsZero() {
			held = time.Now()
		}
		if x.kind == preflight || time.Since(held) >= x.c.g.Limits.QueueTime || !x.c.sleep(retryPause) {
			return engineio.StoreAway, false
		}
	}
}

// renews reports whether the binding has lived for a third of its time and is to be written again, so that the store keeps
// it for as long as polls come. A tunnel needs none.
func (x *exchange) renews() bool { return x.kind != upgrade && x.binding.Due(x.began) }

// patience is how long the session's node may be silent before the protocol's own timers have ended the session.
func (x *exchange) patience() time.Duration {
	if x.query.SID == "" {
		return ordinaryTime
	}
	return x.binding.PingInterval + x.binding.PingTimeout + margin
}

// bodyLimit is how many bytes a POST of the session may have: what the cluster says, else what the node announced, else
// what nodes of that version allow by default. A JSONP body is form-encoded, which makes three bytes of one.
func (x *exchange) bodyLimit() int64 {
	limit := x.route.MaxBody
	switch {
	case limit > 0:
		return limit
	case x.binding.MaxPayload > 0:
		limit = x.binding.MaxPayload
	case x.query.Version == 3:
		limit = 10e6
	default:
		limit = 1e6
	}
	if x.query.JSONP != "" {
		limit = 3*limit + 2
	}
	return limit
}

// connect gets a connection to the session's node by take or dial. A node that refuses is gone and its sessions with it; one
// that does not answer is waited for.
func (x *exchange) connect(get func() (*http1.Conn, error)) (*http1.Conn, error) {
	var until time.Time
	for {
		n, err := get()
		if err == nil || errors.Is(err, errRefused) {
			return n, err
		}
		if until.IsZero() {
			until = time.Now().Add(x.patience())
		}
		if time.Now().After(until) {
			return nil, err
		}
		if !x.c.sleep(retryPause) {
			return nil, errDeparted
		}
	}
}

// take takes one of the node's kept connections or dials. Only a fresh connection carries a request for a tunnel.
func (x *exchange) take() (*http1.Conn, error) {
	if x.kind.wantsTunnel() {
		return x.dial()
	}
	n, reused, err := x.node.Pool.Take(x.c.ctx)
	if err != nil {
		return nil, x.dialError(err)
	}
	x.reused = reused
	return n, nil
}

func (x *exchange) dial() (*http1.Conn, error) {
	n, err := x.node.Pool.Dial(x.c.ctx)
	if err != nil {
		return nil, x.dialError(err)
	}
	x.reused = false
	return n, nil
}

// dialError sorts what a dial may say: only a refusal is a fact about the node. A shortage of our own is no fault of
// the node, and a time-out may be a node that is slow, stopped or behind a broken network.
func (x *exchange) dialError(err error) error {
	x.c.g.Log.Debug("no connection to a node", "cluster", x.route.Cluster.Name, "node", x.node.Name, "error", err)
	switch {
	case x.c.ctx.Err() != nil:
		return errDeparted
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

// ask sends the request to n and reads the head of the answer. Meanwhile, and until part is called, the departure of the
// client ends what is written to n and read from it.
func (x *exchange) ask(n *http1.Conn) error {
	x.c.await(n.Conn)
	if err := x.send(n); err != nil {
		return x.part(n, err)
	}
	x.own = x.sentAt.Sub(x.ready)
	return x.hear(n)
}

// hear reads the head of the answer to a request that was sent on n, for which the client awaits it.
func (x *exchange) hear(n *http1.Conn) error {
	if err := x.head(n); err != nil {
		return x.part(n, err)
	}
	return nil
}

// part ends the exchange with n, for the reason err or none, and returns the reason behind it: that the client has
// departed, or that its body was the fault.
func (x *exchange) part(n *http1.Conn, err error) error {
	here := x.c.done()
	body := x.settle(n.Conn)
	switch {
	case !here:
		return errDeparted
	case err != nil && body != nil:
		return body
	}
	return err
}

// send writes the request's head and what was read of its body in one piece, and lets the rest of the body follow. With
// errUnsent the node has read nothing.
func (x *exchange) send(n *http1.Conn) error {
	out := buffers.get()
	defer buffers.put(out)
	*out = x.appendRequest((*out)[:0], x.node.Address)
	if u := &x.upload; x.req.Chunked && !u.complete && len(u.body) > 0 {
		*out = http1.AppendChunk(*out, u.body)
	} else {
		*out = append(*out, u.body...)
	}
	if n.SetWriteDeadline(time.Now().Add(x.patience())); x.c.ctx.Err() != nil { // departed just before: see head
		return errDeparted
	}
	wrote, err := n.Write(*out)
	if wrote == 0 {
		return errUnsent
	}
	x.sentAt = time.Now()
	switch {
	case err != nil:
		return nodeError(err)
	case !x.upload.complete:
		x.stream(n.Conn)
	}
	return nil
}

// head reads the head of the answer, with what comes before it.
func (x *exchange) head(n *http1.Conn) error {
	for interim := 0; interim <= mostInterim; {
		if err := x.allow(n); err != nil {
			return err
		}
		err := n.Reader.Response(&x.resp, x.req.Method)
		switch {
		case err != nil && x.reused && x.mayBeUnread(err) && len(n.Reader.Buffered()) == 0:
			return errUnsent
		case errors.Is(err, os.ErrDeadlineExceeded) && x.waitsOn():
		case err != nil:
			return nodeError(err)
		case x.resp.Status == 101 && x.kind.wantsTunnel(), x.resp.Status >= 200:
			return nil
		case x.resp.Status == 101:
			return errBadAnswer
		default:
			interim++
			if x.resp.Status == 100 || x.req.Minor == 0 {
				break
			}
			if _, err := x.c.write(append(x.appendStatus(nil), "\r\n"...)); err != nil {
				return errDeparted
			}
		}
	}
	return errBadAnswer
}

// mostInterim is how many 1xx answers a node may send before its final one.
const mostInterim = 32

// allow gives the node answerTime from now on.
func (x *exchange) allow(n *http1.Conn) error {
	if err := n.SetReadDeadline(time.Now().Add(x.answerTime())); err != nil {
		return nodeError(err)
	}
	if x.c.ctx.Err() != nil { // departed just before the deadline was set, which ended nothing then
		return errDeparted
	}
	return nil
}

// mayBeUnread reports whether err, in place of an answer on a connection that was used before, says that the node has not
// read the request, and the request can be sent again. A system resets where a program closes with bytes unread: the node
// closed an idle connection, for instance because it was stopped and its timer ran out, while the request was on its way.
// One that has read everything ends its connection in order. Only what Engine.IO asks for is sent again, of which a node does
// nothing before it has read all.
func (x *exchange) mayBeUnread(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) && (x.kind == poll || x.kind == post) && x.upload.ended == nil
}

// nodeError sorts what reading from and writing to a node may say.
func nodeError(err error) error {
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		return errBadAnswer
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errSilent
	}
	return errCut
}

// failed answers a session's request whose node did not. The node's connection, if there is one, is cut: what was read
// from it last is unknown.
func (x *exchange) failed(n *http1.Conn, err error) after {
	if n != nil {
		n.Close()
	}
	switch {
	case errors.Is(err, errDeparted):
		return hangUp
	case errors.Is(err, errRefused), errors.Is(err, errCut), errors.Is(err, errUnsent), errors.Is(err, errSilent):
		if errors.Is(err, errRefused) {
			x.route.Cluster.Failed(x.node)
		}
		if errors.Is(err, errRefused) || x.kind == poll || x.kind == post { // an upgrade that fails costs the session nothing
			x.route.Cluster.Sessions.End(x.query.SID)
		}
		return x.fail(engineio.SessionGone)
	case errors.Is(err, errShortage), errors.Is(err, errNoPort):
		return x.fail(engineio.Full)
	case errors.Is(err, errBadAnswer):
		return x.fail(engineio.BadNode)
	}
	return x.badBody(err)
}
