//go:build unix

// Package sock has the system calls on sockets that do not block, on any Unix.
//
//	fd, err := sock.Dial(addr)
//	…
//	n, err := sock.Send(fd, request)
//	if err == sock.Again {
//		// the socket takes nothing for now
//	}
//
// Each call returns at once. On Linux none of them tells Go's scheduler of the system call, which would cost as much as a small
// call itself. Errors are the system's bare numbers, to be compared with ==, unless a function says otherwise.
//
// It waits for nothing and keeps nothing: package loop tells when a socket is ready, and whoever has a descriptor closes it.
package sock

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Again is the error of a call that would have to wait.
const Again = unix.EAGAIN

// unsent is how many bytes a system keeps for a client beyond those on their way to it. Otherwise it is megabytes, a third of
// which has to go before the socket is said to be writable: a client that reads slowly, but reads, would look like one that
// takes nothing.
const unsent = 128 << 10

// option is a socket option with the value that it is to have.
type option struct{ level, name, value int }

// set sets options. Where the system lacks one, things stay as usual.
func set(fd int, options ...option) {
	for _, o := range options {
		_ = unix.SetsockoptInt(fd, o.level, o.name, o.value)
	}
}

// PrepareListener has the connections that a listening socket accepts send without delay and probe silent peers, as package net
// does.
func PrepareListener(fd int) {
	set(fd, option{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, option{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1})
	set(fd, probes...)
}

// Failed returns the error that waits at a socket, and takes it away: a reset, which bytes that came before it hide from
// Receive and Peek.
func Failed(fd int) error {
	if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || n != 0 {
		if err == nil {
			err = syscall.Errno(n)
		}
		return err
	}
	return nil
}

// LocalAddr returns the address that a connected socket has here, an invalid one where it has none.
func LocalAddr(fd int) netip.AddrPort {
	name, _ := unix.Getsockname(fd)
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), uint16(name.Port))
	}
	return netip.AddrPort{}
}

// Abort has the close that follows reset the connection and drop what the peer has not taken, rather than leave it to the system
// for minutes.
func Abort(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// Duplicate returns another descriptor of the socket that c has. Go's own poller lets go of the socket when c is closed. The
// duplicate does not block, as c does not: that is a property of what both refer to.
func Duplicate(c syscall.RawConn) (int, error) {
	dup := -1
	var err error
	if failed := c.Control(func(fd uintptr) { dup, err = duplicate(fd) }); failed != nil {
		return -1, failed
	}
	return dup, err
}

func duplicate(fd uintptr) (int, error) {
	dup, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return dup, nil
}

// Pair returns the two ends of a connection within this process, which do not block.
func Pair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return pair, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range pair {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true) // which fails for no socket
	}
	return pair, nil
}

// zone returns the number of the interface that an IPv6 address is tied to, 0 for none.
func zone(ip netip.Addr) uint32 {
	if name := ip.Zone(); name != "" {
		if i, err := net.InterfaceByName(name); err == nil {
			return uint32(i.Index)
		}
	}
	return 0
}

// File returns a file of c's socket, which can be handed to another process. Unlike File of package net's sockets it never makes the
// socket block, which would hold for everybody who has it.
func File(c syscall.Conn, name string) (*os.File, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, err := Duplicate(raw)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Spare returns one more descriptor of the socket, -1 where the system gives none.
func Spare(fd int) int {
	dup, _ := duplicate(uintptr(fd))
	return dup
}

// Waits reports whether a connection waits to be accepted at the listening socket fd. Accept does not: Linux wants a descriptor first, and
// where there is none it says so whether or not a connection waits.
func Waits(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err != nil || n > 0
}
