//go:build unix

package loop_test

import (
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests: what has not come by then never comes.
const patience = 20 * time.Second

// start returns a loop that runs until the test ends.
func start(t *testing.T) *loop.Loop {
	t.Helper()
	loops, err := loop.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loops[0].End)
	loops[0].SetBusy(runtime.GOMAXPROCS(0) > 1)
	return loops[0]
}

// probe is a handler that calls functions; those that are nil are not expected.
type probe struct {
	loop.Timer
	event   func(side int, events loop.Events)
	turn    func()
	expire  func()
	receive func()
}

func newProbe() *probe {
	p := &probe{}
	p.Init(p)
	return p
}

func (p *probe) Event(side int, events loop.Events) { p.event(side, events) }
func (p *probe) Resume()                            { p.turn() }
func (p *probe) Expire()                            { p.expire() }
func (p *probe) Receive()                           { p.receive() }

// do does f on the loop and waits for it.
func do(t *testing.T, l *loop.Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	l.Send(&probe{receive: func() { f(); close(done) }})
	await(t, done)
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("it never came")
		panic("unreachable")
	}
}

func TestSend(t *testing.T) {
	l := start(t)
	var running, most, count atomic.Int32
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for range 1000 {
				l.Send(&probe{receive: func() {
					most.Store(max(most.Load(), running.Add(1)))
					count.Add(1)
					running.Add(-1)
				}})
			}
		})
	}
	senders.Wait()
	do(t, l, func() {})
	if count.Load() != 8000 || most.Load() != 1 {
		t.Errorf("%d of 8000 received, %d at a time", count.Load(), most.Load())
	}
}

// TestSendWakes sends to a loop that naps, and to one that sleeps.
func TestSendWakes(t *testing.T) {
	l := start(t)
	for _, rest := range []time.Duration{time.Millisecond, 100 * time.Millisecond} {
		for range 5 {
			<-time.After(rest)
			do(t, l, func() {})
		}
	}
}

func TestTimers(t *testing.T) {
	l := start(t)
	expired := make(chan int, 10)
	do(t, l, func() {
		now := l.Now()
		var probes []*probe
		for i := range 5 {
			p := newProbe()
			p.expire = func() { expired <- i }
			l.SetTimer(&p.Timer, now+time.Duration(50-10*i)*time.Millisecond)
			probes = append(probes, p)
		}
		l.StopTimer(&probes[1].Timer)
		l.SetTimer(&probes[4].Timer, now+70*time.Millisecond) // put off
		l.SetTimer(&probes[0].Timer, now+5*time.Millisecond)  // and brought forward
		if when, set := probes[4].Due(); !set || when != now+70*time.Millisecond {
			t.Errorf("the timer is set: %v, for %v", set, when)
		}
		if _, set := probes[1].Due(); set {
			t.Error("a timer that was stopped is set")
		}
	})
	var order []int
	for range 4 {
		order = append(order, await(t, expired))
	}
	if want := []int{0, 3, 2, 4}; !slices.Equal(order, want) {
		t.Errorf("expired %v, want %v", order, want)
	}
	do(t, l, func() {})
	if len(expired) > 0 {
		t.Errorf("%d expired that should not have", <-expired)
	}
}

// TestTurns gives each handler one turn per batch, however often it asks for it; who waits for its turn already gets no second one.
func TestTurns(t *testing.T) {
	l := start(t)
	turns := make(chan int, 100)
	done := make(chan struct{})
	do(t, l, func() {
		left := 3
		a, b := newProbe(), newProbe()
		a.turn = func() {
			turns <- 0
			if left--; left > 0 {
				l.Yield(&a.Timer)
				l.Yield(&a.Timer)
				l.Yield(&b.Timer)
				return
			}
			close(done)
		}
		b.turn = func() { turns <- 1 }
		l.Yield(&a.Timer)
		l.Yield(&b.Timer)
	})
	await(t, done)
	do(t, l, func() {}) // b's last turn is in the same round
	var order []int
	for len(turns) > 0 {
		order = append(order, <-turns)
	}
	if want := []int{0, 1, 0, 0, 1}; !slices.Equal(order, want) {
		t.Errorf("turns %v, want %v", order, want)
	}
}

// socket returns a connection's descriptor for a loop, and its peer.
func socket(t *testing.T) (int, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return duplicate(t, c.(*net.TCPConn)), peer
}

func duplicate(t *testing.T, c syscall.Conn) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := sock.Duplicate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestWatch echoes on a loop, hands the descriptor to another handler, which closes it, and lets its slot to a new one.
func TestWatch(t *testing.T) {
	l := start(t)
	fd, peer := socket(t)
	var token loop.Token
	closed := make(chan int, 1)
	closer := newProbe()
	closer.event = func(side int, events loop.Events) {
		if events&loop.Readable != 0 {
			l.Forget(token)
			unix.Close(fd)
			closed <- side
		}
	}
	echo := newProbe()
	echo.event = func(side int, events loop.Events) {
		n, err := l.Read(token, fd, l.Shared)
		if err == unix.EAGAIN {
			return
		}
		if m, err := l.Write(token, fd, l.Shared[:n]); m != n || err != nil || side != 7 {
			t.Errorf("side %d: echoed %d of %d: %v", side, m, n, err)
		}
		l.HandOver(token, closer, 8)
	}
	do(t, l, func() {
		var err error
		if token, err = l.Watch(fd, echo, 7); err != nil {
			t.Error(err)
		}
	})
	peer.SetDeadline(time.Now().Add(patience))
	io.WriteString(peer, "hello")
	b := make([]byte, 5)
	if _, err := io.ReadFull(peer, b); err != nil || string(b) != "hello" {
		t.Fatalf("%q %v", b, err)
	}
	io.WriteString(peer, "bye")
	if side := await(t, closed); side != 8 {
		t.Errorf("told as side %d", side)
	}
	next, nextPeer := socket(t)
	told := make(chan struct{}, 100)
	do(t, l, func() {
		p := newProbe()
		p.event = func(int, loop.Events) { told <- struct{}{} }
		again, err := l.Watch(next, p, 0)
		if err != nil || again != token {
			t.Errorf("token %d and %v, want the free one, %d", again, err, token)
		}
		token = again
	})
	io.WriteString(nextPeer, "x")
	await(t, told)
	do(t, l, func() { l.Release(token, next) })
	if n, err := sock.Receive(next, b); n != 1 || err != nil { // it lives on without the loop
		t.Errorf("%d %v", n, err)
	}
	sock.Close(next)
}

// TestEnd receives what was sent before, and nothing after.
func TestEnd(t *testing.T) {
	loops, err := loop.Start(2)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for range 100 {
		loops[0].Send(&probe{receive: func() { count++ }})
	}
	for _, l := range loops {
		l.End()
	}
	if count != 100 {
		t.Errorf("received %d of 100", count)
	}
	loops[0].Send(&probe{receive: func() { t.Error("received after the end") }})
}

// failing is a handler that panics, and notes that it was told to end.
type failing struct {
	*probe
	failed chan struct{}
}

func (f failing) Fail() { close(f.failed); panic("again") }

// TestPanic has a handler panic in its turn; the others go on.
func TestPanic(t *testing.T) {
	l := start(t)
	told := make(chan any, 2)
	do(t, l, func() { l.OnPanic = func(v any) { told <- v } })
	f := failing{newProbe(), make(chan struct{})}
	f.receive = func() { panic("planted") }
	l.Send(f)
	await(t, f.failed)
	if v := await(t, told); v != "planted" {
		t.Errorf("told of %v", v)
	}
	if v := await(t, told); v != "again" {
		t.Errorf("told of %v", v)
	}
	do(t, l, func() {})
}

// A loop that was stopped gives what came meanwhile the time that it had before.
func TestOversleptTimeDoesNotCount(t *testing.T) {
	l := start(t)
	const left, stopped = 500 * time.Millisecond, 1600 * time.Millisecond
	expired := make(chan time.Time, 1)
	p := newProbe()
	p.expire = func() { expired <- time.Now() }
	var woke time.Time
	do(t, l, func() {
		l.SetTimer(&p.Timer, l.Now()+left)
		time.Sleep(stopped) // as if the process had been
		woke = time.Now()
	})
	if after := await(t, expired).Sub(woke); after < left*9/10 {
		t.Errorf("expired %v after the loop went on, want %v", after, left)
	}
	do(t, l, func() {
		if n := l.Now(); n > l.Since() {
			t.Errorf("Now is %v and Since %v", n, l.Since())
		}
	})
}
