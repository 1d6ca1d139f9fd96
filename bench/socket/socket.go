//go:build linux

// Package socket is TCP over IPv4 without blocking, for a thread that serves all of its connections in one epoll loop:
//
//	p, err := socket.NewPoller()
//	fd, err := socket.Dial(addr)
//	err = p.Add(fd, socket.Both, socket.Token{Slot: 7})
//	for _, event := range p.Wait(time.Second) { … }
//
// Nothing here allocates per operation. A Poller and its descriptors belong to one thread, which keeps its processor:
// see Wait.
package socket

import (
	"fmt"
	"io"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Address is where to dial or listen. Make it once, with Resolve.
type Address = *unix.SockaddrInet4

// backlog is what the kernel allows at most by default.
const backlog = 4096

// Resolve looks addr, a host:port, up.
func Resolve(addr string) (Address, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	to := &unix.SockaddrInet4{Port: a.Port}
	copy(to.Addr[:], a.IP.To4())
	return to, nil
}

// Listen returns a listener at a. Its connections are TCP_NODELAY.
func Listen(a Address) (int, error) {
	fd, err := open()
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		if err = unix.Bind(fd, a); err == nil {
			err = unix.Listen(fd, backlog)
		}
	}
	if err != nil {
		Close(fd)
		return -1, fmt.Errorf("socket: listen: %w", err)
	}
	return fd, nil
}

// Port returns the port that fd is bound to.
func Port(fd int) (int, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("socket: port: %w", err)
	}
	return name.(Address).Port, nil
}

// Accept returns the listener's next connection, or -1 if none waits.
func Accept(listener int) (int, error) {
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	switch errno {
	case 0:
		return int(fd), nil
	case unix.EAGAIN, unix.ECONNABORTED:
		return -1, nil
	}
	return -1, fmt.Errorf("socket: accept: %w", errno)
}

// Dial begins a connection to a, from the local address source if that is not nil. It may be written to at once: Write
// takes nothing as long as it does not stand, and tells why if it fails.
func Dial(a, source Address) (int, error) {
	fd, err := open()
	if err != nil {
		return -1, err
	}
	if source != nil {
		if err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err == nil {
			err = unix.Bind(fd, source)
		}
	}
	if err == nil {
		err = unix.Connect(fd, a)
	}
	if err != nil && err != unix.EINPROGRESS {
		Close(fd)
		return -1, fmt.Errorf("socket: dial: %w", err)
	}
	return fd, nil
}

// open returns a new socket. TCP_NODELAY on a listener is inherited by its connections.
func open() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: open: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		Close(fd)
		return -1, fmt.Errorf("socket: open: %w", err)
	}
	return fd, nil
}

// Close closes fd; a Poller forgets it.
func Close(fd int) {
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// Read reads what is there into b: 0 and nil is nothing now, io.EOF the end.
func Read(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
	switch {
	case errno == unix.EAGAIN:
		return 0, nil
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	return int(n), nil
}

// Write writes as much of b as goes now, and returns how much that is.
func Write(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN:
		return 0, nil
	}
	return 0, errno
}
