//go:build linux

package load

import (
	"crypto/tls"
	"fmt"
	"io"
	"iter"
	"net"
	"time"

	"github.com/sidway/sidway/bench/socket"
)

// What every connection has to have been agreed on, so that all proxies do the same work.
const (
	version = tls.VersionTLS13
	suite   = tls.TLS_AES_128_GCM_SHA256
	curve   = tls.X25519
)

// clientTLS returns the configuration of all connections of a job, nil where they are not encrypted. The certificate is not looked
// at: the proxies were given it by the bench, and what that costs here is nobody's figure.
func (j Job) clientTLS() *tls.Config {
	if j.TLS == "" {
		return nil
	}
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: version, CurvePreferences: []tls.CurveID{curve}, NextProtos: []string{"http/1.1"}}
	if j.TLS == Resume {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return c
}

// secure is TLS on one socket. The handshake is a coroutine: crypto/tls remembers any error of a handshake, so that it has to wait
// for bytes inside of it, while the loop serves others.
type secure struct {
	fd    int
	conn  *tls.Conn
	step  func() (struct{}, bool) // goes on with the handshake until it waits; nil when it is over
	stop  func()
	pause func(struct{}) bool // for it to wait
	err   error               // of it
	out   []byte              // sealed and not sent yet
}

// errNothing is what crypto/tls hears when nothing has come: it forgets errors that are temporary.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing has come yet" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

func newSecure(fd int, c *tls.Config) *secure {
	s := &secure{fd: fd}
	s.conn = tls.Client(s, c)
	s.step, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.pause = yield
		if s.err = s.conn.Handshake(); s.err == nil {
			s.err = agreed(s.conn.ConnectionState())
		}
	})
	return s
}

// agreed refuses what was not to be agreed on.
func agreed(s tls.ConnectionState) error {
	if s.Version != version || s.CipherSuite != suite || s.CurveID != curve {
		return fmt.Errorf("TLS by %s, %s, %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID)
	}
	return nil
}

// stands goes on with the handshake and reports whether it is over.
func (s *secure) stands() (bool, error) {
	if s.step == nil {
		return true, nil
	}
	if _, waits := s.step(); waits {
		return false, nil
	}
	s.step = nil
	return s.err == nil, s.err
}

// receive is socket.Read, of one record at most.
func (s *secure) receive(b []byte) (int, error) {
	if over, err := s.stands(); !over {
		return 0, err
	}
	n, err := s.conn.Read(b)
	if err == error(errNothing) {
		err = nil
	}
	return n, err
}

// put is socket.Write. Sealed bytes that the socket does not take now are sent by a later call.
func (s *secure) put(b []byte) (int, error) {
	if over, err := s.stands(); !over {
		return 0, err
	}
	if err := s.flush(); err != nil || len(s.out) > 0 || len(b) == 0 {
		return 0, err
	}
	return s.conn.Write(b)
}

func (s *secure) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	n, err := socket.Write(s.fd, s.out)
	s.out = s.out[n:]
	return err
}

// close says goodbye, if there is somebody to say it to.
func (s *secure) close() {
	if s.step != nil {
		s.stop()
		return
	}
	_ = s.conn.Close()
}

// Read is for crypto/tls alone, and so is what follows.
func (s *secure) Read(b []byte) (int, error) {
	for {
		n, err := socket.Read(s.fd, b)
		switch {
		case n > 0 || err != nil:
			return n, err
		case s.step == nil:
			return 0, errNothing
		case !s.pause(struct{}{}):
			return 0, io.ErrClosedPipe
		}
	}
}

func (s *secure) Write(b []byte) (int, error) {
	n, err := 0, error(nil)
	if len(s.out) == 0 {
		n, err = socket.Write(s.fd, b)
	}
	s.out = append(s.out, b[n:]...)
	return len(b), err
}

func (s *secure) Close() error                     { return nil }
func (s *secure) LocalAddr() net.Addr              { return nil }
func (s *secure) RemoteAddr() net.Addr             { return &net.TCPAddr{} } // names the ticket
func (s *secure) SetDeadline(time.Time) error      { return nil }
func (s *secure) SetReadDeadline(time.Time) error  { return nil }
func (s *secure) SetWriteDeadline(time.Time) error { return nil }

// The connection's own, encrypted or not.

func (c *conn) receive(b []byte) (int, error) {
	if c.secure != nil {
		return c.secure.receive(b)
	}
	return socket.Read(c.fd, b)
}

func (c *conn) put(b []byte) (int, error) {
	if c.secure != nil {
		return c.secure.put(b)
	}
	return socket.Write(c.fd, b)
}

// resumed counts an operation's connection, where each has one of its own.
func (r *runner) resumed(c *conn) {
	if c.secure != nil && c.secure.conn.ConnectionState().DidResume {
		r.resumes++
	}
}
