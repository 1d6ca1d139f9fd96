package tunnel

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Loops is an engine that carries tunnels over bare TCP and Unix sockets in a few epoll loops: a tunnel that waits costs its
// two descriptors and a small record, no goroutine and no buffer. Tunnels over other connections, TLS for one, get goroutines.
// It is safe for concurrent use.
type Loops struct {
	*roster
	plain *Goroutines
	loops []*loop
	next  atomic.Uint32
}

// NewLoops returns an engine with n loops, which run until Shutdown has returned. The error is the system's want of
// descriptors.
func NewLoops(n int) (*Loops, error) {
	r := newRoster()
	l := &Loops{roster: r, plain: &Goroutines{roster: r, buffers: newBuffers()}}
	for range max(n, 1) {
		one, err := newLoop(r, l.plain.buffers)
		if err != nil {
			l.end()
			return nil, err
		}
		l.loops = append(l.loops, one)
	}
	return l, nil
}

// Shutdown ends all tunnels in waves, as Goroutines does, and then the loops.
func (l *Loops) Shutdown(ctx context.Context, waves int, over time.Duration) error {
	err := l.roster.Shutdown(ctx, waves, over)
	l.end()
	return err
}

func (l *Loops) end() {
	for _, one := range l.loops {
		one.end()
	}
}

// Start takes both connections over and returns at once. After Shutdown has ended it closes them and calls Done before it
// returns.
func (l *Loops) Start(o Options) {
	fds, ok := detach(o.Client, o.Node)
	if !ok {
		l.plain.Start(o)
		return
	}
	one := l.loops[int(l.next.Add(1))%len(l.loops)]
	t := newLooped(one, o, fds)
	switch l.add(t) {
	case closed:
		t.because(Shutdown)
		t.close()
	case ending:
		t.order.Store(orderStop)
		fallthrough
	default:
		one.send(t)
	}
}

// detach takes both descriptors from the runtime's own poller: it duplicates them and closes the originals. It takes none
// where one of them cannot be had.
func detach(a, b net.Conn) (fds [2]int, ok bool) {
	for i, c := range []net.Conn{a, b} {
		if fds[i] = duplicate(c); fds[i] < 0 {
			if i == 1 {
				unix.Close(fds[0])
			}
			return fds, false
		}
	}
	a.Close()
	b.Close()
	return fds, true
}

// duplicate returns -1 where c has no plain socket or no descriptor is left. The duplicate is non-blocking as the original is:
// that is a property of what both refer to.
func duplicate(c net.Conn) int {
	raw := rawConn(c)
	if raw == nil {
		return -1
	}
	dup, err := -1, error(nil)
	if raw.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
		return -1
	}
	return dup
}
