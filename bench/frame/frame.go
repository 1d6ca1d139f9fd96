// Package frame writes and reads WebSocket frames (RFC 6455, section 5.2), as far as load and node exchange them.
//
//	client := frame.Masked(frame.Message(60), [4]byte{1, 2, 3, 4})
//	head, err := frame.Parse(client) // head.Size is 0 as long as bytes are missing
//
// It knows nothing of fragments and extensions: a frame is passed on as it is.
package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// The first bytes of frames that end their message.
const (
	Text  = 0x81
	Close = 0x88
	Ping  = 0x89
	Pong  = 0x8a
)

// MaxPayload is the longest payload that Parse accepts.
const MaxPayload = 100_000

// ErrTooLong is a frame of more than MaxPayload bytes.
var ErrTooLong = errors.New("frame: payload too long")

// Head is what stands before a frame's payload.
type Head struct {
	First   byte // FIN and opcode
	Size    int  // bytes of the head with its mask, 0 if it is not complete
	Payload int
	Masked  bool
	Mask    [4]byte
}

// Parse reads the head at the beginning of b.
func Parse(b []byte) (Head, error) {
	if len(b) < 2 {
		return Head{}, nil
	}
	h := Head{First: b[0], Masked: b[1]&0x80 != 0, Payload: int(b[1] & 0x7f)}
	size := 2
	switch {
	case h.Payload == 126 && len(b) >= 4:
		h.Payload, size = int(binary.BigEndian.Uint16(b[2:])), 4
	case h.Payload == 127 && len(b) >= 10:
		long := binary.BigEndian.Uint64(b[2:])
		if long > MaxPayload {
			return Head{}, ErrTooLong
		}
		h.Payload, size = int(long), 10
	case h.Payload >= 126:
		return Head{}, nil
	}
	if h.Masked {
		if len(b) < size+4 {
			return Head{}, nil
		}
		h.Mask = [4]byte(b[size:])
		size += 4
	}
	h.Size = size
	return h, nil
}

// AppendHead appends the head of an unmasked frame of n bytes to b; first is FIN and opcode.
func AppendHead(b []byte, first byte, n int) []byte {
	b = append(b, first)
	switch {
	case n < 126:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
}

// Plain returns a text frame as servers send it.
func Plain(payload []byte) []byte {
	return append(AppendHead(nil, Text, len(payload)), payload...)
}

// Masked returns a text frame as clients send it.
func Masked(payload []byte, mask [4]byte) []byte {
	b := AppendHead(nil, Text, len(payload))
	b[1] |= 0x80
	b = append(append(b, mask[:]...), payload...)
	Mask(b[len(b)-len(payload):], mask)
	return b
}

// Mask masks p in place, or unmasks it.
func Mask(p []byte, mask [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(mask[:]))
	word |= word << 32
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= mask[i&3]
	}
}

// Message returns an Engine.IO message of n bytes.
func Message(n int) []byte {
	p := bytes.Repeat([]byte("x"), n)
	if n > 0 {
		p[0] = '4'
	}
	return p
}
