//go:build unix && (!linux || race || portable)

package sock

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// These calls exist on every Unix, and the race detector understands them: what was done before a write has happened before
// what follows the read.

// Receive reads what is there: io.EOF at the end, Again where nothing is.
func Receive(fd int, b []byte) (int, error) {
	return received(func() (int, error) { return syscall.Read(fd, b) })
}

// Peek is Receive, but leaves there what it reads.
func Peek(fd int, b []byte) (int, error) {
	return received(func() (int, error) {
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return n, err
	})
}

func received(read func() (int, error)) (int, error) {
	for {
		n, err := read()
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Send writes what the socket takes, which may be less than b; Again where it takes nothing. Go ignores the signal of a broken
// pipe for all descriptors but the standard ones.
func Send(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		}
		return n, nil
	}
}

// Accept returns the next connection to the listening socket fd and the address that it comes from; Again where none waits.
// The connection does not block, and keeps little that is unsent.
func Accept(fd int) (int, netip.AddrPort, error) {
	syscall.ForkLock.RLock()
	conn, from, err := unix.Accept(fd)
	if err == nil {
		unix.CloseOnExec(conn)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	if err := unix.SetNonblock(conn, true); err != nil {
		Close(conn)
		return -1, netip.AddrPort{}, err
	}
	set(conn, option{unix.IPPROTO_TCP, lowWater, unsent})
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return conn, netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port)), nil
	case *unix.SockaddrInet6:
		return conn, netip.AddrPortFrom(netip.AddrFrom16(from.Addr), uint16(from.Port)), nil
	}
	return conn, netip.AddrPort{}, nil
}

// Dial returns a socket that does not block and begins to connect to an address; it is writable when it has. It sends without
// delay, and probes a silent peer: the reset of a connection that it has closed may have been lost, and then nobody would hear of that.
func Dial(to netip.AddrPort) (int, error) {
	family, addr := sockaddr(to)
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	set(fd, option{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, option{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1})
	set(fd, probes...)
	if err := unix.Connect(fd, addr); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) (family int, addr unix.Sockaddr) {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16(), ZoneId: zone(ip)}
}

// ShutdownWrite tells the other side that nothing more will be written.
func ShutdownWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// Close closes a socket that does not block.
func Close(fd int) { _ = unix.Close(fd) }
