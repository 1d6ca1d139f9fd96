package http1

import "io"

// fill waits for bytes and puts them behind the unread ones. It holds no buffer while it waits, unless there are
// unread bytes, which only a head leaves, or the connection cannot be waited for.
func (r *Reader) fill() error {
	r.makeRoom()
	if r.raw == nil {
		return r.read()
	}
	r.err = nil
	if err := r.raw.Read(r.try); err != nil {
		r.Release()
		return err
	}
	if r.err != nil {
		r.Release()
	}
	return r.err
}

// makeRoom leaves at least one free byte behind the unread ones in whatever buffer is held. A head that fills a small
// buffer moves to a large one, which holds the longest.
func (r *Reader) makeRoom() {
	if r.lo == r.hi {
		r.lo, r.hi = 0, 0
		if r.wide != (r.mem.large != nil) {
			r.mem.giveBack()
		}
		return
	}
	if r.hi < len(r.mem.b) {
		return
	}
	if r.lo > 0 {
		copy(r.mem.b, r.mem.b[r.lo:r.hi])
		r.lo, r.hi = 0, r.hi-r.lo
		return
	}
	old := r.mem
	r.mem = buffer{}
	r.mem.borrow(true)
	copy(r.mem.b, old.b[:r.hi])
	old.giveBack()
}

// read is fill for a connection of which nothing is known but Read.
func (r *Reader) read() error {
	if r.mem.b == nil {
		r.mem.borrow(r.wide)
	}
	for range 100 {
		n, err := r.conn.Read(r.mem.b[r.hi:])
		r.hi += n
		if n > 0 {
			return nil // an error that came with bytes comes again
		}
		if err != nil {
			r.Release()
			return err
		}
	}
	return io.ErrNoProgress
}
