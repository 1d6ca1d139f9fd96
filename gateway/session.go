package gateway

import (
	"errors"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// opens reports whether an answer whose body begins with first makes a session, which Open then tells of.
func (x *exchange) opens(first []byte) bool {
	if x.Kind != request.Handshake || x.Resp.Status != 200 {
		return false
	}
	var err error
	x.Open, err = engineio.FindOpen(x.Query, first)
	x.warnOfOpen(err)
	return x.Open.SID != ""
}

// warnOfOpen counts and logs why a node's 200 to a handshake has no session that can be bound, if it has none. A node that
// serves Socket.IO's client answers with that, which is no fault.
func (x *exchange) warnOfOpen(err error) {
	if err == nil || x.route.IsClientBundle(x.Req.Path) {
		return
	}
	reason := "no_open_packet"
	if errors.Is(err, engineio.ErrOpenSID) {
		reason = "bad_sid"
	}
	c := x.route.Cluster
	x.g.metrics.unbound.WithLabelValues(c.Name, x.Node.Name, reason).Inc()
	const words = "a node's answer to a handshake holds no session that can be bound: does it serve Socket.IO, and on the cluster's path?"
	x.g.metrics.SetupFault(c.Name, faultNoSession, x.Node.Name, words)
	if c.MayWarn(x.Node) {
		x.g.log.Warn(words,
			"cluster", c.Name, "node", x.Node.Name, "address", x.Node.Address, "path", request.Shortened(x.Req.Path, longestLogged),
			"status", x.Resp.Status, "error", err, "content_type", x.Resp.Get(http1.ContentType))
	}
}

// bind records where the new session lives, before the client learns its sid from first: the client's next request may reach
// another replica. While the store is down the binding is kept here and written later; where other replicas would take the store's word
// that there is no such session, the client waits until they do not.
func (c *clientConn) bind(first []byte) {
	x := c.x
	if len(x.Early) == 0 {
		x.Early = append(x.Early, first...)
	}
	began, span := c.d.loop.Clock(), x.span.Child("bind", true)
	deliver := func() {
		x.overhead += c.d.loop.Clock().Sub(began)
		c.deliver(x.Early)
	}
	var err error
	bound := func() {
		span.End()
		x.bindEnded(err)
	}
	c.suspend(func(done func()) {
		x.route.Store.BindThen(x.Open.SID, x.NewBinding(x.Open), func(why error) {
			err = why
			done()
		})
	}, func() {
		if bound(); err != nil && !x.taken && c.g.missed != nil {
			c.await(func() { time.Sleep(time.Until(c.g.missed())) }, deliver, nil)
			return
		}
		deliver()
	}, bound)
}

// bindEnded deals with what became of the new session's binding. A sid that lives on another node must not reach the client, since its requests
// would reach somebody else's session.
func (x *exchange) bindEnded(err error) {
	if taken, ok := errors.AsType[*affinity.TakenError](err); ok {
		if x.taken = true; x.route.OnTaken != nil {
			x.route.OnTaken(x.Node.Name, taken.Node)
		}
		x.Open = engineio.Open{}
		return
	}
	x.route.makes.learn(x.Query.Version, x.Open)
	x.offered()
}

// count counts the answer to a request for a session or an upgrade that made no tunnel. A new session takes the place that
// is reserved on its node.
func (x *exchange) count() {
	switch made := x.Open.SID != ""; x.Kind {
	case request.Handshake:
		x.route.metrics.outcome(request.Handshake, made)
		if made {
			x.route.memory(x.Node).made.Add(1)
			x.route.strangers.made.Add(1)
			x.route.metrics.made[0].Observe(time.Since(x.Began).Seconds())
			x.route.Cluster.Sessions.Open(x.Open.SID, x.Node, time.Now().Add(x.NewBinding(x.Open).TTL()))
			x.Reserved = false
			x.tellUnused()
		}
	case request.Upgrade, request.DirectConnect:
		x.route.metrics.outcome(x.Kind, false)
	}
}
