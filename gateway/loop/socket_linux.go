package loop

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Like those that read and write, these calls never block and are made without telling the scheduler. It is not only what the
// telling costs: on one machine connect and close go all the way to the other side, and within that time the scheduler's
// monitor finds the loop to be stuck and gives its processor away.

// unsent is how many bytes a system keeps for a client beyond those on their way to it. Otherwise it is megabytes, a third of
// which has to go before the socket is said to be writable: a client that reads slowly, but reads, would look like one that
// takes nothing.
const unsent = 128 << 10

// Accept returns the next connection to the listening socket fd and the address that it comes from; unix.EAGAIN where none
// waits. The connection does not block, and keeps little that is unsent.
func Accept(fd int) (int, netip.Addr, error) {
	var from unix.RawSockaddrInet6 // an IPv4 address takes less room
	size := uint32(unsafe.Sizeof(from))
	conn, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, netip.Addr{}, e
	}
	setOption(conn, unix.TCP_NOTSENT_LOWAT, unsent) // of a listening socket of Multipath TCP it would not be inherited
	switch from.Family {
	case unix.AF_INET:
		return int(conn), netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&from)).Addr), nil
	case unix.AF_INET6:
		return int(conn), netip.AddrFrom16(from.Addr), nil
	}
	return int(conn), netip.Addr{}, nil
}

// Dial returns a socket that does not block and begins to connect to an address; it is writable when it has. It sends without
// delay. It does not probe a silent peer: whoever waits on a loop has a timer.
func Dial(to netip.AddrPort) (int, error) {
	raw, size := sockaddr(to)
	s, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(raw.Family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, os.NewSyscallError("socket", e)
	}
	fd := int(s)
	setOption(s, unix.TCP_NODELAY, 1)
	_, _, e = syscall.RawSyscall(unix.SYS_CONNECT, s, uintptr(unsafe.Pointer(&raw)), size)
	if e != 0 && e != unix.EINPROGRESS {
		Close(fd)
		return -1, os.NewSyscallError("connect", e)
	}
	return fd, nil
}

// setOption sets an option of TCP. Where the system lacks it, things stay as usual.
func setOption(fd uintptr, name int, value int32) {
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.IPPROTO_TCP, uintptr(name), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
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
	raw.Family, raw.Addr = unix.AF_INET6, ip.As16()
	if zone := ip.Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			raw.Scope_id = uint32(i.Index)
		}
	}
	return raw, unix.SizeofSockaddrInet6
}

// Shutdown tells the other side that nothing more will be written.
func Shutdown(fd int) { syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0) }

// Close closes a socket that does not block.
func Close(fd int) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// control changes what an epoll instance watches.
func control(epoll, op, fd int, e *unix.EpollEvent) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// pollFor waits for events for so many milliseconds at most. A signal, by which the scheduler interrupts a goroutine, ends it
// early: then it returns less than 0.
func pollFor(epoll int, events []unix.EpollEvent, ms int) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	if e != 0 {
		return -1
	}
	return int(n)
}
