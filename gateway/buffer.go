package gateway

import "sync"

// bufferPool lends byte slices to what is written in one piece: a head with its body.
type bufferPool struct{ pool sync.Pool }

var buffers = bufferPool{sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}}

// largest is the capacity that is worth keeping: a whole body of 64 KiB behind its head.
const largest = 128 << 10

func (p *bufferPool) get() *[]byte { return p.pool.Get().(*[]byte) }

func (p *bufferPool) put(b *[]byte) {
	if cap(*b) <= largest {
		*b = (*b)[:0]
		p.pool.Put(b)
	}
}
