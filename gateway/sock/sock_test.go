//go:build unix

package sock_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/sock"
)

// listen returns a listening socket that does not block, and its address.
func listen(t *testing.T, address string) (int, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := sock.Duplicate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return fd, l.Addr().(*net.TCPAddr).AddrPort()
}

// ready waits for events at a descriptor.
func ready(t *testing.T, fd int, events int16) {
	t.Helper()
	what := []unix.PollFd{{Fd: int32(fd), Events: events}}
	deadline := time.Now().Add(10 * time.Second)
	for {
		n, err := unix.Poll(what, 1000)
		if n == 1 {
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			t.Fatalf("no event: %v", err)
		}
	}
}

func TestWaits(t *testing.T) {
	listener, addr := listen(t, "127.0.0.1:0")
	defer sock.Close(listener)
	if sock.Waits(listener) {
		t.Error("somebody waits before anybody came")
	}
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ready(t, listener, unix.POLLIN)
	if !sock.Waits(listener) {
		t.Error("nobody waits")
	}
}

// TestDialAndAccept takes a connection through its life from both sides.
func TestDialAndAccept(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, addr := listen(t, address)
		defer sock.Close(listener)
		if _, _, err := sock.Accept(listener); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("%s: accepted before anybody came: %v", address, err)
		}
		client, err := sock.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer sock.Close(client)
		ready(t, client, unix.POLLOUT)
		ready(t, listener, unix.POLLIN)
		server, from, err := sock.Accept(listener)
		if err != nil || from.Addr() != addr.Addr() {
			t.Fatalf("%s: from %v, %v", address, from, err)
		}
		for _, fd := range []int{client, server} {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
				t.Errorf("%s: flags %x, %v", address, flags, err)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: descriptor flags %x, %v", address, flags, err)
			}
		}
		if got := sock.LocalAddr(server); got != addr {
			t.Errorf("%s: accepted at %v", address, got)
		}
		if n, err := sock.Send(client, []byte("x")); n != 1 || err != nil {
			t.Error(n, err)
		}
		sock.ShutdownWrite(client)
		ready(t, server, unix.POLLIN)
		b := make([]byte, 8)
		if n, err := sock.Receive(server, b); n != 1 || err != nil {
			t.Error(n, err)
		}
		if _, err := sock.Receive(server, b); err != io.EOF {
			t.Error(err)
		}
		sock.Close(server)
		ready(t, client, unix.POLLIN)
		if _, err := sock.Receive(client, b); err != io.EOF {
			t.Error(err)
		}
	}
}

// TestDialRefused: the refusal comes at once or as an event.
func TestDialRefused(t *testing.T) {
	listener, addr := listen(t, "127.0.0.1:0")
	sock.Close(listener)
	fd, err := sock.Dial(addr)
	if err == nil {
		defer sock.Close(fd)
		ready(t, fd, unix.POLLIN)
		_, err = sock.Receive(fd, make([]byte, 1))
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
}

// TestMappedAddress dials an IPv4 address in IPv6 clothes, as package net tells of the peers of a socket for both.
func TestMappedAddress(t *testing.T) {
	listener, addr := listen(t, "127.0.0.1:0")
	defer sock.Close(listener)
	fd, err := sock.Dial(netip.AddrPortFrom(netip.AddrFrom16(addr.Addr().As16()), addr.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close(fd)
	ready(t, listener, unix.POLLIN)
	conn, _, err := sock.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	sock.Close(conn)
}

// pair returns both ends of a connection.
func pair(t *testing.T) (client, server int) {
	t.Helper()
	listener, addr := listen(t, "127.0.0.1:0")
	defer sock.Close(listener)
	sock.PrepareListener(listener)
	client, err := sock.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close(client) })
	ready(t, listener, unix.POLLIN)
	server, from, err := sock.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(client)
	if in, ok := name.(*unix.SockaddrInet4); err != nil || !ok || int(from.Port()) != in.Port {
		t.Errorf("from port %d of %v, %v", from.Port(), name, err)
	}
	return client, server
}

// TestPeek looks at bytes and at the end, and takes neither away.
func TestPeek(t *testing.T) {
	client, server := pair(t)
	defer sock.Close(server)
	b := make([]byte, 8)
	if _, err := sock.Peek(server, b); err != sock.Again {
		t.Errorf("nothing is there: %v", err)
	}
	if _, err := sock.Send(client, []byte("x")); err != nil {
		t.Fatal(err)
	}
	ready(t, server, unix.POLLIN)
	for range 2 {
		if n, err := sock.Peek(server, b); n != 1 || err != nil {
			t.Error(n, err)
		}
	}
	if err := sock.ShutdownWrite(client); err != nil {
		t.Error(err)
	}
	if n, err := sock.Receive(server, b); n != 1 || err != nil {
		t.Error(n, err)
	}
	ready(t, server, unix.POLLIN)
	if n, err := sock.Peek(server, b); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}

// TestAbort resets a connection with bytes before the reset, which Failed finds behind them.
func TestAbort(t *testing.T) {
	client, server := pair(t)
	if err := sock.Failed(client); err != nil {
		t.Errorf("failed before the reset: %v", err)
	}
	if _, err := sock.Send(server, []byte("x")); err != nil {
		t.Fatal(err)
	}
	ready(t, client, unix.POLLIN)
	sock.Abort(server)
	sock.Close(server)
	ready(t, client, unix.POLLPRI) // of which only the reset is news
	if err := sock.Failed(client); err != unix.ECONNRESET {
		t.Error(err)
	}
	if _, err := sock.Send(client, []byte("x")); err != unix.EPIPE {
		t.Error(err)
	}
}

// TestOptions: what is dialed, and what is accepted, probes silent peers and sends without delay.
func TestOptions(t *testing.T) {
	client, server := pair(t)
	defer sock.Close(server)
	for _, o := range [...]struct{ level, name int }{{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_NODELAY}} {
		for _, fd := range []int{client, server} {
			if v, err := unix.GetsockoptInt(fd, o.level, o.name); err != nil || v == 0 {
				t.Errorf("option %d: %d, %v", o.name, v, err)
			}
		}
	}
}
