//go:build unix

package tlsconn

import "github.com/sidway/sidway/gateway/loop"

// Sealed returns how many bytes wait to be sent, and in how large a buffer.
func Sealed(s loop.Stream) (waiting, size int) {
	t := s.(*stream)
	if t.out == nil {
		return 0, 0
	}
	return len(*t.out) - t.sent, cap(*t.out)
}
