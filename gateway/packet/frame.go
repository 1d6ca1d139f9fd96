package packet

import "encoding/binary"

// The bits of a frame's first two bytes, and its opcodes (RFC 6455, 5.2).
const (
	finBit  = 0x80
	opBits  = 0x0f
	maskBit = 0x80

	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa
)

// header is that of a frame.
type header struct {
	size   int    // of the header itself
	length uint64 // of the payload
	op     byte
	fin    bool
	masked bool
	mask   [4]byte
}

func (h *header) isControl() bool { return h.op >= opClose }

// parseHeader reads the header at the start of b; false where it is cut.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < 2 {
		return h, false
	}
	h.op, h.fin, h.masked = b[0]&opBits, b[0]&finBit != 0, b[1]&maskBit != 0
	h.length, h.size = uint64(b[1]&^maskBit), 2
	switch h.length {
	case 126:
		if len(b) < 4 {
			return h, false
		}
		h.length, h.size = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return h, false
		}
		h.length, h.size = binary.BigEndian.Uint64(b[2:]), 10
	}
	if h.masked {
		if len(b) < h.size+4 {
			return h, false
		}
		h.size += copy(h.mask[:], b[h.size:])
	}
	return h, true
}

// unmask appends payload, which begins so far behind the start of its frame's, as it was before it was masked.
func (h *header) unmask(dst, payload []byte, from uint64) []byte {
	if !h.masked {
		return append(dst, payload...)
	}
	for i, c := range payload {
		dst = append(dst, c^h.mask[(from+uint64(i))%4])
	}
	return dst
}

// AppendFrame appends a frame that is whole: unmasked, as servers send it, or masked, as clients do.
func AppendFrame(dst []byte, op byte, from Side, payload []byte, mask [4]byte) []byte {
	bit := byte(0)
	if from == Client {
		bit = maskBit
	}
	dst = append(dst, finBit|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, bit|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, bit|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, bit|127), uint64(n))
	}
	if bit == 0 {
		return append(dst, payload...)
	}
	h := header{masked: true, mask: mask}
	return h.unmask(append(dst, mask[:]...), payload, 0)
}
