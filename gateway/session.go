package gateway

import (
	"errors"
	"io"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// The timers that nodes have by default, for one whose open packet cannot be read.
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 20 * time.Second
)

// learnFromBody reads the answer to a handshake until the open packet is found or is known to be missing. What was read
// is kept in early. An answer without one is passed on as it is: the client makes of it what it can.
func (x *exchange) learnFromBody(n *http1.Conn) error {
	body := n.Reader.ResponseBody(&x.resp)
	for !body.Done() && len(x.early) < engineio.OpenLimit {
		p, err := body.Next()
		x.early = append(x.early, p...)
		if err != nil && err != io.EOF {
			return nodeError(err)
		}
		x.open, err = engineio.FindOpen(x.query, x.early)
		if errors.Is(err, engineio.ErrOpenSID) {
			x.c.g.Log.Warn("a node makes sessions that cannot be bound", "cluster", x.route.Cluster.Name, "node", x.node.Name, "error", err)
		}
		if !errors.Is(err, engineio.ErrShort) {
			return nil
		}
	}
	return nil
}

// bind records where the new session lives, before the client learns its sid: the client's next request may reach
// another replica. While the store is away the binding is kept here and written later.
func (x *exchange) bind() {
	sid := x.open.SID
	x.route.metrics.outcome(handshake, sid != "")
	if sid == "" {
		return
	}
	b := x.bindingOf(x.open)
	x.route.Store.Bind(x.c.ctx, sid, b)
	x.route.Cluster.Sessions.Open(sid, x.node, time.Now().Add(b.TTL()))
	x.reserved = false
}

func (x *exchange) bindingOf(o engineio.Open) affinity.Binding {
	if o.PingInterval == 0 || o.PingTimeout == 0 {
		o.PingInterval, o.PingTimeout = pingInterval, pingTimeout
	}
	return affinity.Binding{
		Node:         x.node.Name,
		Version:      x.query.Version,
		PingInterval: o.PingInterval,
		PingTimeout:  o.PingTimeout,
		MaxPayload:   o.MaxPayload,
	}
}
