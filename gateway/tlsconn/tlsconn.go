//go:build unix

// Package tlsconn has TLS on an event loop, by crypto/tls.
//
//	token, err := l.Watch(fd, handler, 0)
//	l.SetStream(token, tlsconn.Server(tlsconn.Socket{Loop: l, Token: token, FD: fd}, config, tlsconn.Options{…}))
//
// The handler reads, writes and closes by the loop's methods as on a bare socket; it hears nothing before the handshake is over. Only
// the handshake has a goroutine, from the first byte that comes: signatures and certificates may take a millisecond, and a
// callback of the configuration may even ask others. Afterwards records are opened and sealed on the loop, without a copy that a
// bare socket would not need, and a connection that waits keeps no buffer but what crypto/tls keeps itself.
//
// crypto/tls works on a net.Conn, which here is fed by the loop. After the handshake a Read that finds nothing returns a temporary
// error, which crypto/tls passes on and forgets: a record of which a part has come stays where it is. What the goroutine
// and the loop both use is handed from one to the other, so that nothing is locked: while the goroutine works the loop only
// notes what it is told, and while the goroutine waits it touches nothing.
package tlsconn

import (
	"crypto/tls"
	"io"
	"sync"
	"syscall"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// Socket is a socket that a loop watches.
type Socket struct {
	Loop  *loop.Loop
	Token loop.Token
	FD    int
}

// Options are what a connection needs beside its configuration.
type Options struct {
	// Work counts the goroutines: whoever waits for it after the connections have been closed waits for the last of them.
	Work *sync.WaitGroup
	// Done, if set, is called on the loop when the handshake is over, before the handler hears of it. A handshake that the peer's end
	// has broken off has a state that is not HandshakeComplete, and no error.
	Done func(tls.ConnectionState, error)
	// Alerted, if set, is called on the loop before a read fails because the peer says why it ends the connection: in TLS 1.3 a server that
	// does not take the client's certificate, or has got none, says so only when the handshake is over for the client.
	Alerted func(error)
	// First is written in front of TLS, by the client's side.
	First []byte
}

// Server returns the server's side of TLS on a socket. The client speaks first.
func Server(s Socket, c *tls.Config, o Options) loop.Stream {
	t := &stream{Socket: s, o: o}
	t.conn = tls.Server(wire{t}, c)
	return t
}

// Client returns the client's side of TLS on a socket that may still be connecting. It speaks as soon as that has connected.
func Client(s Socket, c *tls.Config, o Options) loop.Stream {
	t := &stream{Socket: s, o: o, speaks: true}
	t.conn = tls.Client(wire{t}, c)
	return t
}

// stream is TLS on one socket.
type stream struct {
	Socket
	o    Options
	conn *tls.Conn

	phase  phase
	speaks bool          // the handshake begins without waiting for the peer
	turn   chan struct{} // the goroutine may go on; nil without one
	failed error         // what has ended the handshake, or the socket before it

	readable bool // there may be bytes at the socket
	hup      bool // its end is behind them
	cut      bool // the socket has ended, and TLS has not said so before
	closed   bool
	aborted  bool

	in    []byte // received and not read yet, in the handshake only
	out   *[]byte
	sent  int  // of out
	owed  bool // the caller was told that the first byte of what it writes next was not taken, but it is in out
	has   bool // ahead was read by Peek
	ahead [1]byte

	reads   bool // crypto/tls opens records
	answers int  // that it has sealed by itself meanwhile
	goesOn  bool // an event is on its way, since a Read has left some
}

const (
	// mostRecords is how many records with data one Read opens. Before each of them crypto/tls takes up to 16 without any, as new keys are, which
	// cost it some microseconds each.
	mostRecords = 16
	// mostAnswers is how often a peer may ask for new keys: TLS 1.3 needs them once in 2^24 records (RFC 8446, 5.5).
	mostAnswers = 256
)

type phase uint8

const (
	waits  phase = iota // for the first byte, or the connection
	works               // a goroutine does the handshake
	asks                // and wants to read
	open                // the handshake is over
	broken              // it failed
)

// Event implements loop.Stream.
func (s *stream) Event(e loop.Events) loop.Events {
	if e&loop.Readable != 0 {
		s.readable = true
	}
	if e&loop.Hup != 0 {
		s.hup = true
	}
	switch s.phase {
	case open, broken:
		_ = s.flush() // of its failure a read tells
		return e
	case waits:
		s.begin()
	case asks:
		_ = s.flush() // likewise
		if s.receive() {
			s.resume()
		}
	}
	if s.phase == broken {
		return loop.Readable | loop.Hup
	}
	return 0
}

// Read implements loop.Stream.
func (s *stream) Read(b []byte) (int, error) {
	if s.phase < open {
		return 0, sock.Again
	}
	n := 0
	if s.has {
		b[0], s.has = s.ahead[0], false
		n = 1
	}
	var err error
	records := 0
	for got := 0; n < len(b) && err == nil && records < mostRecords; n += got {
		got, err = s.read(b[n:])
		records++
	}
	if err == nil && n < len(b) && !s.goesOn { // the caller takes what is less than b for all that there is
		s.goesOn = true
		s.Loop.Send(rest{s})
	}
	_ = s.flush() // crypto/tls may have answered something by itself
	if n == 0 {
		return 0, err
	}
	if err != nil && err != sock.Again && !s.hup { // the caller takes what is less than b for all that there is
		s.Loop.Send(ended{s})
	}
	return n, nil
}

// rest is a stream of which a Read has left some, so that others have their turn.
type rest struct{ *stream }

// Receive implements loop.Receiver.
func (r rest) Receive() {
	if r.goesOn = false; !r.closed {
		r.Loop.Tell(r.Token, loop.Readable)
	}
}

// ended is a stream whose end stood behind what was read.
type ended struct{ *stream }

// Receive implements loop.Receiver.
func (e ended) Receive() {
	if !e.closed {
		e.Loop.Tell(e.Token, loop.Readable|loop.Hup)
	}
}

// read reads from at most one record.
func (s *stream) read(b []byte) (int, error) {
	if s.phase == broken {
		return 0, s.failed
	}
	s.reads = true
	n, err := s.conn.Read(b)
	s.reads = false
	switch {
	case err == nil:
		return n, nil
	case err == error(errAgain):
		return n, sock.Again
	case err == io.EOF && !s.cut:
		return n, io.EOF
	}
	if _, alerted := Alert(err); alerted && s.o.Alerted != nil {
		s.o.Alerted(err)
	}
	return n, syscall.ECONNRESET // also where the socket ended without a goodbye: what it said may not be all
}

// Peek implements loop.Stream.
func (s *stream) Peek(b []byte) (int, error) {
	if !s.has {
		s.readable = true // whatever the loop has told: whoever peeks wants to know before it does
		if _, err := s.Read(s.ahead[:]); err != nil {
			return 0, err
		}
		s.has = true
	}
	b[0] = s.ahead[0]
	return 1, nil
}

// buffers are for what is sealed. A record adds 22 bytes to 16 KiB in TLS 1.3, up to 40 before it.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const (
	// largest is the capacity that is worth keeping.
	largest = 128 << 10
	// slack is how much of a buffer may be unused while a peer takes nothing.
	slack = 4 << 10
)

// Write implements loop.Stream. What is sealed cannot be taken back: while a part of it waits, the caller keeps the last byte, and its
// next call is what says that all has gone.
func (s *stream) Write(b []byte) (int, error) {
	switch s.phase {
	case open:
	case broken:
		return 0, s.failed
	default:
		return 0, sock.Again
	}
	if err := s.flush(); err != nil {
		return 0, err
	}
	done := 0
	if s.owed {
		s.owed, done = false, 1
		if b = b[1:]; len(b) == 0 {
			return 1, nil
		}
	}
	s.hold()
	if _, err := s.conn.Write(b); err != nil {
		s.drop()
		return 0, syscall.EPIPE
	}
	switch err := s.flush(); {
	case err == nil:
		return done + len(b), nil
	case err != sock.Again:
		return 0, err
	}
	s.shrink()
	if s.owed = true; done+len(b) == 1 {
		return 0, sock.Again
	}
	return done + len(b) - 1, nil
}

// hold has wire's Write collect what is sealed.
func (s *stream) hold() {
	if s.out == nil {
		s.out = buffers.Get().(*[]byte)
	}
}

// flush sends what is sealed: sock.Again where some is left.
func (s *stream) flush() error {
	if s.out == nil {
		return nil
	}
	rest := (*s.out)[s.sent:]
	if len(rest) == 0 {
		s.drop()
		return nil
	}
	n, err := s.Loop.WriteSocket(s.Token, s.FD, rest)
	if err != nil && err != sock.Again {
		s.drop()
		return err
	}
	if s.sent += n; n < len(rest) {
		return sock.Again
	}
	s.drop()
	return nil
}

// shrink keeps what is left in no more memory than it needs: a peer that reads nothing may wait for long.
func (s *stream) shrink() {
	rest := (*s.out)[s.sent:]
	if cap(*s.out)-len(rest) <= slack {
		return
	}
	kept := append(make([]byte, 0, len(rest)), rest...)
	s.drop()
	s.out = &kept
}

func (s *stream) drop() {
	if s.out != nil && cap(*s.out) <= largest {
		*s.out = (*s.out)[:0]
		buffers.Put(s.out)
	}
	s.out, s.sent = nil, 0
}

// CloseWrite implements loop.Stream.
func (s *stream) CloseWrite() {
	if s.phase == open {
		_ = s.conn.CloseWrite()
		_ = s.flush()
	}
}

// Abort implements loop.Stream.
func (s *stream) Abort() { s.aborted = true }

// Close implements loop.Stream.
func (s *stream) Close() {
	s.closed = true
	switch s.phase {
	case open:
		if !s.aborted {
			s.CloseWrite()
		}
		s.drop()
	case asks:
		s.in = nil
		s.resume()
	}
}
