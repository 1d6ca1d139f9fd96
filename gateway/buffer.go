package gateway

import "sync"

// bufferPool lends byte slices to what waits to be read or written.
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

// queued are bytes of one connection that wait to be read or written. It holds a buffer only while there are some.
type queued struct {
	b   []byte
	buf *[]byte // that b lies in; nil: b lies in the loop's buffer, until keep is called
}

// keep copies b out of the loop's buffer, which others are about to use.
func (q *queued) keep() {
	if q.buf != nil || len(q.b) == 0 {
		return
	}
	q.buf = buffers.get()
	*q.buf = append((*q.buf)[:0], q.b...)
	q.b = *q.buf
}

// add puts a copy of p behind what is there.
func (q *queued) add(p []byte) {
	if q.keep(); q.buf == nil {
		q.buf = buffers.get()
	}
	*q.buf = append((*q.buf)[:copy((*q.buf)[:len(q.b)], q.b)], p...)
	q.b = *q.buf
}

// receive puts p, which lies in the loop's buffer, behind what is there. It is not copied where nothing is.
func (q *queued) receive(p []byte) {
	if len(q.b) > 0 {
		q.add(p)
		return
	}
	q.free()
	q.b = p
}

// drop passes n bytes, and gives the buffer back with the last.
func (q *queued) drop(n int) {
	if q.b = q.b[n:]; len(q.b) == 0 {
		q.free()
	}
}

func (q *queued) free() {
	if q.buf != nil {
		buffers.put(q.buf)
	}
	*q = queued{}
}
