//go:build unix

package http1

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawConn returns the socket below c, nil where c is not itself a socket: a type around one may change what is read.
func rawConn(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// receive is what the poller calls until it returns true, once at first and then whenever the socket may be readable.
// It borrows the buffer for the one system call and keeps it only if bytes came.
func (r *Reader) receive(fd uintptr) bool {
	if r.mem.b == nil {
		r.mem.borrow(r.wide)
	}
	for {
		n, errno := recv(fd, r.mem.b[r.hi:])
		switch {
		case errno == 0 && n > 0:
			r.hi += n
			return true
		case errno == 0:
			r.err = io.EOF
			return true
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			r.Release()
			return false
		default:
			r.err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("recvfrom", errno)}
			return true
		}
	}
}
