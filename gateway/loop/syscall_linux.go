package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollFor waits for events for so many milliseconds at most, without telling the scheduler. A signal, by
// which the scheduler interrupts a goroutine, ends it early: then it returns less than 0.
func pollFor(epoll int, events []unix.EpollEvent, ms int) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	if e != 0 {
		return -1
	}
	return int(n)
}
