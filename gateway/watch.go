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
// asked for more and waits for the answers.
func (w watch) hup() {
	gone := false
	w.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch c := w.client; {
		case n > 0:
			c.waits.Store(true)
		case n == 0:
			gone = !c.waits.Load()
		default:
			gone = err != unix.EAGAIN && err != unix.EINTR
		}
	})
	if gone {
		w.client.depart()
	}
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
