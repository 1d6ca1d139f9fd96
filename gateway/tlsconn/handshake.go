//go:build unix

package tlsconn

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// begin starts the handshake, unless the socket has ended before.
func (s *stream) begin() {
	if s.hup {
		s.failed = sock.Failed(s.FD)
	}
	switch {
	case s.failed != nil:
	case s.speaks:
		s.start()
		return
	case !s.receive():
		return
	case len(s.in) > 0:
		s.start()
		return
	default:
		s.failed = io.EOF
	}
	s.phase = broken
}

// start has a goroutine do the handshake.
func (s *stream) start() {
	s.phase, s.turn = works, make(chan struct{}, 1)
	if len(s.o.First) > 0 {
		_, _ = wire{s}.Write(s.o.First)
		s.o.First = nil
	}
	s.o.Work.Add(1)
	go func() {
		defer s.o.Work.Done()
		s.failed = s.handshake()
		s.turn = nil
		s.Loop.Send(s)
	}()
}

func (s *stream) handshake() (err error) {
	defer func() {
		if s.Loop.OnPanic == nil {
			return
		}
		if v := recover(); v != nil { // in a callback of the configuration
			s.Loop.OnPanic(v)
			err = errPanic
		}
	}()
	return s.conn.Handshake()
}

// Alert returns what the peer has said by way of an alert (RFC 8446, 6), if err is of that.
func Alert(err error) (tls.AlertError, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err) // of a type of crypto/tls that has no name elsewhere
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return tls.AlertError(v.Uint()), true
}

var errPanic = errors.New("tlsconn: the handshake has panicked")

// resume lets the goroutine go on.
func (s *stream) resume() {
	s.phase = works
	s.turn <- struct{}{}
}

// Receive implements loop.Receiver: the goroutine wants to read, or has ended.
func (s *stream) Receive() {
	over := s.turn == nil
	if s.closed {
		s.drop()
		if !over {
			s.resume()
		}
		return
	}
	err := s.flush()
	switch {
	case over:
		s.settle()
	case err != nil && err != sock.Again:
		s.cut = true
		s.resume()
	case s.receive():
		s.resume()
	default:
		s.phase = asks
	}
}

// settle ends the handshake and tells the handler.
func (s *stream) settle() {
	state := tls.ConnectionState{}
	if s.phase = open; s.failed != nil {
		s.phase = broken
	} else {
		state = s.conn.ConnectionState()
	}
	if s.o.Done != nil {
		err := s.failed
		if s.cut {
			err = nil
		}
		s.o.Done(state, err)
	}
	e := loop.Readable | loop.Writable
	if s.hup || s.failed != nil {
		e |= loop.Hup
	}
	s.Loop.Tell(s.Token, e)
}

// handshakeRead is how much of a handshake is read at once.
const handshakeRead = 4 << 10

// receive reads what has come for the handshake, and reports whether the goroutine has something to go on with: the end, too.
func (s *stream) receive() bool {
	if len(s.in) > 0 || s.cut {
		return true
	}
	if !s.readable {
		return false
	}
	b := s.Loop.Shared[:handshakeRead]
	n, err := s.Loop.ReadSocket(s.Token, s.FD, b)
	switch {
	case err == sock.Again:
		s.readable = false
		return false
	case err != nil:
		s.cut = true
		return true
	}
	s.readable = n == len(b) || s.hup
	s.in = append(s.in, b[:n]...)
	return true
}
