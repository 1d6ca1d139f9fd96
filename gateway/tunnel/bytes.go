package tunnel

import (
	"encoding/binary"
	"io"
	"syscall"
)

// endsInClose reports whether what a node has said ends with a Close frame (RFC 6455, 5.5.1) that has no reason, or is that frame
// alone, and its code, 0 where it has none. It looks at a few bytes, since a tunnel knows no frames: another frame may rarely end like one, and then the cause of
// an end that follows it at once is wrong.
func endsInClose(b []byte) (closes bool, code uint16) {
	n := len(b)
	switch {
	case n >= 4 && b[0] == closing && int(b[1]) == n-2:
		return true, binary.BigEndian.Uint16(b[2:])
	case n >= 4 && b[n-4] == closing && b[n-3] == 2:
		return true, binary.BigEndian.Uint16(b[n-2:])
	}
	return n >= 2 && (b[0] == closing && int(b[1]) == n-2 || b[n-2] == closing && b[n-1] == 0), 0
}

// clientEndsInClose is endsInClose of what a client has said, whose frames are masked.
func clientEndsInClose(b []byte) bool {
	const head, mask = 6, 1 << 7
	n := len(b)
	return n >= head && (b[0] == closing && int(b[1]) == mask|n-head || b[n-head] == closing && b[n-head+1] == mask) ||
		n >= head+2 && b[n-head-2] == closing && b[n-head-1] == mask|2
}

// clientSaid and nodeSaid look for the first Close frame. One that more follows from its side was none.
func (t *tunnel) clientSaid(b []byte) {
	switch closes := clientEndsInClose(b); {
	case closes && t.closer == 0:
		t.closer = ClientClosed
	case !closes && t.closer == ClientClosed:
		t.closer = 0
	}
}

func (t *tunnel) nodeSaid(b []byte) {
	var code uint16
	switch t.closes, code = endsInClose(b); {
	case t.closes && t.closer == 0:
		t.closer, t.code = NodeClosed, code
	case !t.closes && t.closer == NodeClosed:
		t.closer, t.code = 0, 0
	}
}

// closing begins a Close frame: FIN and the opcode.
const closing = 0x88

// isPing reports whether b is one frame with Engine.IO's ping, from a node, and isPong whether it is one with a pong, from a client.
func isPing(b []byte) bool { return len(b) == 3 && b[0] == textFrame && b[1] == 1 && b[2] == '2' }

func isPong(b []byte) bool {
	const masked = 1<<7 | 1
	return len(b) == 7 && b[0] == textFrame && b[1] == masked && b[6]^b[2] == '3'
}

// textFrame begins a text that is one frame, FIN and the opcode (RFC 6455, 5.2), and is not compressed.
const textFrame = 0x81

// blame returns gone if err says that the peer has closed or reset the connection.
func blame(err error, gone Cause) Cause {
	if err == io.EOF || err == syscall.ECONNRESET || err == syscall.EPIPE {
		return gone
	}
	return Failed
}
