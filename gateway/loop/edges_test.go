//go:build unix

package loop_test

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// watched is a socket on a loop whose events come by a channel.
type watched struct {
	t      *testing.T
	l      *loop.Loop
	fd     int
	token  loop.Token
	peer   net.Conn
	events chan loop.Events
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{t: t, l: start(t), events: make(chan loop.Events, 100)}
	w.fd, w.peer = socket(t)
	t.Cleanup(func() { do(t, w.l, func() { w.l.Forget(w.token); sock.Close(w.fd) }) })
	do(t, w.l, func() {
		var err error
		if w.token, err = w.l.Watch(w.fd, w.probe(), 0); err != nil {
			t.Error(err)
		}
	})
	w.next(loop.Writable) // a new socket takes bytes
	return w
}

func (w *watched) probe() *probe {
	p := newProbe()
	p.event = func(_ int, e loop.Events) { w.events <- e }
	return p
}

// next waits for events that contain want.
func (w *watched) next(want loop.Events) {
	w.t.Helper()
	for await(w.t, w.events)&want != want {
	}
}

// none checks that nothing is told, after the loop has looked for events twice.
func (w *watched) none(why string) {
	w.t.Helper()
	for range 2 {
		do(w.t, w.l, func() {})
	}
	if len(w.events) > 0 {
		w.t.Errorf("%s: told of %b", why, <-w.events)
	}
}

// settled checks that an end is not told time and again. The kernel may wake for one end more than once: for the state of the
// socket, and for the bytes or the error that came with it.
func (w *watched) settled(why string) {
	w.t.Helper()
	for told := 0; ; {
		for range 2 {
			do(w.t, w.l, func() {})
		}
		if len(w.events) == 0 {
			return
		}
		for ; len(w.events) > 0; told++ {
			if e := <-w.events; told > 2 || e&loop.Hup == 0 {
				w.t.Fatalf("%s: told of %b after %d others", why, e, told)
			}
		}
	}
}

// read reads once, and checks what comes.
func (w *watched) read(size int, want string, wantErr error) {
	w.t.Helper()
	do(w.t, w.l, func() {
		b := make([]byte, size)
		if n, err := w.l.Read(w.token, w.fd, b); string(b[:n]) != want || err != wantErr {
			w.t.Errorf("read %q and %v, want %q and %v", b[:n], err, want, wantErr)
		}
	})
}

func (w *watched) say(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.peer, s); err != nil {
		w.t.Fatal(err)
	}
}

// TestEdges: what is there is told once, and again only when it has been read to its end.
func TestEdges(t *testing.T) {
	w := watch(t)
	w.say("ab")
	w.next(loop.Readable)
	w.none("nothing has been read")
	w.read(1, "a", nil)
	w.none("a read that fills its buffer is not the end")
	w.read(2, "b", nil)
	w.none("nothing has come")
	w.say("c")
	w.next(loop.Readable)
	w.read(1, "c", nil)
	w.read(1, "", sock.Again)
	w.say("d")
	w.next(loop.Readable)
}

// TestHup: an end is told, at the latest when what is in front of it has been read, and not time and again.
func TestHup(t *testing.T) {
	w := watch(t)
	w.peer.(*net.TCPConn).CloseWrite()
	w.next(loop.Readable | loop.Hup)
	w.read(1, "", io.EOF)
	w.settled("the end has been read")

	w = watch(t)
	w.say("last words")
	w.next(loop.Readable)
	w.peer.(*net.TCPConn).CloseWrite()
	w.read(100, "last words", nil)
	w.next(loop.Readable | loop.Hup)
	w.read(100, "", io.EOF)
}

// TestReset: a reset is told, not time and again, and what is written then fails.
func TestReset(t *testing.T) {
	w := watch(t)
	w.peer.(*net.TCPConn).SetLinger(0)
	w.peer.Close()
	w.next(loop.Readable | loop.Hup)
	w.settled("nobody has read")
	do(t, w.l, func() {
		if _, err := w.l.Write(w.token, w.fd, []byte("x")); err == nil || err == sock.Again {
			t.Errorf("written after a reset: %v", err)
		}
	})
}

// TestWritable: a socket that took less than was written is told of when it takes more.
func TestWritable(t *testing.T) {
	w := watch(t)
	w.none("nothing has been written")
	fill := func() (total int) {
		do(t, w.l, func() {
			for b := make([]byte, 1<<20); ; {
				n, err := w.l.Write(w.token, w.fd, b)
				total += n
				if err != nil || n < len(b) {
					return
				}
			}
		})
		return total
	}
	for range 2 {
		n := fill()
		w.peer.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.CopyN(io.Discard, w.peer, int64(n)); err != nil {
			t.Fatal(err)
		}
		w.next(loop.Writable)
	}
}

// TestHandOver: the next handler is told what comes, and not what was told before.
func TestHandOver(t *testing.T) {
	w := watch(t)
	w.say("a")
	w.next(loop.Readable)
	second := &watched{t: t, l: w.l, fd: w.fd, token: w.token, peer: w.peer, events: make(chan loop.Events, 100)}
	do(t, w.l, func() { w.l.HandOver(w.token, second.probe(), 0) })
	second.none("the first one was told")
	second.read(2, "a", nil)
	second.say("b")
	second.next(loop.Readable)
	w.none("it has handed over")
}

// TestHandOverWithinABatch: an event that was found before the hand-over is the next handler's.
func TestHandOverWithinABatch(t *testing.T) {
	w := watch(t)
	first, second := make(chan loop.Events, 100), make(chan loop.Events, 100)
	do(t, w.l, func() {
		p, q := newProbe(), newProbe()
		p.event = func(_ int, e loop.Events) { first <- e }
		q.event = func(_ int, e loop.Events) { second <- e }
		w.l.HandOver(w.token, p, 0)
		w.say("a") // of which this loop cannot have been told
		w.l.HandOver(w.token, q, 0)
	})
	if e := await(t, second); e&loop.Readable == 0 || len(first) > 0 {
		t.Errorf("told %b, and the first one %d times", e, len(first))
	}
}

// TestEventOfAnEarlierTenant: two sockets have events in the same batch. Whoever is told first ends the watch of the other, whose
// place a third one takes, of which there is nothing to be read.
func TestEventOfAnEarlierTenant(t *testing.T) {
	l := start(t)
	fds, peers := [3]int{}, [3]net.Conn{}
	for i := range fds {
		fds[i], peers[i] = socket(t)
		t.Cleanup(func() { sock.Close(fds[i]) })
	}
	var tokens [2]loop.Token
	told := make(chan struct{})
	once := false
	tenant := newProbe()
	tenant.event = func(side int, e loop.Events) {
		if e&loop.Readable == 0 || once {
			return
		}
		once = true
		l.Release(tokens[1-side], fds[1-side])
		third := newProbe()
		third.event = func(_ int, e loop.Events) {
			if e&loop.Readable != 0 {
				t.Error("told of another's bytes")
			}
		}
		if again, err := l.Watch(fds[2], third, 0); err != nil || again != tokens[1-side] {
			t.Errorf("token %d and %v, want %d", again, err, tokens[1-side])
		}
		close(told)
	}
	do(t, l, func() {
		for i := range tokens {
			io.WriteString(peers[i], "x")
			tokens[i], _ = l.Watch(fds[i], tenant, i)
		}
	})
	await(t, told)
	for range 2 {
		do(t, l, func() {})
	}
	do(t, l, func() { l.Forget(tokens[0]); l.Forget(tokens[1]) })
}

// TestListener is told again for as long as a connection waits, and not while it is released.
func TestListener(t *testing.T) {
	l := start(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	fd := duplicate(t, listener.(*net.TCPListener))
	defer sock.Close(fd)
	accepted := make(chan int, 10)
	var token loop.Token
	calls := 0
	p := newProbe()
	p.event = func(int, loop.Events) {
		if calls++; calls%3 > 0 {
			return // another time
		}
		c, _, err := sock.Accept(fd)
		if err != nil {
			t.Error(err)
		}
		l.Release(token, fd)
		accepted <- c
	}
	for range 2 {
		peer, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
	}
	for range 2 {
		do(t, l, func() { token, _ = l.WatchListener(fd, p) })
		sock.Close(await(t, accepted))
	}
	if calls != 6 {
		t.Errorf("told %d times, want 6", calls)
	}
}

// TestEventsBeforeTimers: what has come is told before anything expires, also where that takes more than one batch.
func TestEventsBeforeTimers(t *testing.T) {
	l := start(t)
	first := make(chan string, 1000) // of what each socket was told
	do(t, l, func() {
		for range cap(first) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { sock.Close(fds[0]); sock.Close(fds[1]) })
			p := newProbe()
			p.expire = func() { first <- "the time" }
			p.event = func(int, loop.Events) {
				if _, set := p.Due(); set {
					l.StopTimer(&p.Timer)
					first <- "the byte"
				}
			}
			if _, err := l.Watch(fds[0], p, 0); err != nil {
				t.Error(err)
			}
			unix.Write(fds[1], []byte("x"))
			l.SetTimer(&p.Timer, l.Now()) // which is over already
		}
	})
	late := 0
	for range cap(first) {
		if await(t, first) == "the time" {
			late++
		}
	}
	if late > 0 {
		t.Errorf("the time of %d of %d sockets was over before their byte was told", late, cap(first))
	}
}
