package tunnel

import (
	"net"
	"sync"
	"syscall"
)

// The two sizes of buffers. The large one is the bound on what waits in a direction. The small one holds the usual frame; it is
// what a waiting connection of an unknown kind and a blocked client cost.
const (
	smallBuffer = 2 << 10
	largeBuffer = 64 << 10
)

// buffers lends buffers of the two sizes.
type buffers struct{ small, large sync.Pool }

func newBuffers() *buffers {
	b := new(buffers)
	b.small.New = func() any { return newBuffer(smallBuffer) }
	b.large.New = func() any { return newBuffer(largeBuffer) }
	return b
}

// lend returns the smallest buffer that holds n bytes, up to a large one.
func (b *buffers) lend(n int) *[]byte {
	if n > smallBuffer {
		return b.large.Get().(*[]byte)
	}
	return b.small.Get().(*[]byte)
}

func (b *buffers) giveBack(buf *[]byte) {
	if len(*buf) == largeBuffer {
		b.large.Put(buf)
	} else {
		b.small.Put(buf)
	}
}

func newBuffer(size int) *[]byte {
	b := make([]byte, size)
	return &b
}

// source reads a connection. It holds a buffer only between a read that brought bytes and release; for connections other than
// TCP and Unix sockets also while it waits.
type source struct {
	conn    net.Conn
	raw     syscall.RawConn // nil: plain reads
	try     func(fd uintptr) bool
	buffers *buffers
	buf     *[]byte // nil: nothing borrowed
	busy    bool    // the last read filled more than a small buffer

	n   int   // what the last read brought
	err error // and how it failed
}

func (s *source) init(c net.Conn, b *buffers) {
	s.conn, s.buffers = c, b
	s.raw = rawConn(c)
	if s.raw != nil {
		s.try = s.tryRead // once: a method value made for each read would be an allocation
	}
}

// read waits for bytes and returns them with io.EOF or another error, as an io.Reader may. They are valid until release.
func (s *source) read() ([]byte, error) {
	if s.raw == nil {
		s.borrow()
		s.n, s.err = s.conn.Read(*s.buf)
	} else if err := s.raw.Read(s.try); err != nil {
		return nil, err
	}
	if s.n <= 0 {
		s.release()
		return nil, s.err
	}
	s.busy = s.n >= smallBuffer
	return (*s.buf)[:s.n], s.err
}

func (s *source) borrow() {
	n := smallBuffer
	if s.busy {
		n = largeBuffer
	}
	s.buf = s.buffers.lend(n)
}

// release gives the buffer back, if one is borrowed.
func (s *source) release() {
	if s.buf != nil {
		s.buffers.giveBack(s.buf)
		s.buf = nil
	}
}
