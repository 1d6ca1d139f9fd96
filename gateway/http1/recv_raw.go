//go:build linux && (amd64 || arm64) && !race

package http1

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recv reads what is there. It tells the scheduler nothing of the system call, which would cost more than the call: it
// never waits.
func recv(fd uintptr, b []byte) (int, syscall.Errno) {
	return recvFrom(fd, b, unix.MSG_DONTWAIT)
}

// peekByte reads a byte and leaves it there.
func peekByte(fd uintptr, b *[1]byte) syscall.Errno {
	_, errno := recvFrom(fd, b[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
	return errno
}

func recvFrom(fd uintptr, b []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), flags, 0, 0)
	return int(n), errno
}
