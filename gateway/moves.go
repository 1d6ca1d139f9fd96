package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/tunnel"
)

const (
	// mostBadMoves is how many moves in a row may go wrong before none is begun for badMovesPause: its clients would only be connected anew. What
	// becomes of sessions when their node crashes tells nothing of that: many adapters have not kept them then.
	mostBadMoves  = 5
	badMovesPause = time.Minute
	// mostQueuedMoves is how many of a drain's are under way at once on a loop: a node that restores a session reads what all sessions were sent in
	// the last second.
	mostQueuedMoves = 4
	// mostMoveTries is how many moves of a session may fail until a drain ends it.
	mostMoveTries = 3
)

// moves is what is known of a cluster's moves.
type moves struct {
	bad   atomic.Int32 // in a row
	until atomic.Int64 // when some are begun again, in ns since 1970
}

// ended notes what became of a move, and reports whether no other one is begun for badMovesPause because of it.
func (m *moves) ended(outcome string, now time.Time) (pauses bool) {
	switch outcome {
	case moveDone:
		m.bad.Store(0)
	case moveRenewed, moveLost, moveSilent, moveBlind, moveUnkept:
		if m.bad.Add(1) >= mostBadMoves {
			m.until.Store(now.Add(badMovesPause).UnixNano())
			m.bad.Store(0)
			return true
		}
	}
	return false
}

// paused reports whether none is begun now.
func (m *moves) paused() bool { return time.Now().UnixNano() < m.until.Load() }

// resume is when moves are begun again, the zero time while they are.
func (m *moves) resume() time.Time {
	if !m.paused() {
		return time.Time{}
	}
	return time.Unix(0, m.until.Load())
}

// badMoveWords say why moves fail, by what became of the last one.
var badMoveWords = map[string]string{
	moveRenewed: "ended with clients that were connected anew, or lost. Do the nodes restore sessions (connectionStateRecovery), and do their adapters share the Redis and the stream that sessions names?",
	moveSilent:  "were given up, since an event sent through the stream, or a ping, did not come back in time. Do the nodes' adapters use the Redis, its database and the stream that sessions names, and are the nodes not overloaded?",
	moveBlind:   "were given up, since the Redis of sessions.redis did not answer, or refused the question: see error in the log. Are its address, password and rights right?",
	moveUnkept:  "did not begin, since the nodes do not restore sessions. Is connectionStateRecovery on, with an adapter that keeps sessions?",
}

// tellMove counts what became of a move from a node, and tells where none is begun for a while because of it.
func (g *Gateway) tellMove(r *route, crash bool, outcome, from string, err error) {
	r.metrics.moved(crash, outcome)
	if crash || !r.moves.ended(outcome, time.Now()) {
		return
	}
	args := []any{"outcome", outcome, "from", from}
	if err != nil {
		args = append(args, "error", err)
	}
	g.tellFault(r.Cluster.Name, faultMoves, "", "live sessions are not moved for a minute: five moves in a row "+cmp.Or(badMoveWords[outcome], badMoveWords[moveRenewed]), args...)
}

// What MoveSession may find.
var (
	ErrNoTunnel  = errors.New("this replica carries no WebSocket of that session")
	ErrNotMoved  = errors.New("the session's cluster does not move sessions: see sessions.move")
	ErrMoving    = errors.New("the session is being moved already")
	ErrSameNode  = errors.New("the session lives on that node")
	ErrNoSuchOne = errors.New("the cluster has no such node")
	ErrDrained   = errors.New("is drained, which would move the session off it at once")
)

// MoveSession moves the session whose WebSocket this replica carries to a node of its cluster, "" for the one that the cluster picks, and
// returns where it lived, where it lives, and what became of the move: moved, renewed, busy, refused, no_barrier, no_redis, no_recovery, lost or left.
func (g *Gateway) MoveSession(ctx context.Context, sid, to string) (from, now, outcome string, err error) {
	found, known := g.tunnels.Follower(sid)
	f, follows := found.(*follower)
	switch {
	case !known:
		return "", "", "", ErrNoTunnel
	case !follows || !f.moves:
		return "", "", "", ErrNotMoved
	case !f.ordered.CompareAndSwap(false, true):
		return "", "", "", ErrMoving
	}
	type answer struct {
		from, now, outcome string
		err                error
	}
	done := make(chan answer, 1)
	f.d.loop.Send(task(func() {
		a := answer{from: f.home.node.Name}
		m, err := f.order(to)
		if err != nil {
			f.ordered.Store(false)
			done <- answer{err: err}
			return
		}
		m.told = func(outcome string) {
			a.now, a.outcome = f.home.node.Name, outcome
			done <- a
		}
		m.start()
	}))
	select {
	case a := <-done:
		return a.from, a.now, a.outcome, a.err
	case <-ctx.Done():
		return "", "", "", context.Cause(ctx)
	}
}

// order makes an ordered move.
func (f *follower) order(to string) (*move, error) {
	if m := f.move; m != nil && m.step == moveFinishes {
		m.finish()
	}
	switch n := f.route.Cluster.Node(to); {
	case f.line.Ended():
		return nil, ErrNoTunnel
	case f.move != nil:
		return nil, ErrMoving
	case to == "":
		return f.newMove(false), nil
	case n == nil:
		return nil, fmt.Errorf("%w: %q", ErrNoSuchOne, to)
	case n.Key() == f.home.node.Key():
		return nil, ErrSameNode
	case n.Drains():
		return nil, fmt.Errorf("%s %w", to, ErrDrained)
	default:
		m := f.newMove(false)
		m.to, m.named = n, true
		return m, nil
	}
}

// start begins an ordered move.
func (m *move) start() {
	if errors.Is(m.f.Settled(), packet.ErrNoRecovery) {
		m.end(moveUnkept)
		return
	}
	if m.to == nil {
		m.pick()
		return
	}
	m.placed = true
	m.f.route.Cluster.Join(m.to)
	m.connect(m.to)
}

// moveSessions begins to move up to count sessions of a node that this replica carries, and returns how many. Those that cannot be moved it
// ends instead, unless the node is only unloaded.
func (g *Gateway) moveSessions(n *cluster.Node, count int, why cluster.Removal) (begun int) {
	for _, each := range g.tunnels.Followers(n.Key()) {
		f := each.(*follower)
		paused := f.route.moves.paused()
		stuck := paused || f.failed.Load() >= mostMoveTries && why != cluster.Unload
		if begun == count {
			break
		}
		if paused && why == cluster.Unload || !f.ordered.CompareAndSwap(false, true) {
			continue
		}
		begun++
		f.d.loop.Send(task(func() {
			switch {
			case why == cluster.Silence:
				f.ordered.Store(false)
				f.abandon()
			case stuck:
				f.ordered.Store(false)
				f.line.End(tunnel.Drained)
			default:
				f.d.toMove = append(f.d.toMove, f)
				f.d.moveSome()
			}
		}))
	}
	return begun
}

// abandon takes the session off a node that is silent.
func (f *follower) abandon() {
	switch {
	case f.line.Ended() || f.move != nil: // which sees to it
	case f.survives():
		f.line.Abandon()
		f.newMove(true).pick()
	default:
		f.line.End(tunnel.NodeSilent)
	}
}

// moveSome begins moves that have been ordered, as many as may be under way.
func (d *driver) moveSome() {
	for len(d.toMove) > 0 && d.queued < mostQueuedMoves {
		f := d.toMove[0]
		d.toMove = d.toMove[1:]
		m, err := f.order("")
		if err != nil {
			f.ordered.Store(false)
			continue
		}
		m.queued = true
		d.queued++
		m.start()
	}
}
