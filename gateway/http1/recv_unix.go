//go:build unix && !(linux && (amd64 || arm64) && !race)

package http1

import "syscall"

// recv reads what is there; sockets of package net do not block. The race detector understands this call.
func recv(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), b)
	if err == nil {
		return n, 0
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = syscall.EIO
	}
	return 0, errno
}
