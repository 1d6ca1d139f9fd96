package gateway

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/tunnel"
)

// This file is the half of a move that comes behind the old node, whether it was left or has crashed, and the ends of moves.

// resume lets the client go on.
func (m *move) resume() {
	m.f.line.Send(1, m.f.Continue())
	m.f.line.Hold(false)
}

// closed goes on when the old node has said that it closes, which comes behind all else. Some do not end their side of the connection.
func (m *move) closed() {
	if !m.f.Left() {
		m.cut()
		return
	}
	m.replaceSoon()
}

// nodeEnded is told that the session's node has ended its connection, and reports whether the session goes on.
func (m *move) nodeEnded() bool {
	f := m.f
	switch {
	case m.step == moveFinishes: // it was the new one
		m.finish()
		return f.NodeEnded()
	case m.step == moveReplaces && !m.crash: // it has said that it closes
		return true
	case m.step == moveLeaves && f.Left():
		m.replaceSoon()
		return true
	case m.step == moveLeaves || !f.survives():
		m.end(moveLeft)
		return false
	}
	m.rescue()
	switch m.step {
	case moveConnects, moveSwitches:
	case moveSettles, moveMarks, moveBars:
		m.replaceSoon()
	default: // it was the new one
		if len(m.tried) > mostMoveNodes {
			m.end(moveLost)
			return false
		}
		m.pick()
	}
	return f.move != nil
}

// rescue makes it one of a session that has no node any more.
func (m *move) rescue() {
	if m.crash, m.named = true, false; m.began.IsZero() {
		m.began = time.Now()
	}
	m.ends = m.f.d.loop.Now() + crashPatience
}

// replaceSoon puts the new node in the old one's place, when Redis has said what it takes.
func (m *move) replaceSoon() {
	m.step = moveReplaces
	m.within(joinTime)
	if m.crash {
		m.ask()
	}
	m.f.d.loop.Yield(&m.Timer)
}

// replace puts the new node in the old one's place, and waits until the session is kept.
func (m *move) replace() {
	f, n := m.f, m.n
	early := append([]byte(nil), n.in.b...)
	n.in.free()
	m.n, n.errand = nil, nil
	f.moved(m.to)
	m.placed = false
	f.line.Replace(n.hand(), m.to.Key(), &m.to.Talked)
	m.step = moveRestores
	f.line.Send(0, f.Session.Pass(packet.Node, early))
	patience := time.Duration(0)
	if m.crash {
		patience = crashKept
	}
	err, pids, kept := m.err, pidsOf(&f.Session), m.kept
	f.d.work(func(ctx context.Context) {
		if err == nil {
			err = f.recovery().Await(ctx, pids, kept, patience)
		}
	}, func() {
		if f.move != m || m.step != moveRestores {
			return
		}
		if err != nil {
			m.offset = packet.Offset{}
		}
		m.step = moveJoins
		m.within(joinTime)
		f.line.Send(1, f.Rejoin(m.offset, newMask()))
	})
}

// joined lets the client go on when the new node has answered.
func (m *move) joined() {
	f := m.f
	done, refused, renewed := f.Joined()
	switch {
	case refused:
		m.cut()
		return
	case !done || !f.AtBoundary(packet.Node):
		return
	}
	f.line.Send(0, f.Heartbeat())
	m.resume()
	if m.outcome = moveDone; renewed > 0 {
		m.outcome = moveRenewed
	}
	m.step = moveFinishes
	f.route.metrics.stalls.Observe(time.Since(m.began).Seconds())
	m.tell()
	m.within(againTime)
}

// giveUp ends a move for which there is no node: the session stays, if it has one.
func (m *move) giveUp(outcome string) {
	if m.crash {
		m.cut()
		return
	}
	m.stay(outcome)
}

// stay ends a move: the session goes on where it is.
func (m *move) stay(outcome string) {
	m.resume()
	m.f.Finish()
	m.end(outcome)
}

// cut ends the session: its client comes back by itself.
func (m *move) cut() {
	l := m.f.line
	m.end(moveLost)
	l.End(tunnel.NodeClosed)
}

// Expire implements loop.Expirer.
func (m *move) Expire() {
	switch m.step {
	case moveConnects:
		if m.to == nil {
			m.pick()
			return
		}
		m.refused()
	case moveSwitches:
		m.refused()
	case moveSettles:
		m.stay(moveBusy)
	case moveMarks, moveBars:
		m.stay(moveSilent)
	case moveLeaves: // a node that does not close is left all the same
		m.closed()
	case moveFinishes:
		m.finish()
	default:
		m.cut()
	}
}

// finish ends a move that is done: all has come that was sent again.
func (m *move) finish() {
	m.f.Finish()
	m.end(m.outcome)
}

// Fail implements loop.Failer and errand.
func (m *move) Fail() { m.cut() }

// within sets the timer.
func (m *move) within(d time.Duration) { m.f.d.loop.SetTimer(&m.Timer, m.f.d.loop.Now()+d) }

// tell counts what became of the move, once.
func (m *move) tell() {
	f := m.f
	f.d.g.tellMove(f.route, m.crash, m.outcome, f.home.node.Name, m.err)
	switch {
	case m.outcome == moveDone:
		f.failed.Store(0)
	case !m.crash:
		f.failed.Add(1)
	}
	f.ordered.Store(false)
	if m.under {
		m.under = false
		f.d.moves--
	}
	if m.waits {
		m.waits = false
		f.d.waiting--
	}
	if m.told != nil {
		m.told(m.outcome)
		m.told = nil
	}
	if m.queued {
		m.queued = false
		f.d.queued--
		f.d.moveSome()
	}
}

// end ends the move.
func (m *move) end(outcome string) {
	m.f.d.loop.StopTimer(&m.Timer)
	m.dropNew()
	m.f.move = nil
	if m.outcome == "" {
		m.outcome = outcome
		m.tell()
	}
}

// moved counts the session on another node.
func (f *follower) moved(to *cluster.Node) {
	from := f.home.node
	if f.sid != "" {
		f.route.trail.move(f.sid, from.Name, to.Name)
	}
	if !f.home.left {
		listed := ""
		if f.listed {
			listed = f.sid
		}
		f.route.Cluster.Sessions.Moved(listed, from, to)
	}
	from.Release()
	to.Acquire()
	f.home.node = to
	f.d.g.toNodes.Add(-1)
}

// pidsOf are what a session is kept by.
func pidsOf(s *packet.Session) (all []string) {
	for _, n := range s.Namespaces() {
		if n.PID != "" {
			all = append(all, n.PID)
		}
	}
	return all
}

// work has a goroutine do what may block, and goes on with then on the loop.
func (d *driver) work(f func(context.Context), then func()) {
	if d.closed {
		return
	}
	d.g.serving.Add(1)
	go func() {
		f(context.Background())
		d.loop.Send(task(func() {
			defer d.g.serving.Done()
			then()
		}))
	}()
}

func newMask() (mask [4]byte) {
	_, _ = rand.Read(mask[:])
	return mask
}
