package loop_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/loop"
)

// listen returns a listening socket that does not block, and its address.
func listen(t *testing.T, address string) (int, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return duplicate(t, l.(*net.TCPListener)), l.Addr().(*net.TCPAddr).AddrPort()
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

// TestDialAndAccept takes a connection through its life from both sides.
func TestDialAndAccept(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, addr := listen(t, address)
		defer loop.Close(listener)
		if _, _, err := loop.Accept(listener); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("%s: accepted before anybody came: %v", address, err)
		}
		client, err := loop.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer loop.Close(client)
		ready(t, client, unix.POLLOUT)
		ready(t, listener, unix.POLLIN)
		server, from, err := loop.Accept(listener)
		if err != nil || from != addr.Addr() {
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
		if v, err := unix.GetsockoptInt(client, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || v == 0 {
			t.Errorf("%s: no TCP_NODELAY: %v", address, err)
		}
		if n, err := loop.Send(client, []byte("x")); n != 1 || err != nil {
			t.Error(n, err)
		}
		loop.Shutdown(client)
		ready(t, server, unix.POLLRDHUP)
		b := make([]byte, 8)
		if n, err := loop.Receive(server, b); n != 1 || err != nil {
			t.Error(n, err)
		}
		if _, err := loop.Receive(server, b); err != io.EOF {
			t.Error(err)
		}
		loop.Close(server)
		ready(t, client, unix.POLLIN)
		if _, err := loop.Receive(client, b); err != io.EOF {
			t.Error(err)
		}
	}
}

// TestDialRefused: the refusal comes at once or as an event.
func TestDialRefused(t *testing.T) {
	listener, addr := listen(t, "127.0.0.1:0")
	loop.Close(listener)
	fd, err := loop.Dial(addr)
	if err == nil {
		defer loop.Close(fd)
		ready(t, fd, unix.POLLIN)
		_, err = loop.Receive(fd, make([]byte, 1))
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
}

// TestMappedAddress dials an IPv4 address in IPv6 clothes, as package net tells of the peers of a socket for both.
func TestMappedAddress(t *testing.T) {
	listener, addr := listen(t, "127.0.0.1:0")
	defer loop.Close(listener)
	fd, err := loop.Dial(netip.AddrPortFrom(netip.AddrFrom16(addr.Addr().As16()), addr.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close(fd)
	ready(t, listener, unix.POLLIN)
	conn, _, err := loop.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	loop.Close(conn)
}
