package gateway

import (
	"context"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
	"github.com/sidway/sidway/gateway/request"
)

// This file finds where a session that polls lives that another replica may have moved (see polled.go), and tells of what is on its way to its node.

// acks finds the acknowledgements that a payload asks for and gives, as far as replicas are told of them.
func (x *exchange) acks(from packet.Side, payload []byte) (asked, given []string) {
	asked, given = packet.Acks(from, payload)
	if n := x.route.Cluster.Node(x.Binding.Node); n == nil || x.route.Cluster.Sessions.WatchedFor(x.Query.SID, n) < acksTime {
		asked = nil
	}
	return asked, given
}

// mayHaveMoved reports whether a session that polls, or begins to upgrade, may live elsewhere than is known here.
func (x *exchange) mayHaveMoved() bool {
	if x.route.Recovery == nil || x.Query.Version != 4 {
		return false
	}
	n := x.route.Cluster.Node(x.Binding.Node)
	return n == nil || x.route.Cluster.Sessions.Watches(x.Query.SID, n) || n.Fails()
}

// follow finds out where the session lives, and waits while it is moved.
func (c *clientConn) follow() {
	x := c.x
	c.await(func() { x.follow(context.Background()) }, func() {
		x.recount()
		c.renew()
	}, nil)
}

// recount has the session counted on the node that it is bound to, where it may have been moved.
func (x *exchange) recount() {
	if n := x.route.Cluster.Node(x.Binding.Node); n != nil && x.route.Recovery != nil {
		x.route.Cluster.Sessions.Follow(x.Query.SID, n)
	}
}

// follow asks the store, and tells of a POST or an upgrade, unless the session is being moved: then it does so again.
func (x *exchange) follow(ctx context.Context) {
	sid, store := x.Query.SID, x.route.Recovery
	var way recovery.Way // none for a poll: its client has no other
	var asked, given []string
	switch x.Kind {
	case request.Upgrade:
		way = recovery.Upgrade
	case request.Post:
		way = recovery.Post
		if x.Upload.Complete {
			asked, given = x.acks(packet.Client, x.Upload.Body)
		}
	}
	for until := time.Now().Add(x.Patience()); ; time.Sleep(claimPause) {
		entered, err := true, error(nil)
		if way != "" {
			entered, err = store.Enter(ctx, sid, way, asked, given)
		}
		if b, err := x.route.refresh(ctx, sid); err == nil {
			x.Binding = b
		}
		if entered || err != nil || time.Now().After(until) {
			x.entered = way == recovery.Post && entered && err == nil
			if n := x.route.Cluster.Node(x.Binding.Node); n != nil && !x.route.Cluster.Sessions.Watches(sid, n) {
				_ = store.Owe(ctx, sid, nil, asked)
				x.arrived()
			}
			return
		}
	}
}

// mayLiveElsewhere reports whether a node's answer that it does not know the session may say that another replica has moved it. Such an answer has
// no effect on a node.
func (x *exchange) mayLiveElsewhere(answer []byte) bool {
	return x.route.Recovery != nil && !x.refreshed && !x.searches && x.Query.SID != "" && x.Query.Version == 4 && x.Body.Done() && x.Upload.AtOnce() &&
		engineio.IsUnknownSID(x.Resp.Status, answer)
}

// askElsewhere asks the session's node again, if the store knows of another one.
func (c *clientConn) askElsewhere(answer []byte) {
	x := c.x
	x.refreshed = true
	x.Early = append(x.Early[:0], answer...)
	b, bound := x.Binding, false
	c.await(func() {
		if now, err := x.route.refresh(context.Background(), x.Query.SID); err == nil {
			b, bound = now, true
		}
	}, func() {
		if b.Node == x.Binding.Node && b.Alias == x.Binding.Alias {
			// A node that did not cut or refuse anything may have been started anew all the same, but it may also have ended the session, and do so
			// again and again.
			outlives := x.Kind == request.Post || x.Binding.Alias == "" || x.fell()
			if !bound || !outlives || !c.outlive(true) {
				c.settle(x.Early)
			}
			return
		}
		c.dropNode()
		x.leave()
		x.Early, x.Binding, x.redialed = x.Early[:0], b, false
		c.inSession()
	}, nil)
}

// arrived tells that the request's POST is on its way no more.
func (x *exchange) arrived() {
	if x.entered {
		x.entered = false
		_ = x.route.Recovery.Leave(context.Background(), x.Query.SID, recovery.Post)
	}
}
