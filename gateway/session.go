package gateway

import (
	"context"
	"errors"
	"io"
	"os"
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
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && x.waitsOn():
			if err := x.allow(n); err != nil {
				return err
			}
		case err != nil && err != io.EOF:
			return nodeError(err)
		}
		x.open, err = engineio.FindOpen(x.query, x.early)
		if errors.Is(err, engineio.ErrOpenSID) {
			x.warnOfSID(err)
		}
		if !errors.Is(err, engineio.ErrShort) {
			return nil
		}
	}
	return nil
}

func (x *exchange) warnOfSID(err error) {
	x.c.g.Log.Warn("a node makes sessions that cannot be bound", "cluster", x.route.Cluster.Name, "node", x.node.Name, "error", err)
}

// bind records where the new session lives, before the client learns its sid: the client's next request may reach
// another replica. While the store is away the binding is kept here and written later.
func (x *exchange) bind(ctx context.Context) {
	if x.open.SID != "" {
		x.route.Store.Bind(ctx, x.open.SID, x.bindingOf(x.open))
	}
}

// count counts the answer to a request for a session or an upgrade that made no tunnel. A new session takes the place that
// is reserved on its node.
func (x *exchange) count() {
	switch made := x.open.SID != ""; x.kind {
	case handshake:
		x.route.metrics.outcome(handshake, made)
		if made {
			x.route.Cluster.Sessions.Open(x.open.SID, x.node, time.Now().Add(x.bindingOf(x.open).TTL()))
			x.reserved = false
		}
	case upgrade, directConnect:
		x.route.metrics.outcome(x.kind, false)
	}
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
