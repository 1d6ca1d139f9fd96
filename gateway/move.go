package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
)

// This file moves a session on a WebSocket to another node, and its client does not notice: the client's connection stays, and the new node
// restores what the old one has kept (Socket.IO, "Connection state recovery"). In order: a WebSocket is opened to the new node; when nothing
// is under way that only the old one can end, the client is held, and a ping tells when the old one has read and said all; it is left; when it
// has kept the session, the new one is told which, and from which event on; what the client has got of these does not pass; the client goes on. What
// comes behind the old node is in rejoin.go.

const (
	// movePatience is what MovePatience is where it is not set.
	movePatience = 2 * time.Second
	// crashPatience is how long a client whose node has crashed is kept until another node takes its session.
	crashPatience = 10 * time.Second
	// barrierTime is how long a node may take to answer the ping, and to close.
	barrierTime = time.Second
	// joinTime is how long a node may take to answer the CONNECTs.
	joinTime = 10 * time.Second
	// againTime is for how long events are looked at that a node may send again.
	againTime = 2 * time.Second
	// crashKept is how long it may take until a session is kept whose node has crashed: its socket may have been cut by something else.
	crashKept = 200 * time.Millisecond
	// mostMoves is how many are under way at once on a loop.
	mostMoves = 64
	// mostWaiting is how many may wait for that on a loop: beyond them clients come back sooner by themselves.
	mostWaiting = 1000
	// moveAgain is the pause before another node is looked for.
	moveAgain = 50 * time.Millisecond
	// mostMoveNodes is how many nodes are tried for a session that has none.
	mostMoveNodes = 5
)

// What can become of a move.
const (
	moveDone    = "moved"       // the client has noticed nothing
	moveRenewed = "renewed"     // the new node did not know the session: its client is connected anew, on the same WebSocket
	moveBusy    = "busy"        // something was under way all the time: the session stays
	moveRefused = "refused"     // no other node took it: the session stays
	moveSilent  = "no_barrier"  // the old node did not answer the ping: the session stays
	moveBlind   = "no_redis"    // Redis did not say what it takes: the session stays
	moveUnkept  = "no_recovery" // its node does not restore sessions: the session stays
	moveLost    = "lost"        // the session has ended
	moveLeft    = "left"        // its client, or its node, has ended it meanwhile

	moveElsewhere = "elsewhere" // another replica has moved it: this one does not count it
)

// moveStep is what a move waits for.
type moveStep uint8

const (
	moveConnects moveStep = iota // a connection to the new node
	moveSwitches                 // its 101
	moveSettles                  // until nothing is under way
	moveMarks                    // an event through the stream
	moveBars                     // the old node's pong
	moveLeaves                   // the old node's end
	moveReplaces                 // the loop
	moveRestores                 // until the session is kept
	moveJoins                    // the new node's answers
	moveFinishes                 // what it sends again
)

// move is a session's move, or the rescue of one whose node has crashed.
type move struct {
	loop.Timer
	f       *follower
	to      *cluster.Node
	placed  bool // a place on to is reserved
	n       *nodeConn
	head    http1.Response
	step    moveStep
	crash   bool
	named   bool          // no other node than to will do
	under   bool          // it counts among those under way
	waits   bool          // and among those that wait for that, or for a node
	queued  bool          // it counts as one of those that come from a queue
	ends    time.Duration // when no more is tried that leaves the session as it is
	began   time.Time     // the client was held
	tried   []*cluster.Node
	known   bool // what Redis says is
	offset  packet.Offset
	kept    recovery.Kept
	err     error
	outcome string
	told    func(outcome string)
}

// newMove begins a move; pick or connect is called next.
func (f *follower) newMove(crash bool) *move {
	m := &move{f: f, crash: crash, tried: []*cluster.Node{f.home.node}}
	m.Init(m)
	f.move = m
	patience := cmp.Or(f.route.MovePatience, movePatience)
	if crash {
		patience, m.began = crashPatience, time.Now()
	}
	m.ends = f.d.loop.Now() + patience
	return m
}

// pick looks for a node, unless too many others are on their way to one.
func (m *move) pick() {
	d := m.f.d
	m.step, m.to = moveConnects, nil
	if !m.under && d.moves >= mostMoves {
		m.again(moveAgain * time.Duration(1+d.waiting/mostMoves))
		return
	}
	to, err := m.f.route.Cluster.Pick(cluster.Want{Tried: m.tried})
	paced, isPaced := errors.AsType[cluster.PacedError](err)
	switch {
	case err == nil:
		m.placed = true
		m.connect(to)
	case isPaced:
		m.again(max(moveAgain, paced.Wait))
	case m.crash:
		m.tried = m.tried[:0] // one may be back
		m.again(moveAgain)
	default:
		m.giveUp(moveRefused)
	}
}

// again looks for a node after a pause, if there is time.
func (m *move) again(pause time.Duration) {
	if m.f.d.loop.Now()+pause > m.ends || m.f.d.waiting > mostWaiting {
		m.giveUp(moveRefused)
		return
	}
	if !m.waits {
		m.waits = true
		m.f.d.waiting++
	}
	m.within(pause)
}

// connect begins to open a WebSocket to a node.
func (m *move) connect(to *cluster.Node) {
	d := m.f.d
	if m.waits {
		m.waits = false
		d.waiting--
	}
	if !m.under {
		m.under = true
		d.moves++
	}
	m.to, m.step = to, moveConnects
	m.tried = append(m.tried, to)
	m.within(dialTime)
	d.connect(to, true, func(n *nodeConn, err error) {
		switch {
		case m.f.move == m && m.to == to && m.step == moveConnects:
			m.connected(n, err)
		case err == nil:
			n.close()
		}
	})
}

// connected asks for the WebSocket.
func (m *move) connected(n *nodeConn, err error) {
	if err != nil {
		m.refused()
		return
	}
	m.n, n.errand = n, m
	if n.node.TLS != nil {
		n.secure(nil)
	}
	m.step = moveSwitches
	if _, err := n.send(m.f.request); err != nil {
		m.refused()
	}
}

// refused deals with a new node that could not be reached or does not want the session.
func (m *move) refused() {
	m.dropNew()
	switch m.step {
	case moveMarks, moveBars:
		m.resume()
	case moveLeaves: // the old one has been told to close
		m.cut()
		return
	case moveReplaces:
		m.rescue()
	}
	if m.named || len(m.tried) > mostMoveNodes {
		m.giveUp(moveRefused)
		return
	}
	m.pick()
}

// dropNew closes the connection to the new node and gives the place there back.
func (m *move) dropNew() {
	if m.n != nil {
		m.n.errand = nil
		m.n.close()
		m.n = nil
	}
	if m.placed {
		m.placed = false
		m.f.route.Cluster.Leave(m.to)
	}
}

// event implements errand.
func (m *move) event() { m.n.receive(m.hear, m.refused) }

// hear looks for the new node's 101. What comes behind it is kept.
func (m *move) hear() {
	n := m.n
	if m.step != moveSwitches {
		if len(n.in.b) > maxEarly {
			m.refused()
		}
		return
	}
	size, err := n.scan.Response(n.in.b)
	if size == 0 && err == nil {
		return
	}
	if err != nil || m.head.Parse(n.in.b[:size], "GET") != nil || m.head.CheckAccept(m.f.nonce()) != nil {
		m.refused()
		return
	}
	n.in.drop(size)
	if m.crash {
		m.replaceSoon()
		return
	}
	m.settle()
}

// settle waits until nothing is under way that only the old node can end.
func (m *move) settle() {
	m.step = moveSettles
	m.within(max(0, m.ends-m.f.d.loop.Now()))
	m.f.d.loop.Yield(&m.Timer)
}

// maxEarly bounds what a new node sends before it is asked for anything.
const maxEarly = 64 << 10

// Resume implements loop.Resumer: something has passed.
func (m *move) Resume() {
	f := m.f
	if f.move != m || f.line.Ended() {
		return
	}
	switch {
	case m.step == moveSettles && f.Settled() == nil && f.line.Flushed():
		m.mark()
	case m.step == moveMarks && m.known && m.err != nil:
		m.stay(moveBlind)
	case m.step == moveMarks && m.known && f.Marked():
		var nonce [8]byte
		_, _ = rand.Read(nonce[:])
		m.step = moveBars
		f.line.Send(1, f.Barrier(nonce, newMask()))
	case m.step == moveBars && f.Passed():
		m.barred()
	case m.step == moveLeaves && f.Closed(packet.Node):
		m.closed()
	case m.step == moveReplaces && m.known:
		m.replace()
	case m.step == moveJoins:
		m.joined()
	}
}

// mark holds the client and sends an event through the stream: when it comes, all has come that is in front of it, and events can be sent
// again from there on. A ping then tells that the old node has read all.
func (m *move) mark() {
	f := m.f
	says := rand.Text()
	m.began = time.Now()
	f.Stop()
	f.line.Hold(true)
	f.Mark(says)
	m.step, m.known = moveMarks, false
	m.within(barrierTime)
	var entry string
	first := f.Namespaces()[0]
	pids := pidsOf(&f.Session)
	m.look(func(ctx context.Context) (err error) {
		if m.kept, err = f.recovery().Kept(ctx, pids); err == nil {
			entry, err = f.recovery().Mark(ctx, first.Name, first.SID, packet.MarkEvent, says)
		}
		return err
	}, func() { m.offset, _ = packet.ParseOffset(entry) })
}

// look has Redis asked, and goes on.
func (m *move) look(ask func(context.Context) error, then func()) {
	var err error
	m.known = false
	m.f.d.work(func(ctx context.Context) { err = ask(ctx) }, func() {
		if m.f.move != m {
			return
		}
		m.known, m.err = true, err
		then()
		m.f.d.loop.Yield(&m.Timer)
	})
}

// ask asks from where on events are to be sent again to a client whose node has crashed.
func (m *move) ask() {
	f, got := m.f, m.f.Received()
	m.kept = recovery.Kept{}
	var from packet.Offset
	m.look(func(ctx context.Context) (err error) {
		from, err = resent(ctx, f.recovery(), got, f.began)
		return err
	}, func() { m.offset = from })
}

// barred leaves the old node, unless something is under way again.
func (m *move) barred() {
	f := m.f
	if f.Settled() != nil {
		m.resume()
		m.settle()
		return
	}
	m.step = moveLeaves
	m.within(barrierTime)
	f.line.Send(1, f.Leave(newMask()))
}
