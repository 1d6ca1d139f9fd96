//go:build race

package loop

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// The race detector understands these calls: what was done before a write has happened before what follows the read.

// Receive reads what is there: io.EOF at the end, unix.EAGAIN where nothing is.
func Receive(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
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

// Quiet reports whether there is nothing to be read, be it the end or an error. It takes nothing away.
func Quiet(fd int) bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == unix.EAGAIN
}

// Send writes what the socket takes, which may be less than b.
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
