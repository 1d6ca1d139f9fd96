package tunnel

import "sync"

// The two sizes of buffers. The large one is the bound on what waits in a direction. The small one holds the usual frame; it is
// what a blocked client costs.
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
