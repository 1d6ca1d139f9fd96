//go:build unix

package loop

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Conn is about to be deleted. It returns a connection for a socket that no loop watches any more. It closes fd in any case. For a moment it needs a
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
	if l.held, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		l.held = -1
	}
}
