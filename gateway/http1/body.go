package http1

import (
	"io"
	"time"
)

// Body is the body of the message that was read last. It belongs to its Reader and is used by the same goroutine.
type Body struct {
	r       *Reader
	kind    bodyKind
	node    bool // it is a response's
	state   chunkState
	left    int64 // bytes of the body or of the chunk that are still to come
	counted int   // digits of a size, bytes of an extension, bytes of trailers
	err     error // io.EOF once all is read
}

type bodyKind uint8

const (
	bodyLength bodyKind = iota
	bodyChunked
	bodyToClose
)

// start gets ready for the body that h announces.
func (b *Body) start(h *Head, node bool) {
	*b = Body{r: b.r, node: node}
	switch {
	case h.Chunked:
		b.kind = bodyChunked
	case h.ContentLength < 0:
		b.kind = bodyToClose
	default:
		b.left = h.ContentLength
		if b.left == 0 {
			b.finish()
		}
	}
}

// finish notes that the body is read, and of a node's answer when: its connection, if it is known, is idle from now on.
func (b *Body) finish() {
	b.err = io.EOF
	if b.node && b.r.conn != nil {
		b.r.ended = time.Now()
	}
}

// Done reports whether all of the body has been read, be it that the last piece has just been returned.
func (b *Body) Done() bool { return b.err == io.EOF }

// Next returns the next piece of the body, decoded, as large as what has arrived and never empty; it is valid until the next
// call of a method of b or its Reader. It waits as long as the connection's read deadline allows; after a deadline it
// may be called again. At the body's end it returns io.EOF, for a cut one io.ErrUnexpectedEOF, for bad chunks an *Error.
// Small chunks that arrived together come as one piece.
func (b *Body) Next() ([]byte, error) {
	r := b.r
	for b.err == nil {
		if r.lo == r.hi {
			if err := b.fill(); err != nil {
				return nil, err
			}
			continue
		}
		var piece []byte
		if b.kind == bodyChunked {
			piece = b.decode()
		} else {
			piece = b.plain()
		}
		if len(piece) > 0 {
			return piece, nil
		}
	}
	r.Release()
	return nil, b.err
}

// Whole returns what is left of the body where its length is known and all of it has been received: in one piece, as Next
// would. Otherwise it reports false and has read nothing.
func (b *Body) Whole() ([]byte, bool) {
	switch r := b.r; {
	case b.err == io.EOF:
		return nil, true
	case b.err != nil, b.kind != bodyLength, int64(r.hi-r.lo) < b.left:
		return nil, false
	}
	return b.plain(), true
}

// fill gets more bytes, or notes that there are none to come.
func (b *Body) fill() error {
	r := b.r
	filled := r.hi > 0 && r.hi == len(r.mem.b)
	r.wide = b.kind == bodyLength && b.left > smallSize || filled
	err := r.fill()
	r.wide = false
	if err != io.EOF {
		return err
	}
	if b.kind == bodyToClose {
		b.finish()
		return nil
	}
	b.err = io.ErrUnexpectedEOF
	return nil
}

// plain returns what is there of a body that is not coded.
func (b *Body) plain() []byte {
	r := b.r
	piece := r.mem.b[r.lo:r.hi]
	if b.kind == bodyLength {
		piece = piece[:min(int64(len(piece)), b.left)]
		if b.left -= int64(len(piece)); b.left == 0 {
			b.finish()
		}
	}
	r.lo += len(piece)
	return piece
}
