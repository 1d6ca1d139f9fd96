//go:build unix

package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// EventHandler is told what happens at a descriptor. A loop calls it, and the others below, on its own goroutine. None may block.
type EventHandler interface {
	// Event tells what has happened at the descriptor that was watched as that side. Events are edges: what is not read or
	// written to its end is not told again. The end is a Read or Write that returns sock.Again or fewer bytes than asked for;
	// after Hup only a Read's error is the end.
	Event(side int, e Events)
}

// Receiver is called once for each Send.
type Receiver interface{ Receive() }

// Expirer is called when the time of its Timer has come; the timer is not set any more.
type Expirer interface{ Expire() }

// Resumer is called once after Yield, when the others have been served.
type Resumer interface{ Resume() }

// Events are what has happened at a descriptor.
type Events uint8

const (
	// Readable says that there is something to be read, which may be the end or an error.
	Readable Events = 1 << iota
	// Writable says that the socket takes bytes again, or that it is connected.
	Writable
	// Hup says that the end, or an error, is behind what is to be read. It comes with Readable. It may come only once what is in
	// front of the end has been read.
	Hup
)

// Failer is any of these that can end what it serves after one of its methods has panicked. Fail is called on the loop.
type Failer interface{ Fail() }

// Loop calls the handlers of many sockets on one goroutine. All its methods but Send, End, Since, SetBusy and Pulse are for that goroutine.
type Loop struct {
	// Shared is a buffer for whichever handler is being called; what it holds does not outlast the call.
	Shared []byte
	// OnPanic, if set on the loop, is told what a handler panicked with, on the stack of the panic. The loop then calls the
	// handler's Fail, if it is a Failer, and goes on. Without it a panic ends the process, as usual.
	OnPanic func(v any)

	peeked [1]byte // for Quiet
	poller *poller
	keeps  atomic.Bool // it may keep its processor while it naps; see busy.go
	start  time.Time
	clock  time.Time     // as of the last wait
	now    time.Duration // since start, likewise
	busy   time.Duration // when there was an event last

	slots   []slot
	streams []Stream // of the slots, as far as one has one: most have none
	free    []int32
	yielded []*Timer // those that have more to do than they may do at once
	spare   []*Timer // its other half: one is gone through while the other is filled
	due     timers
	full    int          // full batches in a row
	lost    atomic.Int64 // nanoseconds that do not count
	pulse   pulse

	mu      sync.Mutex
	inbox   []Receiver
	emptied []Receiver // inbox's other half
	waiting bool       // the loop sleeps or is about to: ring the bell
	ending  bool
	ended   chan struct{}
}

// Token is a watched descriptor.
type Token int32

// slot is where events find their handler. The generation tells an event of an earlier tenant, which may be in the same batch
// as that tenant's end: without it one user's bytes could reach another.
type slot struct {
	handler    EventHandler
	side       int32
	generation int32
}

// bufferSize is the size of Shared.
const bufferSize = 64 << 10

// Start returns n running loops. The error is the system's want of descriptors.
func Start(n int) ([]*Loop, error) {
	var loops []*Loop
	for range n {
		l, err := start()
		if err != nil {
			for _, l := range loops {
				l.End()
			}
			return nil, err
		}
		loops = append(loops, l)
	}
	return loops, nil
}

func start() (*Loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &Loop{
		poller: p, Shared: make([]byte, bufferSize),
		start: time.Now(), ended: make(chan struct{}),
	}
	l.clock = l.start
	go l.run()
	return l, nil
}

// Send has h.Receive called on the loop soon. It may be called from any goroutine, as often as there is something to tell.
// After End it does nothing.
func (l *Loop) Send(h Receiver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inbox = append(l.inbox, h)
	l.wake()
}

// wake needs mu, under which the bell is closed as well: its number may be another's by then.
func (l *Loop) wake() {
	if l.waiting {
		l.waiting = false
		l.poller.ring()
	}
}

// End stops the loop when what was sent has been received, and waits for it. It closes no socket that is still watched.
func (l *Loop) End() {
	l.mu.Lock()
	l.ending = true
	l.wake()
	l.mu.Unlock()
	<-l.ended
}

// Now returns the time since the loop's start, as of the present batch of events, without what the loop has overslept: see
// overslept.
func (l *Loop) Now() time.Duration { return l.now }

// Clock is Now as a time. What is being dealt with has been waiting since then at the latest.
func (l *Loop) Clock() time.Time { return l.clock }

// Since is Now as of this moment. It may be called from any goroutine.
func (l *Loop) Since() time.Duration { return time.Since(l.start) - time.Duration(l.lost.Load()) }

// overslept is from what on a loop that comes late has not been slow but stopped: by SIGSTOP, a cgroup's freezer, or with its whole
// machine. What came meanwhile waits in the sockets, so that no limit must end before it is read: such a time does not count.
const overslept = time.Second

func (l *Loop) run() {
	defer close(l.ended)
	for batch := 1; ; batch++ {
		if !l.receive() {
			break
		}
		n := l.wait()
		l.dispatch(n)
		l.resumeAll()
		if l.caughtUp(n) {
			l.expireAll()
		}
		l.offer(batch)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = false
	l.poller.close()
}

// receive hands on what was sent, and reports whether the loop goes on.
func (l *Loop) receive() bool {
	l.mu.Lock()
	inbox := l.inbox
	l.inbox, l.emptied = l.emptied[:0], nil
	ending := l.ending
	l.mu.Unlock()
	for i, h := range inbox {
		inbox[i] = nil
		l.deliver(h)
	}
	l.mu.Lock()
	l.emptied = inbox
	l.mu.Unlock()
	return !ending || len(inbox) > 0
}

// wait returns the number of events. It sleeps until something comes or is due.
func (l *Loop) wait() int {
	n, asked, began := 0, 0, l.now
	works := len(l.yielded) > 0 || !l.mayWait()
	if works {
		n = l.poller.waitUntold(0)
	} else {
		since := l.Since()
		l.pulse.busy.Add(int64(since - began))
		asked = l.due.in(since)
		n = l.sleep(asked)
		l.mu.Lock()
		l.waiting = false
		l.mu.Unlock()
	}
	if n < 0 { // a signal, which may have ended a stop: what came meanwhile is looked at before anything is due
		n = l.poller.waitUntold(0)
	}
	if l.tick(time.Now(), asked); works {
		l.pulse.busy.Add(int64(l.now - began))
	}
	if n > 0 {
		l.busy = l.now
	}
	return max(n, 0)
}

// tick notes the time after a wait that was to take so many milliseconds at most, -1 being any number.
func (l *Loop) tick(clock time.Time, asked int) {
	took := clock.Sub(l.clock)
	l.clock = clock
	if asked >= 0 && took > time.Duration(asked)*time.Millisecond+overslept {
		l.lost.Add(int64(took))
		return
	}
	l.now += took
}

// caughtUp reports whether what is due may expire: events that wait behind a full batch go first, for some batches.
func (l *Loop) caughtUp(n int) bool {
	if l.poller.more(n) {
		l.full++
	} else {
		l.full = 0
	}
	return l.full%spin == 0
}

// mayWait reports whether nothing was sent, and asks for the bell from now on.
func (l *Loop) mayWait() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = len(l.inbox) == 0 && !l.ending
	return l.waiting
}

// tell tells the stream of a slot and then its handler, if it still has one.
func (l *Loop) tell(t Token, e Events) {
	s := l.slots[t]
	if s.handler == nil {
		return
	}
	l.event(s, l.stream(t), e)
}

// Tell tells the handler of a socket with a Stream what the Stream has found, on the loop.
func (l *Loop) Tell(t Token, e Events) {
	if s := l.slots[t]; s.handler != nil {
		l.event(s, nil, e)
	}
}

// The calls of one handler each. A panic in it is not the end of the others.

func (l *Loop) event(s slot, between Stream, e Events) {
	defer l.guard(s.handler)
	if between != nil {
		if e = between.Event(e); e == 0 {
			return
		}
	}
	s.handler.Event(int(s.side), e)
}

func (l *Loop) deliver(r Receiver) {
	defer l.guard(r)
	r.Receive()
}

func (l *Loop) resume(r Resumer) {
	defer l.guard(r)
	r.Resume()
}

func (l *Loop) expire(e Expirer) {
	defer l.guard(e)
	e.Expire()
}

// guard deals with a panic of h, if there is one.
func (l *Loop) guard(h any) {
	v := recover()
	if v == nil {
		return
	}
	if l.OnPanic == nil {
		panic(v)
	}
	l.OnPanic(v)
	defer func() {
		if v := recover(); v != nil {
			l.OnPanic(v)
		}
	}()
	if f, ok := h.(Failer); ok {
		f.Fail()
	}
}

// resumeAll goes on with those that have yielded.
func (l *Loop) resumeAll() {
	yielded := l.yielded
	l.yielded = l.spare[:0]
	for i, t := range yielded {
		yielded[i] = nil
		t.yielded = false
		l.resume(t.owner.(Resumer))
	}
	l.spare = yielded
}

// expireAll calls those that are due.
func (l *Loop) expireAll() {
	for len(l.due) > 0 && l.due[0].when <= l.now {
		t := l.due[0]
		l.pulse.late(l.now - t.when)
		l.StopTimer(t)
		l.expire(t.owner)
	}
}

// Watch has h told what happens at fd, a socket that does not block, under the number side. Of what has happened already
// it is told at once.
func (l *Loop) Watch(fd int, h EventHandler, side int) (Token, error) {
	return l.watch(fd, h, side, false)
}

// WatchListener has h told, time and again, that connections wait at the listening socket fd.
func (l *Loop) WatchListener(fd int, h EventHandler) (Token, error) {
	return l.watch(fd, h, 0, true)
}

func (l *Loop) watch(fd int, h EventHandler, side int, listens bool) (Token, error) {
	if len(l.free) == 0 {
		l.free = append(l.free, int32(len(l.slots)))
		l.slots = append(l.slots, slot{})
	}
	i := l.free[len(l.free)-1]
	s := &l.slots[i]
	s.generation++
	if err := l.poller.add(fd, i, s.generation, listens); err != nil {
		return 0, err
	}
	l.free = l.free[:len(l.free)-1]
	s.handler, s.side = h, int32(side)
	return Token(i), nil
}

// HandOver has h told from now on what happens at the descriptor. What was told before is not told again.
func (l *Loop) HandOver(t Token, h EventHandler, side int) {
	l.slots[t].handler, l.slots[t].side = h, int32(side)
}

// Forget ends the watch over a descriptor that is closed at once, in all its duplicates. The token is another's afterwards.
func (l *Loop) Forget(t Token) {
	l.slots[t].handler = nil
	l.SetStream(t, nil)
	l.poller.forget(t)
	l.free = append(l.free, int32(t))
}

// Release ends the watch over a descriptor that lives on.
func (l *Loop) Release(t Token, fd int) {
	l.Forget(t)
	l.poller.remove(fd)
}

// Yield has the timer's owner, a Resumer, called after this batch of events: it has more to do than it may do at once.
func (l *Loop) Yield(t *Timer) {
	if !t.yielded {
		t.yielded = true
		l.yielded = append(l.yielded, t)
	}
}
