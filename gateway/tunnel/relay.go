package tunnel

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// readsAtOnce is how many reads a tunnel may make before the others come first.
const readsAtOnce = 8

// tunnel is a tunnel on a loop: two descriptors, what waits to be written, and a few facts.
type tunnel struct {
	loop.Timer
	loop       *loop.Loop
	engine     *Engine
	place      place
	id         string
	began      int64         // in ms since 1970
	tokens     [2]loop.Token // of the sockets of the client and of the node
	directions [2]direction  // from the client to the node, and back

	meter  *meter   // of what is read from the client; nil: nothing bounds it
	follow Follower // nil: nobody follows what passes

	order    atomic.Uint32 // what another goroutine wants: 0 nothing, orderCut, or an end to the client for that Cause
	told     bool          // the roster has chosen it to end, whose mu guards it
	held     bool          // the client is not read
	nodeless bool          // the node's connection is gone, and another one is to come
	gone     bool          // the descriptors are closed
	pings    bool          // the owner is told of pongs
	left     bool          // the owner knows that the client has left

	cause  Cause
	why    Cause  // of the end that is postponed
	closes bool   // the node's last words were a Close frame
	closer Cause  // whose Close frame was the first, which were that side's last words; 0: nobody's
	code   uint16 // of the node's

	preface             int64
	idle, block, linger time.Duration
	heard               time.Duration // when the client was last heard, or its grace allows to think so
	ends                time.Duration // when it has to end; 0: whenever it does
	postponed           time.Duration // when an end in order is due that waits for the client to be done with the preface; 0: there is none
	lingers             time.Duration // when what is left is cut; 0 before one way has ended

	said   *atomic.Uint64 // counts what the node said; nil: nobody asks
	pinged time.Duration  // when the node's ping passed that the client has not answered; 0: there is none
	owner  Owner          // nil: nobody asks
}

// direction is one of the two: from its socket to the other one.
type direction struct {
	waiting  []byte  // read and not yet taken by the other side
	borrowed *[]byte // the buffer that holds it; nil for early bytes
	passed   int64
	blocked  time.Duration // since when the other side has taken none of it
	fd       int32
	readable bool // there may be bytes to read
	hup      bool // a FIN or an error is behind them: read to the end
	eof      bool // nothing more is read
	over     bool
}

// orderCut is beyond all Causes.
const orderCut = 1 << 8

func newTunnel(e *Engine, on *loop.Loop, o Options) *tunnel {
	t := &tunnel{
		loop: on, id: o.ID, began: on.Clock().UnixMilli(), engine: e,
		idle: o.Idle, block: o.Block, linger: o.Linger, said: o.Heard, preface: o.Preface,
		owner: o.Owner, pings: o.Pings && o.Owner != nil,
	}
	t.clientSaid(o.ToNode)
	t.nodeSaid(o.ToClient)
	t.meter = newMeter(o.Rate, o.Slowed)
	t.follow = o.Follow
	t.Init(t)
	if t.linger <= 0 {
		t.linger = DefaultLinger
	}
	t.directions[0].waiting, t.directions[1].waiting = o.ToNode, o.ToClient
	t.heard = on.Since() + o.Grace
	if o.Life > 0 {
		t.ends = on.Since() + o.Life
	}
	return t
}

// fd is the descriptor of a side.
func (t *tunnel) fd(side int) int { return int(t.directions[side].fd) }

// join puts a socket at a side.
func (t *tunnel) join(side int, s Socket) {
	d := &t.directions[side]
	t.tokens[side], d.fd, d.readable, d.hup = s.Token, int32(s.FD), s.Readable || s.Hup, s.Hup
}

// Fail implements loop.Failer.
func (t *tunnel) Fail() {
	if !t.gone {
		t.because(Failed)
		t.close()
	}
}

// stop ends the direction to the client, as if the node had closed. It may be called from any goroutine.
func (t *tunnel) stop(why Cause) {
	t.order.CompareAndSwap(0, uint32(why))
	t.loop.Send(t)
}

// cut closes both sockets. It may be called from any goroutine.
func (t *tunnel) cut() {
	t.order.Store(orderCut)
	t.loop.Send(t)
}

// Receive implements loop.Receiver: there is an order.
func (t *tunnel) Receive() {
	if !t.gone {
		t.obey()
	}
}

// begin moves what is there already.
func (t *tunnel) begin() {
	for i := range t.directions {
		t.directions[i].blocked = t.loop.Now()
	}
	t.arm()
	if t.follow != nil {
		t.follow.Begin(Line{t})
		t.directions[0].waiting = t.follow.Pass(0, t.directions[0].waiting) // what came early for the client is known
	}
	t.obey()
}

// obey does what another goroutine has ordered, if anything, and goes on.
func (t *tunnel) obey() {
	switch order := t.order.Load(); order {
	case 0:
	case orderCut:
		t.because(Shutdown)
		t.close()
		return
	default:
		t.finish(Cause(order))
	}
	t.pump()
}

// Event implements loop.EventHandler.
func (t *tunnel) Event(side int, e loop.Events) {
	w := &t.directions[side]
	w.readable = w.readable || e&loop.Readable != 0
	w.hup = w.hup || e&loop.Hup != 0
	t.pump()
}

// pump moves what can be moved, both ways.
func (t *tunnel) pump() {
	more := t.move(0)
	if t.postponed > 0 && !t.gone {
		t.finish(t.why)
	}
	if !t.gone {
		more = t.move(1) || more
	}
	if more && !t.gone {
		t.loop.Yield(&t.Timer)
	}
}

// Resume implements loop.Resumer.
func (t *tunnel) Resume() {
	if !t.gone {
		t.pump()
	}
}

// move passes bytes on in one direction, until there are none, the other side takes none, or others are to be served: then it
// reports true.
func (t *tunnel) move(i int) bool {
	w := &t.directions[i]
	for range readsAtOnce {
		if w.over {
			return false
		}
		if len(w.waiting) > 0 && !t.flush(i) {
			return false
		}
		if w.eof {
			if !t.directions[1-i].over && (i == 1 || !t.nodeless) { // else the close that follows tells it
				_ = t.loop.CloseWrite(t.tokens[1-i], t.fd(1-i)) // fails only where that side has gone, which the other way finds out
			}
			t.end(i)
			return false
		}
		if !w.readable || i == 0 && (t.held || t.pauses()) || i == 1 && t.nodeless {
			return false
		}
		t.read(i)
		if t.gone {
			return false
		}
	}
	return true
}

// read reads once and writes what came.
func (t *tunnel) read(i int) {
	w, b := &t.directions[i], t.loop.Shared
	if i == 0 {
		b = t.meter.most(b)
	}
	n, err := t.loop.Read(t.tokens[i], t.fd(i), b)
	switch {
	case n > 0:
		// A read that leaves room has emptied the socket; more will be told by another event, but not what came with this one.
		w.readable = n == len(b) || w.hup
		if i == 0 {
			t.heard = max(t.heard, t.loop.Now())
			t.meter.took(n, t.loop.Now())
			t.clientSaid(b[:n])
			if t.pinged > 0 && isPong(b[:n]) {
				t.owner.Pong(t.loop.Now() - t.pinged)
				t.pinged = 0
			}
		} else {
			t.nodeSaid(b[:n])
			if t.pings && isPing(b[:n]) {
				t.pinged = t.loop.Now()
			}
			if t.said != nil {
				t.said.Add(1)
			}
		}
		if b = b[:n]; t.follow != nil {
			if b = t.follow.Pass(i, b); t.gone || len(b) == 0 {
				return
			}
		}
		t.write(i, b)
	case err == sock.Again:
		w.readable = false
	case i == 1 && t.follow != nil && t.follow.NodeEnded():
		t.loseNode()
	default:
		t.because(blame(err, t.closedBy(i)))
		w.eof = true
		if i == 1 {
			t.held = false
		} else {
			t.clientLeft()
		}
	}
}

// write passes b on. What the other side does not take is kept, and nothing more is read until it has.
func (t *tunnel) write(i int, b []byte) {
	w := &t.directions[i]
	if i == 0 && t.nodeless {
		return
	}
	n, err := t.loop.Write(t.tokens[1-i], t.fd(1-i), b)
	if n > 0 {
		w.passed += int64(n)
	}
	switch rest := b[max(n, 0):]; {
	case err != nil && err != sock.Again:
		t.refused(i, err)
	case len(rest) > largeBuffer: // a follower has held more back than is read at once
		w.waiting = bytes.Clone(rest)
		w.blocked = t.loop.Now()
		t.arm()
	case len(rest) > 0:
		w.borrowed = t.engine.buffers.lend(len(rest))
		w.waiting = (*w.borrowed)[:copy(*w.borrowed, rest)]
		w.blocked = t.loop.Now()
		t.arm()
	}
}

// flush writes what waits and reports whether nothing does any more.
func (t *tunnel) flush(i int) bool {
	w := &t.directions[i]
	n, err := t.loop.Write(t.tokens[1-i], t.fd(1-i), w.waiting)
	if n > 0 {
		w.passed += int64(n)
		w.waiting = w.waiting[n:]
		w.blocked = t.loop.Now()
	}
	if err != nil && err != sock.Again {
		t.refused(i, err)
		return false
	}
	if len(w.waiting) > 0 {
		return false
	}
	t.giveBack(w)
	if i == 0 { // the time that the node took is not the client's silence
		t.heard = max(t.heard, t.loop.Now())
		t.arm()
	}
	return true
}

func (t *tunnel) giveBack(w *direction) {
	w.waiting = nil
	if w.borrowed != nil {
		t.engine.buffers.giveBack(w.borrowed)
		w.borrowed = nil
	}
}

// refused ends a way whose other side is gone. The opposite way goes on: a peer that closed may have sent bytes before, which
// still wait to be read.
func (t *tunnel) refused(i int, err error) {
	if i == 0 && t.follow != nil && !t.directions[1].eof && !t.directions[1].over { // its end has not been read yet
		t.giveBack(&t.directions[0])
		t.held = true
		return
	}
	t.because(blame(err, t.closedBy(1-i)))
	if i == 1 {
		t.clientLeft()
	}
	t.end(i)
}

// closedBy is the cause where the end of a side's connection is met first. A client that answers the node's Close frame hangs up
// sooner than many nodes do, though it is the node that has closed (RFC 6455, 7.1.1).
func (t *tunnel) closedBy(side int) Cause {
	if side == 0 && !t.closes {
		return ClientClosed
	}
	return NodeClosed
}

// end ends one way; the tunnel ends with the second one, or when that has lingered.
func (t *tunnel) end(i int) {
	w := &t.directions[i]
	w.over = true
	t.giveBack(w)
	if t.directions[1-i].over {
		t.close()
		return
	}
	t.lingers = t.loop.Now() + t.linger
	t.arm()
}

// clientLeft tells that the client's side has ended.
func (t *tunnel) clientLeft() {
	if t.owner != nil && !t.left {
		t.left = true
		t.owner.ClientLeft(t.directions[0].passed)
	}
}

// because settles the tunnel's cause: what happened first.
func (t *tunnel) because(c Cause) {
	if t.cause == 0 {
		t.cause = c
	}
}

// close closes both descriptors and reports.
func (t *tunnel) close() {
	t.gone = true
	for i := range t.directions {
		t.directions[i].over = true
		t.giveBack(&t.directions[i])
	}
	t.loop.StopTimer(&t.Timer)
	for i := range t.directions {
		if i == 0 || !t.nodeless {
			t.loop.Close(t.tokens[i], t.fd(i))
		}
	}
	t.clientLeft()
	if t.owner != nil {
		t.owner.Ended(Result{
			FromClient: t.directions[0].passed, FromNode: t.directions[1].passed, Cause: t.cause, Closer: t.closer, Code: t.code,
		})
	}
	t.engine.remove(t)
}
