package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollNow asks for events without waiting.
func pollNow(epoll int, events []unix.EpollEvent) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}
