package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
	"github.com/sidway/sidway/gateway/request"
)

// This file has a session that polls go on at another node when its own has crashed. The replica at which its poll is cut or refused opens a session
// elsewhere, which is told which one it is to restore, and from which event on: that all replicas note what polls bring (see heard.go). POSTs wait until
// then.

// fellTime is for how long after a node has cut or refused something it is taken to have been started anew where it does not know a session.
const fellTime = 30 * time.Second

// outlives reports whether the request's session can go on without its node.
func (x *exchange) outlives() bool {
	return x.route.Recovery != nil && x.Query.Version == 4 && x.Query.JSONP == "" && x.Query.SID != "" && !x.searches &&
		!x.route.ended.Has(x.Query.SID) && !x.route.Cluster.Sessions.HasTunnel(x.Query.SID)
}

// fell reports whether the request's node has lately cut or refused something.
func (x *exchange) fell() bool {
	return time.Now().UnixNano()-x.memory().forgetting.fell.Load() < int64(fellTime)
}

// outlive deals with a request whose session has just lost its node, and reports whether the session goes on: a poll brings it to another node, a POST that no
// node has read waits for that, and what became of one that was cut nobody knows.
func (c *clientConn) outlive(unread bool) bool {
	x := c.x
	if !x.outlives() {
		return false
	}
	switch {
	case x.Kind == request.Poll:
		return c.rescue()
	case x.Kind != request.Post || !x.Upload.AtOnce():
		return false
	case !unread:
		c.dropNode()
		c.posted()
		return true
	}
	now := time.Now()
	if x.heldAt.IsZero() {
		x.heldAt = now
	}
	if now.Sub(x.heldAt) > crashPatience {
		return false
	}
	c.dropNode()
	x.leave()
	x.refreshed, x.redialed = false, false
	c.await(x.arrived, func() { c.hold(retryPause, c.resolve) }, nil)
	return true
}

// posted answers a POST that goes to no node, or of which it is not known whether it has.
func (c *clientConn) posted() { c.answer(engineio.Posted()) }

// answer gives the client of a session an answer as its node would.
func (c *clientConn) answer(a engineio.Answer) {
	x := c.x
	x.leave()
	x.status = a.Status
	c.last = c.closes() || x.Req.Minor == 0
	c.d.out = a.Append(c.d.out[:0], x.CORS(), c.last)
	if !c.write(c.d.out) {
		c.depart()
		return
	}
	c.written()
}

// rescue brings the session of a poll to another node, and reports whether that is tried.
func (c *clientConn) rescue() bool {
	x, d := c.x, c.d
	if x.moving != nil {
		d.endPolledMove(x, moveLeft)
	}
	if x.heldAt.IsZero() {
		x.heldAt = time.Now()
	}
	if d.polled >= mostMoves {
		if time.Since(x.heldAt) > crashPatience {
			return false
		}
		c.hold(moveAgain, func() {
			if !c.rescue() {
				c.gone(request.ErrCut)
			}
		})
		return true
	}
	c.dropNode()
	x.leave()
	m := &polledMove{x: x, crash: true, began: d.loop.Now(), held: x.heldAt}
	if version := x.introduces(); version > 0 {
		m.header, _ = c.header(version)
	}
	x.moving = m
	d.polled++
	c.await(func() { m.rescue(context.Background()) }, func() { c.rescued(m) }, func() { d.endPolledMove(x, m.outcome) })
	return true
}

// rescued answers the poll.
func (c *clientConn) rescued(m *polledMove) {
	x := c.x
	c.d.endPolledMove(x, m.outcome)
	x.heldAt = time.Time{}
	switch m.outcome {
	case moveDone, moveRenewed:
		x.route.trail.move(x.Query.SID, x.Node.Name, m.to.Name)
		x.route.metrics.stalls.Observe(time.Since(m.held).Seconds())
		c.answer(engineio.Polled(x.Early))
	case moveElsewhere:
		x.redialed, x.refreshed = false, false
		x.recount()
		c.inSession()
	default:
		x.g.log.Debug("a session that polls ends with its node", "cluster", x.route.Cluster.Name, "node", x.Node.Name, "error", m.err)
		c.gone(request.ErrCut)
	}
}

// gone ends a session whose node is gone.
func (c *clientConn) gone(err error) {
	x := c.x
	x.over(x.Query.SID, "its node could not be reached")
	x.tellLost(err)
	c.fail(engineio.SessionGone)
}

// errUnkept says that nobody knows what it takes to restore a session.
var errUnkept = errors.New("its node does not restore it, or its client was connecting")

// rescue is the part that a goroutine does. What the client gets is in x.Early.
func (m *polledMove) rescue(ctx context.Context) {
	x := m.x
	sid, store := strings.Clone(x.Query.SID), x.route.Recovery
	ctx, cancel := context.WithTimeout(ctx, crashPatience)
	defer cancel()
	m.outcome = moveLost
	owed, err := m.claimCrashed(ctx, sid)
	if err != nil {
		m.err = err
		return
	}
	defer store.Release(ctx, sid)
	now, err := x.route.refresh(ctx, sid)
	switch {
	case err != nil:
		m.err = err
		return
	case now.Node != x.Binding.Node || now.Alias != x.Binding.Alias:
		x.Binding, m.outcome = now, moveElsewhere
		return
	}
	notes, err1 := store.Notes(ctx, sid)
	heard, err2 := store.Heard(ctx, sid)
	if m.err = cmp.Or(err1, err2); m.err != nil {
		return
	}
	tried := []*cluster.Node{x.Node}
	for len(tried) <= mostMoveNodes {
		m.session = packet.NewPolled(notes)
		m.session.Recall(heard.Offsets)
		if m.session.Settled() != nil || !m.session.Left() {
			m.err = errUnkept
			return
		}
		if m.to, err = m.await(ctx, &tried); err != nil {
			m.err = err
			return
		}
		if out, ok := m.goOn(ctx, sid, notes, heard.Whole && !x.route.isDeaf()); ok {
			_ = store.Outdate(context.WithoutCancel(ctx), sid, slices.DeleteFunc(owed, func(ack string) bool { return !packet.IsClients(ack) }))
			x.hearNode(out)
			x.Early = append(x.Early[:0], out...)
			return
		}
		tried = append(tried, m.to)
	}
}

// claimCrashed waits until no POST or upgrade is on its way to the node, which ends soon.
func (m *polledMove) claimCrashed(ctx context.Context, sid string) (owed []string, err error) {
	for {
		var outcome string
		switch owed, outcome = m.claim(ctx, m.x.route.Recovery, sid); {
		case outcome == "":
			return owed, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("claim: %s: %w", outcome, context.Cause(ctx))
		case outcome == moveBlind:
			time.Sleep(moveAgain)
		}
	}
}

// await reserves a place on another node, as soon as there is one.
func (m *polledMove) await(ctx context.Context, tried *[]*cluster.Node) (*cluster.Node, error) {
	for {
		to, err := m.x.route.Cluster.Pick(cluster.Want{Tried: *tried})
		if err == nil {
			return to, nil
		}
		pause := moveAgain
		if paced, isPaced := errors.AsType[cluster.PacedError](err); isPaced {
			pause = max(pause, paced.Wait)
		} else {
			*tried = (*tried)[:0] // one may be back
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// goOn has the new node restore the session, and returns what the client is to get.
func (m *polledMove) goOn(ctx context.Context, sid string, notes map[string]string, known bool) (out []byte, ok bool) {
	x := m.x
	defer x.route.Cluster.Leave(m.to) // who counts the session has a place for it by then
	next := &asker{node: m.to, header: m.header}
	defer next.close()
	open, err := m.open(ctx, next)
	if err != nil {
		m.err = fmt.Errorf("the new node: handshake: %w", err)
		return nil, false
	}
	m.offset = packet.Offset{}
	if known {
		began, _ := strconv.ParseInt(notes[recovery.Began], 10, 64)
		m.offset, _ = resent(ctx, x.route.Recovery, m.session.Received(), began)
	}
	m.outcome, out = m.rejoin(ctx, next, open, nil)
	return out, m.outcome != moveLost
}
