//go:build unix

package tunnel

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawConn returns the raw form of a TCP or Unix socket and nil for all else. It asks for the exact types, since a type that
// embeds one of them may read differently.
func rawConn(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	return raw
}

// tryRead reads what is there into a borrowed buffer. If there is nothing, it gives the buffer back and reports false, so that
// RawConn.Read waits until the connection is readable and calls again.
func (s *source) tryRead(fd uintptr) bool {
	s.borrow()
	for {
		n, err := unix.Read(int(fd), *s.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			s.release()
			return false
		case err == nil && n == 0:
			err = io.EOF
		}
		s.n, s.err = n, err
		return true
	}
}
