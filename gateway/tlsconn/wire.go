//go:build unix

package tlsconn

import (
	"io"
	"net"
	"time"

	"github.com/sidway/sidway/gateway/sock"
)

// wire is what crypto/tls takes for the socket.
type wire struct{ s *stream }

// Read reads what has come. On the goroutine of the handshake it waits for some.
func (w wire) Read(b []byte) (int, error) {
	s := w.s
	if s.phase == open {
		return s.readOpen(b)
	}
	if len(s.in) == 0 {
		s.Loop.Send(s)
		if <-s.turn; len(s.in) == 0 {
			return 0, io.EOF
		}
	}
	return s.take(b), nil
}

// take reads what was received for the handshake.
func (s *stream) take(b []byte) int {
	n := copy(b, s.in)
	if s.in = s.in[n:]; len(s.in) == 0 {
		s.in = nil
	}
	return n
}

// readOpen reads on the loop, what the handshake has left first.
func (s *stream) readOpen(b []byte) (int, error) {
	if len(s.in) > 0 {
		return s.take(b), nil
	}
	if !s.readable {
		return 0, errAgain
	}
	if s.answers > mostAnswers {
		s.cut = true
		return 0, io.EOF
	}
	n, err := s.Loop.ReadSocket(s.Token, s.FD, b)
	switch {
	case err == sock.Again:
		s.readable = false
		return 0, errAgain
	case err != nil:
		s.cut = true
		return 0, io.EOF
	}
	s.readable = n == len(b) || s.hup
	return n, nil
}

// Write keeps what is to be sent. On the loop it is sent when crypto/tls has sealed all that there is, or at the next event: what
// it answers to a peer that wants other keys, say.
func (w wire) Write(b []byte) (int, error) {
	if w.s.reads {
		w.s.answers++
	}
	w.s.hold()
	*w.s.out = append(*w.s.out, b...)
	return len(b), nil
}

// Close does nothing: the loop closes the socket.
func (wire) Close() error { return nil }

func (wire) LocalAddr() net.Addr              { return nil }
func (wire) RemoteAddr() net.Addr             { return nil }
func (wire) SetDeadline(time.Time) error      { return nil }
func (wire) SetReadDeadline(time.Time) error  { return nil }
func (wire) SetWriteDeadline(time.Time) error { return nil }

// errAgain is what crypto/tls hears when nothing has come: it forgets errors that are temporary.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "tlsconn: nothing has come yet" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }
