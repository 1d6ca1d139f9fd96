//go:build unix

package http1

import (
	"net"
	"syscall"
)

// peeker looks at a socket without taking anything from it.
type peeker struct {
	raw   syscall.RawConn
	look  func(uintptr)
	quiet bool
	b     [1]byte
}

func (k *peeker) watch(c net.Conn) {
	if k.raw = rawConn(c); k.raw != nil {
		k.look = k.peek
	}
}

// able reports whether the socket can be looked at.
func (k *peeker) able() bool { return k.raw != nil }

// open reports whether the socket is open in both directions, as far as is known here, with no byte to read.
func (k *peeker) open() bool {
	k.quiet = false
	return k.raw.Control(k.look) == nil && k.quiet
}

// peek sees neither an end (0 bytes) nor bytes nor an error if and only if the answer is EAGAIN.
func (k *peeker) peek(fd uintptr) {
	for {
		errno := peekByte(fd, &k.b)
		if errno != syscall.EINTR {
			k.quiet = errno == syscall.EAGAIN
			return
		}
	}
}
