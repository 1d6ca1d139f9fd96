//go:build unix

package loop

import "github.com/sidway/sidway/gateway/sock"

// Stream stands between a watched socket and its handlers: TLS. They read, write and close by the loop's methods as if there were
// none. Its own methods are called on the loop, and reach the socket by ReadSocket and WriteSocket.
type Stream interface {
	// Event is told what happens at the socket, and returns what the handler is to be told of it, 0 for nothing.
	Event(e Events) Events
	// Read, Write and Peek are as sock.Receive, sock.Send and sock.Peek. Whoever was told by Write that b was not taken as a whole
	// writes the rest first, as it was. Peek looks at one byte.
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	Peek(b []byte) (int, error)
	// CloseWrite says that nothing more will be written.
	CloseWrite()
	// Close says goodbye, if there is still time, before the socket is closed. After Abort it does not.
	Close()
	Abort()
}

// SetStream puts s between the socket and its handlers, nil for nothing.
func (l *Loop) SetStream(t Token, s Stream) {
	if short := int(t) + 1 - len(l.streams); s != nil && short > 0 {
		l.streams = append(l.streams, make([]Stream, short)...)
	}
	if int(t) < len(l.streams) {
		l.streams[t] = s
	}
}

// stream returns what stands between a socket and its handlers, nil: they have the socket itself.
func (l *Loop) stream(t Token) Stream {
	if int(t) < len(l.streams) {
		return l.streams[t]
	}
	return nil
}

// Read is sock.Receive for a watched socket, or its Stream. Handlers read by it alone, so that the loop knows what it is to tell next.
func (l *Loop) Read(t Token, fd int, b []byte) (int, error) {
	if s := l.stream(t); s != nil {
		return s.Read(b)
	}
	return l.ReadSocket(t, fd, b)
}

// Write is sock.Send for a watched socket, or its Stream. Handlers write by it alone, so that the loop knows what it is to tell next.
func (l *Loop) Write(t Token, fd int, b []byte) (int, error) {
	if s := l.stream(t); s != nil {
		return s.Write(b)
	}
	return l.WriteSocket(t, fd, b)
}

// Peek is sock.Peek for a watched socket, or a look at one byte of its Stream.
func (l *Loop) Peek(t Token, fd int, b []byte) (int, error) {
	if s := l.stream(t); s != nil {
		return s.Peek(b)
	}
	return sock.Peek(fd, b)
}

// Quiet reports whether there is nothing to be read, be it the end or an error. It takes nothing away.
func (l *Loop) Quiet(t Token, fd int) bool {
	_, err := l.Peek(t, fd, l.peeked[:])
	return err == sock.Again
}

// CloseWrite tells the other side that nothing more will be written.
func (l *Loop) CloseWrite(t Token, fd int) error {
	if s := l.stream(t); s != nil {
		s.CloseWrite()
	}
	return sock.ShutdownWrite(fd)
}

// Abort has the Close that follows reset the connection and drop what the peer has not taken.
func (l *Loop) Abort(t Token, fd int) {
	if s := l.stream(t); s != nil {
		s.Abort()
	}
	sock.Abort(fd)
}

// Close ends the watch over fd and closes it. The token is another's afterwards.
func (l *Loop) Close(t Token, fd int) {
	if s := l.stream(t); s != nil {
		s.Close()
	}
	l.Forget(t)
	sock.Close(fd)
}
