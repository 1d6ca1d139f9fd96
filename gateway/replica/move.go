package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/control"
)

// errPolls says that a session lives and has no WebSocket.
var errPolls = errors.New("it polls")

// move moves a session whose WebSocket is here, or that polls.
func (r *Replica) move(ctx context.Context, sid, to string) (api.Move, error) {
	from, now, outcome, err := r.gateway.MoveSession(ctx, sid, to)
	name := ""
	if err != nil {
		if err = r.ofTunnel(ctx, sid, err); !errors.Is(err, errPolls) {
			return api.Move{}, err
		}
		if name, from, now, outcome, err = r.orderMove(ctx, sid, to); err != nil {
			return api.Move{}, err
		}
	}
	for _, s := range r.sightings(sid) {
		name = cmp.Or(name, s.Cluster)
	}
	r.event("move", name, now, fmt.Sprintf("session %s of %s: %s", engineio.ShortSID(sid), from, outcome))
	return api.Move{From: from, Node: now, Outcome: outcome}, nil
}

// orderMove has a session moved that polls, by the replica that has its poll.
func (r *Replica) orderMove(ctx context.Context, sid, to string) (name, from, now, outcome string, err error) {
	p, b, err := r.home(ctx, sid)
	if p == nil {
		return "", "", "", "", cmp.Or(err, fmt.Errorf("%w: it has ended", api.ErrNoSession))
	}
	if p.store != nil {
		if b, err = p.store.Refresh(ctx, sid); err != nil {
			return "", "", "", "", err
		}
	}
	node := p.nodes.Cluster.Node(to)
	switch {
	case b.Version != 4 || b.JSONP:
		err = errors.New("a session of Engine.IO 3, or by JSONP, does not move")
	case to != "" && node == nil:
		err = fmt.Errorf("%w: %q", gateway.ErrNoSuchOne, to)
	case to == b.Node:
		err = gateway.ErrSameNode
	case node != nil && node.Drains():
		err = fmt.Errorf("%s %w", to, gateway.ErrDrained)
	}
	if err != nil {
		return "", "", "", "", fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	o := control.Order{SID: sid, From: b.Node, To: to}
	if p.cfg.Sessions != nil {
		o.Patience = p.cfg.Sessions.Patience
	}
	m, err := r.board.Move(ctx, p.cfg.Name, o)
	if errors.Is(err, control.ErrNoMoves) || errors.Is(err, control.ErrMoving) || errors.Is(err, control.ErrManyMoves) {
		err = fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	return p.cfg.Name, b.Node, m.Node, m.Outcome, err
}

// movePolled is the board's Mover.
func (r *Replica) movePolled(c *cluster.Cluster, o control.Order, told func(control.Moved)) bool {
	return r.gateway.MovePolled(c, gateway.PolledOrder{SID: o.SID, From: o.From, To: o.To}, func(m gateway.PolledMove) { told(control.Moved(m)) })
}
