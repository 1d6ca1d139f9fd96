package loop

import (
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

// Accept returns the next connection to the listening socket fd and the address that it comes from; unix.EAGAIN where none
// waits. The connection does not block.
func Accept(fd int) (int, netip.Addr, error) {
	var from unix.RawSockaddrInet6 // an IPv4 address takes less room
	size := uint32(unsafe.Sizeof(from))
	conn, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, netip.Addr{}, e
	}
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
	family := uintptr(unix.AF_INET6)
	if to.Addr().Unmap().Is4() {
		family = unix.AF_INET
	}
	s, _, e := syscall.RawSyscall(unix.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, os.NewSyscallError("socket", e)
	}
	fd, on := int(s), int32(1)
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, s, unix.IPPROTO_TCP, unix.TCP_NODELAY, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
	if e = connect(s, to); e != 0 && e != unix.EINPROGRESS {
		Close(fd)
		return -1, os.NewSyscallError("connect", e)
	}
	return fd, nil
}

func connect(fd uintptr, to netip.AddrPort) (e syscall.Errno) {
	port := [2]byte{byte(to.Port() >> 8), byte(to.Port())}
	if a := to.Addr().Unmap(); a.Is4() {
		raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: a.As4()}
		_, _, e = syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
		return e
	}
	raw := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: to.Addr().As16()}
	if zone := to.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			raw.Scope_id = uint32(i.Index)
		}
	}
	_, _, e = syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
	return e
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
