package tunnel

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

var _ loop.Handler = (*looped)(nil)

// turn is how many reads a tunnel may make before the others come first.
const turn = 8

// looped is a tunnel on a loop: two descriptors, what waits to be written, and a few facts.
type looped struct {
	loop.Seat
	loop    *loop.Loop
	roster  *roster
	buffers *buffers
	fds     [2]int // of the client and of the node
	tokens  [2]loop.Token
	ways    [2]way // from the client to the node, and back

	known bool // the loop watches its descriptors
	gone  bool // they are closed

	idle, block, linger time.Duration
	heard               time.Duration // when the client was last heard, or its grace allows to think so
	lingers             time.Duration // when what is left is cut; 0 before one way has ended

	cause Cause
	said  *atomic.Uint64 // counts what the node said; nil: nobody asks
	done  func(Result)
	order atomic.Uint32 // what another goroutine wants
}

// way is one direction: from fds[i] to the other one.
type way struct {
	waiting  []byte  // read and not yet taken by the other side
	borrowed *[]byte // the buffer that holds it; nil for early bytes
	passed   int64
	blocked  time.Duration // since when the other side has taken none of it
	readable bool          // there may be bytes to read
	hup      bool          // a FIN or an error is behind them: read to the end
	eof      bool          // nothing more is read
	over     bool
}

const (
	orderStop = 1 + iota
	orderCut
)

func newLooped(e *Loops, on *loop.Loop, o Options) *looped {
	t := &looped{
		loop: on, roster: e.roster, buffers: e.plain.buffers,
		idle: o.Idle, block: o.Block, linger: o.Linger, said: o.Heard, done: o.Done,
	}
	t.Sit(t)
	if t.linger <= 0 {
		t.linger = DefaultLinger
	}
	t.ways[0].waiting, t.ways[1].waiting = o.ToNode, o.ToClient
	t.heard = on.Since() + o.Grace
	return t
}

// Fail implements loop.Failer.
func (t *looped) Fail() {
	if !t.gone {
		t.because(Failed)
		t.close()
	}
}

// stop implements member.
func (t *looped) stop() {
	t.order.CompareAndSwap(0, orderStop)
	t.loop.Send(t)
}

// cut implements member.
func (t *looped) cut(Cause) {
	t.order.Store(orderCut)
	t.loop.Send(t)
}

// Receive implements loop.Handler: the tunnel is new, or has an order.
func (t *looped) Receive() {
	switch {
	case t.gone:
	case t.known:
		t.obey()
	case t.watch() != nil:
		t.because(Failed)
		t.close()
	default:
		t.ways[0].readable, t.ways[1].readable = true, true
		t.begin()
	}
}

// watch has the loop watch both descriptors.
func (t *looped) watch() error {
	var err error
	if t.tokens[0], err = t.loop.Watch(t.fds[0], t, 0); err != nil {
		return err
	}
	if t.tokens[1], err = t.loop.Watch(t.fds[1], t, 1); err != nil {
		t.loop.Forget(t.tokens[0])
		return err
	}
	t.known = true
	return nil
}

// begin moves what is there already.
func (t *looped) begin() {
	for i := range t.ways {
		t.ways[i].blocked = t.loop.Now()
	}
	t.arm()
	t.obey()
}

// obey does what another goroutine has ordered, if anything, and goes on.
func (t *looped) obey() {
	switch t.order.Load() {
	case orderCut:
		t.because(Shutdown)
		t.close()
		return
	case orderStop:
		t.because(Shutdown)
		t.ways[1].eof = true
	}
	t.pump()
}

// Event implements loop.Handler.
func (t *looped) Event(side int, events loop.Events) {
	w := &t.ways[side]
	if events&(loop.Readable|loop.Hup) != 0 {
		w.readable = true
		w.hup = w.hup || events&loop.Hup != 0
	}
	t.pump()
}

// pump moves what can be moved, both ways.
func (t *looped) pump() {
	more := t.move(0)
	if !t.gone {
		more = t.move(1) || more
	}
	if more && !t.gone {
		t.loop.Again(&t.Seat)
	}
}

// Turn implements loop.Handler.
func (t *looped) Turn() {
	if !t.gone {
		t.pump()
	}
}

// move passes bytes on in one direction, until there are none, the other side takes none, or the turn is over: then it
// reports true.
func (t *looped) move(i int) bool {
	w := &t.ways[i]
	for range turn {
		if w.over {
			return false
		}
		if len(w.waiting) > 0 && !t.flush(i) {
			return false
		}
		if w.eof {
			if !t.ways[1-i].over { // else the close that follows tells it
				sock.ShutdownWrite(t.fds[1-i]) // fails only where that side has gone, which the other way finds out
			}
			t.end(i)
			return false
		}
		if !w.readable {
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
func (t *looped) read(i int) {
	w, b := &t.ways[i], t.loop.Shared
	n, err := sock.Receive(t.fds[i], b)
	switch {
	case n > 0:
		// A read that leaves room has emptied the socket; more will be told by another event, but not what came with this one.
		w.readable = n == len(b) || w.hup
		if i == 0 {
			t.heard = max(t.heard, t.loop.Now())
		} else if t.said != nil {
			t.said.Add(1)
		}
		t.write(i, b[:n])
	case err == unix.EAGAIN:
		w.readable = false
	default:
		t.because(blame(err, [2]Cause{ClientClosed, NodeClosed}[i]))
		w.eof = true
	}
}

// write passes b on. What the other side does not take is kept, and nothing more is read until it has.
func (t *looped) write(i int, b []byte) {
	w := &t.ways[i]
	n, err := sock.Send(t.fds[1-i], b)
	if n > 0 {
		w.passed += int64(n)
	}
	switch rest := b[max(n, 0):]; {
	case err != nil && err != unix.EAGAIN:
		t.refused(i, err)
	case len(rest) > 0:
		w.borrowed = t.buffers.lend(len(rest))
		w.waiting = (*w.borrowed)[:copy(*w.borrowed, rest)]
		w.blocked = t.loop.Now()
		t.arm()
	}
}

// flush writes what waits and reports whether nothing does any more.
func (t *looped) flush(i int) bool {
	w := &t.ways[i]
	n, err := sock.Send(t.fds[1-i], w.waiting)
	if n > 0 {
		w.passed += int64(n)
		w.waiting = w.waiting[n:]
		w.blocked = t.loop.Now()
	}
	if err != nil && err != unix.EAGAIN {
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

func (t *looped) giveBack(w *way) {
	w.waiting = nil
	if w.borrowed != nil {
		t.buffers.giveBack(w.borrowed)
		w.borrowed = nil
	}
}

// refused ends a way whose other side is gone. The opposite way goes on: a peer that closed may have sent bytes before, which
// still wait to be read.
func (t *looped) refused(i int, err error) {
	t.because(blame(err, [2]Cause{NodeClosed, ClientClosed}[i]))
	t.end(i)
}

// end ends one way; the tunnel ends with the second one, or when that has lingered.
func (t *looped) end(i int) {
	w := &t.ways[i]
	w.over = true
	t.giveBack(w)
	if t.ways[1-i].over {
		t.close()
		return
	}
	t.lingers = t.loop.Now() + t.linger
	t.arm()
}

// because settles the tunnel's cause: what happened first.
func (t *looped) because(c Cause) {
	if t.cause == 0 {
		t.cause = c
	}
}

// arm sets the tunnel's deadline to the first of its limits. The client's silence is looked at lazily: bytes that come
// move no deadline, which is found to be early when it is due.
func (t *looped) arm() {
	when, _ := t.first()
	if set, ok := t.Timer(); when < math.MaxInt64 && (!ok || when < set) {
		t.loop.SetTimer(&t.Seat, when)
	}
}

// first returns the limit that ends first, and what that would mean.
func (t *looped) first() (time.Duration, func()) {
	when, act := time.Duration(math.MaxInt64), func() {}
	if t.lingers > 0 {
		when, act = t.lingers, func() { t.because(Failed); t.close() }
	}
	for i := range t.ways {
		w := &t.ways[i]
		if end := w.blocked + t.block; t.block > 0 && len(w.waiting) > 0 && end < when {
			when, act = end, func() { t.abandon(1-i, Blocked) }
		}
	}
	if up := &t.ways[0]; t.idle > 0 && !up.eof && !up.over && len(up.waiting) == 0 && t.heard+t.idle < when {
		when, act = t.heard+t.idle, func() { t.abandon(0, ClientIdle) }
	}
	return when, act
}

// Expire implements loop.Handler. Where no limit runs, the next one to begin sets the timer again.
func (t *looped) Expire() {
	switch when, act := t.first(); {
	case when <= t.loop.Now():
		act()
	case when < math.MaxInt64:
		t.loop.SetTimer(&t.Seat, when)
	}
}

// abandon ends the tunnel for the fault of one side, and drops what that side did not take rather than leave it to the kernel
// for minutes.
func (t *looped) abandon(side int, c Cause) {
	unix.SetsockoptLinger(t.fds[side], unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	t.because(c)
	t.close()
}

// close closes both descriptors and reports.
func (t *looped) close() {
	t.gone = true
	for i := range t.ways {
		t.ways[i].over = true
		t.giveBack(&t.ways[i])
	}
	if t.known {
		t.loop.Forget(t.tokens[0])
		t.loop.Forget(t.tokens[1])
		t.loop.StopTimer(&t.Seat)
	}
	sock.Close(t.fds[0])
	sock.Close(t.fds[1])
	if t.done != nil {
		t.done(Result{FromClient: t.ways[0].passed, FromNode: t.ways[1].passed, Cause: t.cause})
	}
	t.roster.remove(t)
}
