//go:build !race && !portable

package sock

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These calls never block, so they are made without telling the scheduler. It is not only what the telling costs: on one machine
// connect and close go all the way to the other side, and within that time the scheduler's monitor finds the caller to be
// stuck and gives its processor away.

// Receive reads what is there: io.EOF at the end, Again where nothing is.
func Receive(fd int, b []byte) (int, error) { return receive(fd, b, unix.MSG_DONTWAIT) }

// Peek is Receive, but leaves there what it reads.
func Peek(fd int, b []byte) (int, error) { return receive(fd, b, unix.MSG_DONTWAIT|unix.MSG_PEEK) }

func receive(fd int, b []byte, flags uintptr) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
		switch {
		case e == unix.EINTR:
			continue
		case e != 0:
			return 0, e
		case n == 0:
			return 0, io.EOF
		}
		return int(n), nil
	}
}

// Send writes what the socket takes, which may be less than b; Again where it takes nothing.
func Send(fd int, b []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case e == unix.EINTR:
			continue
		case e != 0:
			return 0, e
		}
		return int(n), nil
	}
}

// Accept returns the next connection to the listening socket fd and the address that it comes from; Again where none waits.
// The connection does not block, and keeps little that is unsent.
func Accept(fd int) (int, netip.AddrPort, error) {
	var from unix.RawSockaddrInet6 // an IPv4 address takes less room
	size := uint32(unsafe.Sizeof(from))
	conn, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, netip.AddrPort{}, e
	}
	setOption(conn, unix.IPPROTO_TCP, lowWater, unsent) // of a listening socket of Multipath TCP it would not be inherited
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&from.Port))[:])
	switch from.Family {
	case unix.AF_INET:
		return int(conn), netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&from)).Addr), port), nil
	case unix.AF_INET6:
		return int(conn), netip.AddrPortFrom(netip.AddrFrom16(from.Addr), port), nil
	}
	return int(conn), netip.AddrPort{}, nil
}

// Dial returns a socket that does not block and begins to connect to an address; it is writable when it has. It sends without
// delay, and probes a silent peer: the reset of a connection that it has closed may have been lost, and then nobody would hear of that.
func Dial(to netip.AddrPort) (int, error) {
	raw, size := sockaddr(to)
	s, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(raw.Family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, os.NewSyscallError("socket", e)
	}
	fd := int(s)
	setOption(s, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	setOption(s, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, firstProbe)
	setOption(s, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_, _, e = syscall.RawSyscall(unix.SYS_CONNECT, s, uintptr(unsafe.Pointer(&raw)), size)
	if e != 0 && e != unix.EINPROGRESS {
		Close(fd)
		return -1, os.NewSyscallError("connect", e)
	}
	return fd, nil
}

// setOption sets an option. Where the system lacks it, things stay as usual.
func setOption(fd uintptr, level, name int, value int32) {
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
}

// sockaddr is an address in the kernel's form, an IPv4 one in the first bytes of it, and its size.
func sockaddr(a netip.AddrPort) (raw unix.RawSockaddrInet6, size uintptr) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:], a.Port()) // in the same place in both forms
	ip := a.Addr().Unmap()
	if ip.Is4() {
		raw4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw))
		raw4.Family, raw4.Addr = unix.AF_INET, ip.As4()
		return raw, unix.SizeofSockaddrInet4
	}
	raw.Family, raw.Addr, raw.Scope_id = unix.AF_INET6, ip.As16(), zone(ip)
	return raw, unix.SizeofSockaddrInet6
}

// ShutdownWrite tells the other side that nothing more will be written.
func ShutdownWrite(fd int) error {
	if _, _, e := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0); e != 0 {
		return e
	}
	return nil
}

// Close closes a socket that does not block.
func Close(fd int) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }
