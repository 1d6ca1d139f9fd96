package http1

import "io"

// Body decodes the body of one message from bytes that arrive in pieces. The zero value is a body that has been read.
type Body struct {
	kind    bodyKind
	node    bool // it is a response's
	state   chunkState
	left    int64 // bytes of the body or of the chunk that are still to come
	counted int   // digits of a size, bytes of an extension, bytes of trailers
	err     error // why it cannot be read on
}

type bodyKind uint8

const (
	bodyDone bodyKind = iota
	bodyLength
	bodyChunked
	bodyToClose
)

// Body returns what decodes the body behind this head.
func (q *Request) Body() Body { return q.Head.body(false) }

// Body returns what decodes the body behind this head.
func (p *Response) Body() Body { return p.Head.body(true) }

func (h *Head) body(node bool) Body {
	switch {
	case h.Chunked:
		return Body{kind: bodyChunked, node: node}
	case h.ContentLength < 0:
		return Body{kind: bodyToClose, node: node}
	case h.ContentLength > 0:
		return Body{kind: bodyLength, node: node, left: h.ContentLength}
	}
	return Body{}
}

// Done reports whether all of the body has been read.
func (b *Body) Done() bool { return b.kind == bodyDone }

// Next decodes what has come, in, and returns the data in it and how many bytes of in it has used: all of them, unless the body
// ends before. Data lies in in itself, moved together where there was framing between. The error is an *Error, for bad chunks;
// data before the fault is returned with it.
func (b *Body) Next(in []byte) (data []byte, used int, err error) {
	switch {
	case b.err != nil || b.kind == bodyDone:
		return nil, 0, b.err
	case b.kind == bodyChunked:
		data, used = b.decode(in)
		return data, used, b.err
	case b.kind == bodyLength:
		in = in[:min(int64(len(in)), b.left)]
		if b.left -= int64(len(in)); b.left == 0 {
			b.kind = bodyDone
		}
	}
	return in, len(in), nil
}

// End tells that the connection has ended. It returns nil if that ends the body, and io.ErrUnexpectedEOF if it cuts it.
func (b *Body) End() error {
	switch {
	case b.kind == bodyToClose:
		b.kind = bodyDone
	case b.kind != bodyDone:
		return io.ErrUnexpectedEOF
	}
	return nil
}
