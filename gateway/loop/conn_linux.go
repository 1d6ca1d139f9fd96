package loop

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Duplicate returns a descriptor of the same socket, for a loop: the runtime's own poller lets go of the socket when c, which
// is to be closed, is. The duplicate does not block, as c does not: that is a property of what both refer to.
func Duplicate(c syscall.RawConn) (int, error) {
	dup, err := -1, error(nil)
	if failed := c.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); failed != nil {
		return -1, failed
	}
	return dup, os.NewSyscallError("fcntl", err)
}

// Conn returns a connection for a socket that no loop watches any more. It closes fd in any case. For a moment it needs a
// second descriptor, and where the system gives none, it uses the one that the loop keeps for that.
func (l *Loop) Conn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	c, err := net.FileConn(f)
	if err != nil && l.held >= 0 {
		unix.Close(l.held)
		l.held = -1
		c, err = net.FileConn(f)
	}
	f.Close()
	if l.held < 0 {
		l.holdBack()
	}
	return c, err
}

// holdBack keeps a descriptor for Conn, if there is one.
func (l *Loop) holdBack() {
	var err error
	if l.held, err = unix.FcntlInt(uintptr(l.bell), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		l.held = -1
	}
}
