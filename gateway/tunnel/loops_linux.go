package tunnel

import (
	"net"
	"sync/atomic"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// Loops is an engine that carries tunnels over bare TCP and Unix sockets on epoll loops: a tunnel that waits costs its
// two descriptors and a small record, no goroutine and no buffer. Tunnels over other connections, TLS for one, get goroutines.
// It is safe for concurrent use.
type Loops struct {
	*roster
	plain *Goroutines
	loops []*loop.Loop
	next  atomic.Uint32
}

// NewLoops returns an engine on these loops, which must outlive its Shutdown.
func NewLoops(loops []*loop.Loop) *Loops {
	r := newRoster()
	return &Loops{roster: r, plain: &Goroutines{roster: r, buffers: newBuffers()}, loops: loops}
}

// Start takes both connections over and returns at once. After Shutdown has ended it closes them and calls Done before it
// returns.
func (l *Loops) Start(o Options) {
	fds, ok := detach(o.Client, o.Node)
	if !ok {
		l.plain.Start(o)
		return
	}
	t := newLooped(l, l.loops[int(l.next.Add(1))%len(l.loops)], o)
	t.fds = fds
	if l.enter(t) {
		t.loop.Send(t)
	} else {
		t.close()
	}
}

// Socket is a socket that a loop watches already.
type Socket struct {
	FD       int
	Token    loop.Token
	Readable bool // there may be bytes to read of which the loop has told before
	Hup      bool // the end that is behind them has been told as well
}

// Adopt is Start for two sockets that the loop on watches, which stands in for the connections in o. It is called on that
// loop's goroutine.
func (l *Loops) Adopt(on *loop.Loop, client, node Socket, o Options) {
	t := newLooped(l, on, o)
	t.fds = [2]int{client.FD, node.FD}
	t.tokens = [2]loop.Token{client.Token, node.Token}
	t.known = true
	if !l.enter(t) {
		t.close()
		return
	}
	for side, token := range t.tokens {
		on.HandOver(token, t, side)
	}
	for i, s := range [...]Socket{client, node} {
		t.ways[i].readable, t.ways[i].hup = s.Readable || s.Hup, s.Hup
	}
	t.begin()
}

// enter puts t on the roster and reports whether it may live.
func (l *Loops) enter(t *looped) bool {
	switch l.add(t) {
	case closed:
		t.because(Shutdown)
		return false
	case ending:
		t.order.Store(orderStop)
	}
	return true
}

// detach takes both descriptors from the runtime's own poller: it duplicates them and closes the originals. It takes none
// where one of them cannot be had.
func detach(a, b net.Conn) (fds [2]int, ok bool) {
	for i, c := range []net.Conn{a, b} {
		if fds[i] = duplicate(c); fds[i] < 0 {
			if i == 1 {
				sock.Close(fds[0])
			}
			return fds, false
		}
	}
	a.Close()
	b.Close()
	return fds, true
}

// duplicate returns -1 where c has no plain socket or no descriptor is left.
func duplicate(c net.Conn) int {
	raw := rawConn(c)
	if raw == nil {
		return -1
	}
	fd, err := sock.Duplicate(raw)
	if err != nil {
		return -1
	}
	return fd
}
