package http1

import "sync"

// The two sizes of read buffers: nearly every head fits the small one, a body that streams wants the large one.
const (
	smallSize = 4 << 10
	largeSize = 64 << 10
)

// The free buffers of the whole process: a connection borrows one only while it has unread bytes, so they cannot belong
// to a connection, and pools per listener would only be emptier.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallSize]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeSize]byte) }}
)

// buffer is a borrowed piece of memory, or none.
type buffer struct {
	small *[smallSize]byte
	large *[largeSize]byte
	b     []byte
}

func (m *buffer) borrow(wide bool) {
	if wide {
		m.large = largeBuffers.Get().(*[largeSize]byte)
		m.b = m.large[:]
		return
	}
	m.small = smallBuffers.Get().(*[smallSize]byte)
	m.b = m.small[:]
}

func (m *buffer) giveBack() {
	if m.small != nil {
		smallBuffers.Put(m.small)
	}
	if m.large != nil {
		largeBuffers.Put(m.large)
	}
	*m = buffer{}
}
