package tunnel_test

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine is one with the loops that its tunnels live on.
type engine struct {
	*tunnel.Engine
	loops []*loop.Loop
}

func newEngine(t testing.TB) engine {
	t.Helper()
	loops, err := loop.Start(2)
	must(t, err)
	return engine{tunnel.New(), loops}
}

// end cuts the tunnels that are left and ends the loops.
func (e engine) end(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.Shutdown(ctx, 1, 0)
	if n := e.Len(); n != 0 {
		t.Errorf("%d tunnels left after Shutdown", n)
	}
	for _, l := range e.loops {
		l.End()
	}
}

// with runs a story with an engine, and ends the engine after it.
func with(t *testing.T, story func(t *testing.T, e engine)) {
	t.Helper()
	e := newEngine(t)
	defer e.end(t)
	story(t, e)
}

// adoption is two sockets on their way to a tunnel on a loop.
type adoption struct {
	e   engine
	on  *loop.Loop
	fds [2]int
	o   tunnel.Options

	adopted chan struct{}
}

// adopt joins two sockets on some loop, and waits for it.
func (e engine) adopt(fds [2]int, o tunnel.Options) {
	on := e.loops[fds[0]%len(e.loops)]
	a := adoption{e, on, fds, o, make(chan struct{})}
	on.Send(a)
	<-a.adopted
}

func (a adoption) Receive() {
	defer close(a.adopted)
	var sockets [2]tunnel.Socket
	for i, fd := range a.fds {
		token, err := a.on.Watch(fd, a, i)
		if err != nil {
			panic(err)
		}
		sockets[i] = tunnel.Socket{FD: fd, Token: token, Readable: true}
	}
	a.e.Adopt(a.on, sockets[0], sockets[1], a.o)
}

func (adoption) Event(int, loop.Events) {}

// detach returns the descriptor of a connection's socket, and closes the connection.
func detach(t testing.TB, c net.Conn) int {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	must(t, err)
	fd, err := sock.Duplicate(raw)
	must(t, err)
	c.Close()
	return fd
}

// ends are a tunnel seen from outside: the peers that its two sockets lead to.
type ends struct {
	t            testing.TB
	client, node net.Conn
	inner        [2]net.Conn // what becomes the tunnel's
	done         <-chan tunnel.Result
}

// join starts a tunnel over loopback TCP with o's limits.
func join(t testing.TB, e engine, o tunnel.Options) ends {
	t.Helper()
	var x ends
	x.client, x.inner[0] = tcpPair(t)
	x.node, x.inner[1] = tcpPair(t)
	return start(t, e, o, x)
}

// start starts a tunnel over x's inner connections.
func start(t testing.TB, e engine, o tunnel.Options, x ends) ends {
	t.Helper()
	done := make(chan tunnel.Result, 2) // one more than allowed, so that a second call is seen
	fds := [2]int{detach(t, x.inner[0]), detach(t, x.inner[1])}
	ids := [2]uint64{inode(fds[0]), inode(fds[1])}
	ended := tunnel.Done(func(r tunnel.Result) {
		if inode(fds[0]) == ids[0] || inode(fds[1]) == ids[1] {
			t.Error("Ended called before both sockets are closed")
		}
		done <- r
	})
	if p, ok := o.Owner.(*pongs); ok {
		p.Done = ended
	} else {
		o.Owner = ended
	}
	x.t, x.done = t, done
	e.adopt(fds, o)
	t.Cleanup(func() {
		x.client.Close()
		x.node.Close()
	})
	return x
}

// inode returns the number of an open file, 0 where none is open.
func inode(fd int) uint64 {
	var s unix.Stat_t
	if unix.Fstat(fd, &s) != nil {
		return 0
	}
	return uint64(s.Ino)
}

// tcpPair returns the two ends of a TCP connection over loopback.
func tcpPair(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return connect(t, l)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

// connect returns the two ends of a new connection through l, which nobody else may use meanwhile.
func connect(t testing.TB, l net.Listener) (dialled, accepted net.Conn) {
	t.Helper()
	dialled, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	accepted, err = l.Accept()
	must(t, err)
	return dialled, accepted
}

// result waits for the tunnel's end and checks that Done is called once.
func (x ends) result() tunnel.Result {
	x.t.Helper()
	r := <-x.done
	select {
	case <-x.done:
		x.t.Error("Done called twice")
	default:
	}
	return r
}

// endsBy waits for the tunnel's end and checks its cause.
func (x ends) endsBy(want tunnel.Cause) tunnel.Result {
	x.t.Helper()
	r := x.result()
	if r.Cause != want {
		x.t.Errorf("tunnel ended by %v, want %v", r.Cause, want)
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until the condition holds. The test binary's own time limit is the only one.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// openFiles counts this process's descriptors.
func openFiles(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/dev/fd")
	must(t, err)
	return len(names)
}
