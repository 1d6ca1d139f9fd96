//go:build linux

package socket_test

import (
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/bench/socket"
)

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(4)
	goleak.VerifyTestMain(m)
}

// pair returns a listener's poller and both ends of a connection, which the poller does not watch.
func pair(t *testing.T) (p *socket.Poller, client, server int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := socket.NewPoller()
	must(err)
	t.Cleanup(p.Close)
	at, err := socket.Resolve("127.0.0.1:0")
	must(err)
	listener, err := socket.Listen(at)
	must(err)
	t.Cleanup(func() { socket.Close(listener) })
	at.Port, err = socket.Port(listener)
	must(err)
	must(p.Add(listener, socket.Accepting, socket.Token{Slot: -9}))
	client, err = socket.Dial(at, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 7}})
	must(err)
	if got := next(t, p); got.Fd != -9 {
		t.Fatalf("%+v", got)
	}
	server, err = socket.Accept(listener)
	must(err)
	if fd, err := socket.Accept(listener); fd != -1 || err != nil {
		t.Fatalf("a second connection: %d %v", fd, err)
	}
	return p, client, server
}

// next returns the only event of a wait.
func next(t *testing.T, p *socket.Poller) socket.Event {
	t.Helper()
	for range 1000 { // a wait may be interrupted
		if events := p.Wait(time.Second); len(events) == 1 {
			return events[0]
		} else if len(events) > 1 {
			t.Fatalf("%d events", len(events))
		}
	}
	t.Fatal("no event")
	return socket.Event{}
}

func TestBytesAndEndsArriveWithTheirToken(t *testing.T) {
	p, client, server := pair(t)
	defer socket.Close(server)
	if err := p.Add(server, socket.Both, socket.Token{Slot: 5, Turn: 6}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, p); e.Fd != 5 || e.Pad != 6 || e.Events != socket.Writable {
		t.Fatalf("%+v", e)
	}
	b := make([]byte, 10)
	if n, err := socket.Read(server, b); n != 0 || err != nil {
		t.Fatalf("nothing: %d %v", n, err)
	}
	if n, err := socket.Write(client, []byte("hello")); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if e := next(t, p); e.Events&socket.Readable == 0 || e.Events&socket.Ended != 0 {
		t.Fatalf("%+v", e)
	}
	if n, err := socket.Read(server, b); string(b[:n]) != "hello" || err != nil {
		t.Fatalf("%q %v", b[:n], err)
	}
	socket.Close(client)
	if e := next(t, p); e.Events&socket.Ended == 0 {
		t.Fatalf("%+v", e)
	}
	if n, err := socket.Read(server, b); n != 0 || err != io.EOF {
		t.Fatal(n, err)
	}
}

func TestAFullConnectionTakesNoMore(t *testing.T) {
	_, client, server := pair(t)
	defer socket.Close(server)
	defer socket.Close(client)
	b := make([]byte, 1<<20)
	for range 1000 {
		n, err := socket.Write(client, b)
		if err != nil {
			t.Fatal(err)
		}
		if n < len(b) {
			return
		}
	}
	t.Error("a connection that nobody reads takes a gigabyte")
}

func TestWaitsEnd(t *testing.T) {
	p, client, server := pair(t)
	defer socket.Close(server)
	defer socket.Close(client)
	const limit = 5 * time.Millisecond
	for begin := time.Now(); ; {
		if events := p.Wait(limit); len(events) > 0 {
			t.Fatalf("%d events", len(events))
		}
		if time.Since(begin) >= limit {
			return
		}
	}
}

func TestDialTellsOfRefusal(t *testing.T) {
	at, err := socket.Resolve("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := socket.Dial(at, nil)
	if err == nil {
		defer socket.Close(fd)
		_, err = socket.Write(fd, []byte("x"))
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
	if _, err := socket.Resolve("nowhere"); err == nil {
		t.Error("nowhere resolves")
	}
}
