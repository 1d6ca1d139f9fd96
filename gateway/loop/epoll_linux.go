package loop

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Like the calls of package sock, these never block and are made without telling the scheduler.

// told puts what epoll saw into the loop's words.
func told(events uint32) (e Events) {
	if events&unix.EPOLLIN != 0 {
		e = Readable
	}
	if events&unix.EPOLLOUT != 0 {
		e |= Writable
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e |= Hup | Readable
	}
	return e
}

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
