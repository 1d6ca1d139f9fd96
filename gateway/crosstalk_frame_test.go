package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
)

// frames appends b in frames of some sizes, from a client or from a server.
func frames(dst []byte, rng *rand.Rand, b []byte, client bool) []byte {
	for len(b) > 0 {
		p := b[:min(len(b), 1+rng.IntN(60_000))]
		b = b[len(p):]
		mask := byte(0)
		if client {
			mask = 0x80
		}
		if len(p) < 126 {
			dst = append(dst, 0x82, mask|byte(len(p)))
		} else {
			dst = append(dst, 0x82, mask|126, byte(len(p)>>8), byte(len(p)))
		}
		if client {
			dst = append(dst, 0, 0, 0, 0)
		}
		dst = append(dst, p...)
	}
	return dst
}

// unframe reads frames, which should bring want: a client's to the end of the connection, a node's until want is there or
// the connection ends. It returns how much of it came; an error says that something else did.
func unframe(br *bufio.Reader, want []byte, client bool) (int, error) {
	got := 0
	for client || got < len(want) {
		n, err := frameLength(br, client)
		if n == 0 {
			return got, err
		}
		p := make([]byte, n)
		m, _ := io.ReadFull(br, p)
		if !bytes.HasPrefix(want[got:], p[:m]) {
			return got, fmt.Errorf("at %d of %d: %w", got, len(want), agree(p[:m], want[got:min(len(want), got+m)]))
		}
		got += m
	}
	return got, nil
}

// frameLength reads the head of a frame; 0 where the connection ended.
func frameLength(br *bufio.Reader, client bool) (int, error) {
	size := 2
	b, err := br.Peek(size)
	if err != nil {
		return 0, nil
	}
	n := int(b[1] & 0x7f)
	if n == 126 {
		size = 4
	}
	if client {
		size += 4
	}
	if b, err = br.Peek(size); err != nil {
		return 0, nil
	}
	if n == 126 {
		n = int(b[2])<<8 | int(b[3])
	}
	if b[0] != 0x82 || n == 0 || client != (b[1]&0x80 != 0) || client && string(b[size-4:size]) != "\x00\x00\x00\x00" {
		rest, _ := br.Peek(min(br.Buffered(), 100))
		return 0, fmt.Errorf("no frame: %q", rest)
	}
	br.Discard(size)
	return n, nil
}
