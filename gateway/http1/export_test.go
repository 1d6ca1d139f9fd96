package http1

import "syscall"

// Held returns the size of the buffer that r holds.
func Held(r *Reader) int { return len(r.mem.b) }

// WatchWaits calls look whenever r has found nothing to read and is about to wait.
func WatchWaits(r *Reader, look func()) { r.raw = &watchedConn{r.raw, look} }

type watchedConn struct {
	syscall.RawConn
	look func()
}

func (c *watchedConn) Read(f func(uintptr) bool) error {
	return c.RawConn.Read(func(fd uintptr) bool {
		done := f(fd)
		if !done {
			c.look()
		}
		return done
	})
}
