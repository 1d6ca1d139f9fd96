package tunnel

import (
	"container/heap"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loop carries many tunnels on one goroutine. Only that goroutine touches their descriptors; others leave orders in inbox.
type loop struct {
	roster  *roster
	buffers *buffers
	epoll   int
	bell    int // an eventfd that ends a wait
	shared  []byte
	start   time.Time
	now     time.Duration // since start; as of the last wait

	slots []slot
	free  []int32
	ready []*looped // have more to move than one turn allows
	spare []*looped // ready's other half: one is gone through while the other is filled
	due   deadlines

	mu      sync.Mutex
	inbox   []*looped
	waiting bool // the loop sleeps or is about to: ring the bell
	ending  bool
	ended   chan struct{}
}

// slot is where events find their tunnel. The generation tells an event of an earlier tenant, which may be in the same batch
// as that tenant's end: without it one user's bytes could reach another.
type slot struct {
	t          *looped
	generation int32
}

// turn is how many reads a tunnel may make before the others come first.
const turn = 8

// spin is how many batches of events are dealt with before the scheduler may run something else on this processor.
const spin = 16

func newLoop(r *roster, b *buffers) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1})
	}
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{
		roster: r, buffers: b, epoll: epoll, bell: bell, shared: make([]byte, largeBuffer),
		start: time.Now(), ended: make(chan struct{}),
	}
	go l.run()
	return l, nil
}

// send hands a tunnel to the loop: a new one, or one with an order.
func (l *loop) send(t *looped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inbox = append(l.inbox, t)
	l.wake()
}

// wake needs mu, under which the bell is closed as well: its number may be another's by then.
func (l *loop) wake() {
	if l.waiting {
		l.waiting = false
		unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// end stops the loop, which has no tunnels any more, and waits for it.
func (l *loop) end() {
	l.mu.Lock()
	l.ending = true
	l.wake()
	l.mu.Unlock()
	<-l.ended
}

func (l *loop) run() {
	defer close(l.ended)
	events := make([]unix.EpollEvent, 512)
	for batch := 1; ; batch++ {
		if !l.receive() {
			break
		}
		for _, e := range events[:l.wait(events)] {
			l.dispatch(e)
		}
		l.goOn()
		l.expire()
		if batch%spin == 0 {
			runtime.Gosched()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	unix.Close(l.bell)
	unix.Close(l.epoll)
}

// receive takes new tunnels and orders, and reports whether the loop goes on.
func (l *loop) receive() bool {
	l.mu.Lock()
	inbox := l.inbox
	l.inbox = nil
	ending := l.ending
	l.mu.Unlock()
	for _, t := range inbox {
		t.receive()
	}
	return !ending || len(inbox) > 0
}

// wait returns the number of events. It looks first without sleeping, because a sleep gives the processor away and costs more
// than the look; then it sleeps until something comes or is due.
func (l *loop) wait(events []unix.EpollEvent) int {
	n := pollNow(l.epoll, events)
	if n == 0 && len(l.ready) == 0 {
		l.mu.Lock()
		l.waiting = len(l.inbox) == 0 && !l.ending
		sleep := l.waiting
		l.mu.Unlock()
		if sleep {
			n, _ = unix.EpollWait(l.epoll, events, l.due.in(time.Since(l.start)))
			l.mu.Lock()
			l.waiting = false
			l.mu.Unlock()
		}
	}
	l.now = time.Since(l.start)
	return max(n, 0)
}

func (l *loop) dispatch(e unix.EpollEvent) {
	if e.Fd < 0 {
		var b [8]byte
		unix.Read(l.bell, b[:])
		return
	}
	s := l.slots[e.Fd>>1]
	if s.t == nil || s.generation != e.Pad {
		return
	}
	s.t.event(int(e.Fd&1), e.Events)
}

// goOn gives another turn to those that had more to move.
func (l *loop) goOn() {
	ready := l.ready
	l.ready = l.spare[:0]
	for i, t := range ready {
		ready[i] = nil
		t.queued = false
		if !t.gone {
			t.pump()
		}
	}
	l.spare = ready
}

// expire looks at the tunnels that are due.
func (l *loop) expire() {
	for len(l.due) > 0 && l.due[0].when <= l.now {
		l.due[0].expire()
	}
}

// enter gives t a slot and watches its descriptors, once and for all.
func (l *loop) enter(t *looped) error {
	if len(l.free) == 0 {
		l.free = append(l.free, int32(len(l.slots)))
		l.slots = append(l.slots, slot{})
	}
	t.slot = l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	s := &l.slots[t.slot]
	s.t = t
	s.generation++
	for side, fd := range t.fds {
		e := unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
			Fd:     t.slot<<1 | int32(side),
			Pad:    s.generation,
		}
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) leave(t *looped) {
	l.slots[t.slot].t = nil
	l.free = append(l.free, t.slot)
	l.due.drop(t)
}

// deadlines orders tunnels by when they must be looked at.
type deadlines []*looped

// in returns the milliseconds until the first is due, -1 for none.
func (d deadlines) in(now time.Duration) int {
	if len(d) == 0 {
		return -1
	}
	return int(max(0, (d[0].when-now+time.Millisecond-1)/time.Millisecond))
}

// set makes t due at when.
func (d *deadlines) set(t *looped, when time.Duration) {
	t.when = when
	if t.at == 0 {
		heap.Push(d, t)
	} else {
		heap.Fix(d, t.at-1)
	}
}

// drop takes t out, if it is in.
func (d *deadlines) drop(t *looped) {
	if t.at > 0 {
		heap.Remove(d, t.at-1)
	}
}

func (d *deadlines) Len() int { return len(*d) }

func (d *deadlines) Less(i, j int) bool { return (*d)[i].when < (*d)[j].when }

func (d *deadlines) Swap(i, j int) {
	s := *d
	s[i], s[j] = s[j], s[i]
	s[i].at, s[j].at = i+1, j+1
}

func (d *deadlines) Push(t any) {
	*d = append(*d, t.(*looped))
	t.(*looped).at = len(*d)
}

func (d *deadlines) Pop() any {
	s := *d
	t := s[len(s)-1]
	s[len(s)-1] = nil
	*d = s[:len(s)-1]
	t.at = 0
	return t
}
