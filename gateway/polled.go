package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
	"github.com/sidway/sidway/gateway/request"
)

// This file moves a session that polls off a node that is drained. Its client has one poll at a time, and waits for the answer: the replica that
// has it can keep it, and then nobody else gets anything of the node. In order: an event is sent through the nodes' stream, which comes in answer to
// that poll, with which events can be sent again from there on; no POST or upgrade may be on its way through any replica, nor an acknowledgement
// pending, which they tell each other by Redis; a session is opened on the new node by polling; a second event tells that the old one has said
// all that stood in front of the first; it is left; the new one is told which session it is to restore; the binding says from now on where
// the session lives, and what it is called there; and the poll is answered with what has come from both.

const (
	// knownTime is how long a drain must have been known here: by then all replicas know of it, and tell of POSTs, and what was asked for while some
	// did not has been answered.
	knownTime = 2 * time.Second
	// acksTime is how long for it to be told which acknowledgements are asked for: by then all replicas tell which are given.
	acksTime = time.Second
	// claimTime is how long a POST may take until the session is left where it is, and claimPause how often is looked.
	claimTime  = 500 * time.Millisecond
	claimPause = 10 * time.Millisecond
	// acksPatience is how long acknowledgements are waited for that the old node is to give, while the client can ask for no more.
	acksPatience = 500 * time.Millisecond
	// polledTime is how long a move may take: POSTs wait for it, as long as recovery.wayTime.
	polledTime = 8 * time.Second
	// saysTime is how long the old node may take to say all: to give up its poll would end the session.
	saysTime = 5 * time.Second
	// mostPolls is how many answers of a node are looked at for something.
	mostPolls = 64
	// pollTriesPause is how long after a move that failed the next one is tried.
	pollTriesPause = 300 * time.Millisecond
	// mostPollTries bounds for how many sessions is known that their moves have failed.
	mostPollTries = 10_000
)

// pollTries are a session's moves that have failed.
type pollTries struct {
	count int
	next  time.Duration // when another one may be tried
}

// polledMove is the move of a session that polls.
type polledMove struct {
	x        *exchange
	began    time.Duration // on the loop's clock
	crash    bool          // its node has crashed: see rescue
	since    time.Time     // other replicas tell of acknowledgements
	says     string
	prepared chan struct{} // closed when what follows is set
	session  *packet.Session
	kept     recovery.Kept
	offset   packet.Offset
	failed   string // why it has

	header  []byte // of the PROXY protocol
	held    time.Time
	answer  []byte   // of the poll
	asked   []string // acknowledgements, by what the old node has said since
	given   []string
	named   bool          // no other node than to will do
	to      *cluster.Node // nil: it has not been picked
	told    func(PolledMove)
	outcome string
	err     error // why it was lost, or failed
	why     error // why prepare failed
}

// polls reports whether the request is a poll of a session that could be moved, as far as its cluster and its client are concerned.
func (x *exchange) polls() bool {
	return x.Kind == request.Poll && x.Query.Version == 4 && x.Query.JSONP == "" && x.route.Recovery != nil && !x.searches && x.route.Cluster.Sessions.Watches(x.Query.SID, x.Node)
}

// canMove reports whether the client's poll waits at its node, and its session can be moved.
func (c *clientConn) canMove() bool {
	x := c.x
	return x.polls() && !x.SentAt.IsZero() && !x.released && !x.route.Cluster.Sessions.HasTunnel(x.Query.SID)
}

// movable reports whether a session of a node that sessions are moved off can be moved now; stuck, whether that was tried in vain.
func (c *clientConn) movable() (now, stuck bool) {
	x, d := c.x, c.d
	if !c.canMove() || x.route.moves.paused() {
		return false, true
	}
	tries := d.pollTries[x.Query.SID]
	return x.Node.UnloadsFor() > knownTime && d.polled < mostQueuedMoves && d.loop.Now() >= tries.next, tries.count >= mostMoveTries
}

// beginPolledMove has an event come in answer to the poll.
func (c *clientConn) beginPolledMove() *polledMove {
	x, d := c.x, c.d
	watched := x.route.Cluster.Sessions.WatchedFor(x.Query.SID, x.Node)
	m := &polledMove{x: x, began: d.loop.Now(), since: time.Now().Add(-watched), says: rand.Text(), prepared: make(chan struct{})}
	if version := x.introduces(); version > 0 {
		m.header, _ = c.header(version)
	}
	x.moving = m
	d.polled++
	sid, store := strings.Clone(x.Query.SID), x.route.Recovery
	d.work(func(ctx context.Context) {
		defer close(m.prepared)
		m.prepare(ctx, store, sid)
	}, func() {
		if m.failed != "" && x.moving == m {
			m.err = m.why
			d.endPolledMove(x, m.failed)
		}
	})
	return m
}

// prepare finds out what is to be known of the session, and sends the event.
func (m *polledMove) prepare(ctx context.Context, store *recovery.Store, sid string) {
	notes, err := store.Notes(ctx, sid)
	m.failed = moveBlind
	if err != nil {
		m.why = err
		return
	}
	m.session = packet.NewPolled(notes)
	if err := m.session.Settled(); err != nil {
		if m.failed = moveBusy; errors.Is(err, packet.ErrNoRecovery) {
			m.failed = moveUnkept
		}
		return
	}
	if m.kept, m.why = store.Kept(ctx, pidsOf(m.session)); m.why != nil {
		return
	}
	m.session.Mark(m.says)
	var entry string
	if entry, m.why = m.mark(ctx, store, m.says); m.why == nil {
		m.offset, _ = packet.ParseOffset(entry)
		m.failed = ""
	}
}

// mark sends an event to the client through the stream, and returns its entry's id.
func (m *polledMove) mark(ctx context.Context, store *recovery.Store, says string) (entry string, err error) {
	first := m.session.Namespaces()[0]
	return store.Mark(ctx, first.Name, first.SID, packet.MarkEvent, says)
}

// leavePolledMove lets go of a move whose event has not come with the answer to its poll: something else has, so that it was no failure where it
// was soon.
func (d *driver) leavePolledMove(x *exchange) {
	switch m := x.moving; {
	case m == nil:
	case m.overdue(d.loop.Now()):
		d.endPolledMove(x, moveSilent)
	default:
		d.letGo(x, moveBusy)
	}
}

// letGo ends what is known of a move.
func (d *driver) letGo(x *exchange, outcome string) {
	m := x.moving
	x.moving = nil
	d.polled--
	if m.told != nil {
		m.told(m.became(outcome))
	}
}

func (m *polledMove) overdue(now time.Duration) bool { return now-m.began > barrierTime }

// endPolledMove counts what became of a move.
func (d *driver) endPolledMove(x *exchange, outcome string) {
	if x.moving == nil {
		return
	}
	m := x.moving
	d.letGo(x, outcome)
	if outcome == moveElsewhere {
		return
	}
	x.g.tellMove(x.route, m.crash, outcome, x.Node.Name, m.err)
	if outcome == moveDone || outcome == moveRenewed || outcome == moveLost {
		delete(d.pollTries, x.Query.SID)
		return
	}
	if len(d.pollTries) >= mostPollTries {
		clear(d.pollTries)
	}
	t := d.pollTries[x.Query.SID]
	t.count++
	t.next = d.loop.Now() + pollTriesPause
	d.pollTries[strings.Clone(x.Query.SID)] = t
}

// passPolled deals with the answer to a poll of a session whose node is drained. It reports whether it has taken it, because the session is moved, and else returns
// what of it goes to the client.
func (c *clientConn) passPolled(answer []byte) (rest []byte, taken bool) {
	x := c.x
	if x.moving == nil && !x.polls() || !x.Body.Done() || x.Resp.Status != 200 || x.Resp.Has(http1.ContentEncoding) || x.route.ended.Has(x.Query.SID) {
		return answer, false
	}
	if packet.HasMark(answer) {
		x.Node.Follows.Store(true)
	}
	if m := x.moving; m != nil && x.Node.Follows.Load() { // else the event may never come
		m.answer, m.held = bytes.Clone(answer), time.Now()
		c.await(func() { m.run(context.Background()) }, func() { c.endMove(m) }, func() { c.d.endPolledMove(x, m.outcome) })
		return nil, true
	}
	c.d.leavePolledMove(x)
	if packet.HasMark(answer) { // of a move that was given up
		x.replaceBody(packet.WithoutMarks(answer))
		return x.Early, false
	}
	return answer, false
}

// replaceBody has the client get a payload in place of what the node has answered.
func (x *exchange) replaceBody(payload []byte) {
	if len(payload) == 0 {
		payload = []byte(engineio.PacketNoop)
	}
	x.Early = append(x.Early[:0], payload...)
	x.Resp.ContentLength = -1
}

// endMove answers the poll that the move has held.
func (c *clientConn) endMove(m *polledMove) {
	x, sid := c.x, c.x.Query.SID
	c.d.endPolledMove(x, m.outcome)
	switch m.outcome {
	case moveLost:
		x.g.log.Warn("a session that polls was lost on its way to another node", "cluster", x.route.Cluster.Name, "from", x.Node.Name, "to", m.became(m.outcome).Node, "error", m.err)
		x.over(sid, "it was lost when it was moved")
		c.await(func() { _ = x.route.Store.Unbind(context.Background(), sid) }, func() { c.deliver(x.Early) }, nil)
		return
	case moveDone, moveRenewed:
		x.route.trail.move(sid, x.Node.Name, m.to.Name)
		x.route.metrics.stalls.Observe(time.Since(m.held).Seconds())
	}
	c.deliver(x.Early)
}
