package gateway

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// watch is a client's registration with the watcher: its number there, 0 while it is not watched, and its descriptor.
type watch struct {
	client *client
	raw    syscall.RawConn
	key    uint64
}

// hup ends what is done for a client that closed its connection. One that only half-closed it behind several requests has
// asked for more and waits for the answers, for halfTime. closed tells that it has closed its side in any case.
func (w watch) hup(closed bool) {
	gone := false
	w.raw.Control(func(fd uintptr) {
		n, err := unread(int(fd))
		switch c := w.client; {
		case n > 0:
			c.waits.Store(true)
			if closed {
				c.halfClosed()
			}
		case n == 0:
			if gone = !c.waits.Load(); !gone {
				c.halfClosed()
			}
		default:
			gone = err != unix.EAGAIN && err != unix.EINTR
		}
	})
	if gone {
		w.client.depart()
	}
}

// unread tells what waits to be read from a connection that may have ended: 0 bytes where nothing follows; less, and why, where
// nothing can be said, or where nobody waits for an answer any more.
func unread(fd int) (int, error) {
	if e, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && e != 0 {
		return -1, unix.Errno(e) // a reset, which bytes that came before it hide from reads
	}
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n, err
}

// newWatch returns a registration for c, or none where its connection has no descriptor to be watched.
func newWatch(c *client, key uint64) (watch, bool) {
	sc, ok := c.conn.(syscall.Conn)
	if !ok {
		return watch{}, false
	}
	raw, err := sc.SyscallConn()
	return watch{client: c, raw: raw, key: key}, err == nil
}
