//go:build unix && !(linux && (amd64 || arm64) && !race)

package http1

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// recv reads what is there; sockets of package net do not block. The race detector understands this call.
func recv(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), b)
	return n, number(err)
}

// peekByte reads a byte and leaves it there.
func peekByte(fd uintptr, b *[1]byte) syscall.Errno {
	_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return number(err)
}

// number returns the number of a system call's error, 0 for none.
func number(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return syscall.EIO
	}
	return errno
}
