package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tlsconn"
)

// patience bounds every wait of these tests: what has not come by then never comes.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a handler that sends back what it receives, as a tunnel would: it reads nothing more while some waits to be written.
type echo struct {
	loop.Timer
	tlsconn.Socket
	t        testing.TB
	readable bool
	hup      bool
	waiting  []byte
	ended    chan error
	over     bool
	read     int
	stream   loop.Stream
}

func (e *echo) Event(_ int, ev loop.Events) {
	e.readable = e.readable || ev&loop.Readable != 0
	e.hup = e.hup || ev&loop.Hup != 0
	e.Resume()
}

func (e *echo) Expire() {}

func (e *echo) Resume() {
	for range 8 {
		if e.over || !e.pump() {
			return
		}
	}
	e.Loop.Yield(&e.Timer)
}

func (e *echo) pump() bool {
	if len(e.waiting) > 0 {
		n, err := e.Loop.Write(e.Token, e.FD, e.waiting)
		if err != nil && err != sock.Again {
			e.end(err)
			return false
		}
		e.waiting = e.waiting[n:]
		return len(e.waiting) == 0
	}
	if !e.readable {
		return false
	}
	b := e.Loop.Shared
	n, err := e.Loop.Read(e.Token, e.FD, b)
	switch {
	case err == sock.Again:
		e.readable = false
		return false
	case err != nil:
		e.end(err)
		return false
	}
	e.readable = n == len(b) || e.hup
	e.read += n
	m, err := e.Loop.Write(e.Token, e.FD, b[:n])
	if err != nil && err != sock.Again {
		e.end(err)
		return false
	}
	e.waiting = bytes.Clone(b[m:n])
	return true
}

func (e *echo) end(err error) {
	e.over = true
	e.Loop.Close(e.Token, e.FD)
	e.ended <- err
}

// rig is a loop with one connection that speaks TLS, and its peer's bare socket.
type rig struct {
	*echo
	peer net.Conn
	work sync.WaitGroup
	done chan error
}

func do(l *loop.Loop, f func()) {
	done := make(chan struct{})
	l.Send(task(func() { defer close(done); f() }))
	<-done
}

type task func()

func (t task) Receive() { t() }

// start joins the loop's side, a server if client is nil.
func start(t testing.TB, server, client *tls.Config) *rig {
	t.Helper()
	loops, err := loop.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer.SetDeadline(time.Now().Add(patience))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := c.(syscall.Conn).SyscallConn()
	fd, err := sock.Duplicate(raw)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	r := &rig{peer: peer, done: make(chan error, 1)}
	r.echo = &echo{t: t, ended: make(chan error, 1), Socket: tlsconn.Socket{Loop: loops[0], FD: fd}}
	r.Init(r.echo)
	o := tlsconn.Options{Work: &r.work, Done: func(_ tls.ConnectionState, err error) { r.done <- err }}
	do(loops[0], func() {
		if r.Token, err = loops[0].Watch(fd, r.echo, 0); err != nil {
			t.Error(err)
			return
		}
		s := tlsconn.Server(r.Socket, server, o)
		if client != nil {
			s = tlsconn.Client(r.Socket, client, o)
		}
		r.stream = s
		loops[0].SetStream(r.Token, s)
	})
	t.Cleanup(func() {
		peer.Close()
		do(loops[0], func() {
			if !r.over {
				r.end(nil)
			}
		})
		r.work.Wait()
		loops[0].End()
	})
	return r
}

func await[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// configs are a server's configuration and one of a client that trusts it.
func configs(t testing.TB, version uint16) (server, client *tls.Config) {
	t.Helper()
	a := keyfiletest.NewAuthority(t, "test")
	cert := a.Issue(t, keyfiletest.Request{Names: []string{"sidway.test"}}).TLS(t)
	server = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, MaxVersion: version}
	client = &tls.Config{RootCAs: a.Pool, ServerName: "sidway.test", MaxVersion: version}
	return server, client
}

// versions runs a test with each version of TLS, on either side of it. connect returns the peer's own TLS.
func versions(t *testing.T, test func(t *testing.T, connect func(wrap func(net.Conn) net.Conn) (*rig, *tls.Conn))) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		for _, side := range []string{"server", "client"} {
			t.Run(name+"/"+side, func(t *testing.T) {
				server, client := configs(t, version)
				test(t, func(wrap func(net.Conn) net.Conn) (*rig, *tls.Conn) {
					if wrap == nil {
						wrap = func(c net.Conn) net.Conn { return c }
					}
					if side == "server" {
						r := start(t, server, nil)
						return r, tls.Client(wrap(r.peer), client)
					}
					r := start(t, nil, client)
					return r, tls.Server(wrap(r.peer), server)
				})
			})
		}
	}
}
