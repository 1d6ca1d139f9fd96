package tlsconn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

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
	largest  int // that ever waited
	ended    chan error
	over     bool
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
	m, err := e.Loop.Write(e.Token, e.FD, b[:n])
	if err != nil && err != sock.Again {
		e.end(err)
		return false
	}
	e.waiting = bytes.Clone(b[m:n])
	e.largest = max(e.largest, len(e.waiting))
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"sidway.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12, MaxVersion: version}
	client = &tls.Config{RootCAs: pool, ServerName: "sidway.test", MaxVersion: version}
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

// pieces cuts what is written at odd places, with time for each to arrive by itself.
type pieces struct{ net.Conn }

func (p pieces) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		m := min(len(b)-n, 1+mathrand.IntN(3000))
		if _, err := p.Conn.Write(b[n : n+m]); err != nil {
			return n, err
		}
		n += m
		if mathrand.IntN(4) == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	return len(b), nil
}

// TestMessages sends messages of all sizes and wants each back as a whole.
func TestMessages(t *testing.T) {
	versions(t, func(t *testing.T, connect func(func(net.Conn) net.Conn) (*rig, *tls.Conn)) {
		_, peer := connect(func(c net.Conn) net.Conn { return pieces{c} })
		for i := range 100 {
			out := make([]byte, 1+mathrand.IntN(40_000))
			rand.Read(out)
			go peer.Write(out)
			in := make([]byte, len(out))
			if _, err := io.ReadFull(peer, in); err != nil || !bytes.Equal(in, out) {
				t.Fatalf("message %d of %d bytes: %v", i, len(out), err)
			}
		}
	})
}

// TestBackpressure sends far more than sockets hold to an echo whose answers nobody reads for a while.
func TestBackpressure(t *testing.T) {
	versions(t, func(t *testing.T, connect func(func(net.Conn) net.Conn) (*rig, *tls.Conn)) {
		r, peer := connect(nil)
		const size = 32 << 20
		sum := make(chan [32]byte, 1)
		stalls := make(chan struct{})
		go func() {
			h := sha256.New()
			b := make([]byte, 64<<10)
			for n := 0; n < size; n += len(b) {
				rand.Read(b)
				if n == size/2 {
					close(stalls)
				}
				if _, err := peer.Write(b); err != nil {
					t.Error(err)
					break
				}
				h.Write(b)
			}
			sum <- [32]byte(h.Sum(nil))
		}()
		h := sha256.New()
		if _, err := io.CopyN(h, peer, 1<<20); err != nil {
			t.Fatal(err)
		}
		for largest := 0; largest == 0; { // until it has stalled
			do(r.Loop, func() { largest = r.largest })
		}
		if _, err := io.CopyN(h, peer, size-1<<20); err != nil {
			t.Fatal(err)
		}
		if got := [32]byte(h.Sum(nil)); got != await(t, sum) {
			t.Error("other bytes came back")
		}
	})
}

// TestEnds ends the connection in different ways.
func TestEnds(t *testing.T) {
	versions(t, func(t *testing.T, connect func(func(net.Conn) net.Conn) (*rig, *tls.Conn)) {
		for _, end := range []struct {
			name string
			by   func(*rig, *tls.Conn)
			want error
		}{
			{"close_notify, then FIN", func(_ *rig, c *tls.Conn) { c.Close() }, io.EOF},
			{"close_notify alone", func(_ *rig, c *tls.Conn) { c.CloseWrite() }, io.EOF},
			{"FIN alone", func(r *rig, _ *tls.Conn) { r.peer.(*net.TCPConn).CloseWrite() }, syscall.ECONNRESET},
			{"reset", func(r *rig, _ *tls.Conn) { r.peer.(*net.TCPConn).SetLinger(0); r.peer.Close() }, syscall.ECONNRESET},
			{"behind bytes", func(_ *rig, c *tls.Conn) { c.Write([]byte("last")); c.CloseWrite() }, io.EOF},
			{"garbage", func(r *rig, _ *tls.Conn) { io.WriteString(r.peer, strings.Repeat("x", 100)) }, syscall.ECONNRESET},
		} {
			t.Run(end.name, func(t *testing.T) {
				r, peer := connect(nil)
				if err := peer.Handshake(); err != nil {
					t.Fatal(err)
				}
				if err := await(t, r.done); err != nil {
					t.Fatal(err)
				}
				end.by(r, peer)
				if err := await(t, r.ended); !errors.Is(err, end.want) {
					t.Errorf("ended with %v, want %v", err, end.want)
				}
			})
		}
	})
}

// TestGoodbye has the loop's side end, and its peer hears that by TLS's own word.
func TestGoodbye(t *testing.T) {
	versions(t, func(t *testing.T, connect func(func(net.Conn) net.Conn) (*rig, *tls.Conn)) {
		r, peer := connect(nil)
		if err := peer.Handshake(); err != nil {
			t.Fatal(err)
		}
		await(t, r.done)
		do(r.Loop, func() {
			if _, err := r.Loop.Write(r.Token, r.FD, []byte("bye")); err != nil {
				t.Error(err)
			}
			if err := r.Loop.CloseWrite(r.Token, r.FD); err != nil {
				t.Error(err)
			}
		})
		if b, err := io.ReadAll(peer); err != nil || string(b) != "bye" { // an end without the word is an error
			t.Errorf("%q, %v", b, err)
		}
	})
}

// TestPeek looks at what has come without taking it.
func TestPeek(t *testing.T) {
	versions(t, func(t *testing.T, connect func(func(net.Conn) net.Conn) (*rig, *tls.Conn)) {
		r, peer := connect(nil)
		if err := peer.Handshake(); err != nil {
			t.Fatal(err)
		}
		await(t, r.done)
		var quiet bool
		do(r.Loop, func() { quiet = r.Loop.Quiet(r.Token, r.FD) }) // tickets may have come, which are nothing to be read
		if !quiet {
			t.Error("a connection on which nothing came is not quiet")
		}
		told := make(chan string, 1)
		do(r.Loop, func() {
			h := &looker{Socket: r.Socket, told: told}
			r.Loop.HandOver(r.Token, h, 0)
		})
		io.WriteString(peer, "hello")
		if s := await(t, told); s != "h hello" {
			t.Errorf("%q", s)
		}
	})
}

type looker struct {
	tlsconn.Socket
	told chan string
}

func (k *looker) Event(int, loop.Events) {
	var one [1]byte
	if _, err := k.Loop.Peek(k.Token, k.FD, one[:]); err != nil || k.Loop.Quiet(k.Token, k.FD) {
		return
	}
	b := make([]byte, 16)
	n, _ := k.Loop.Read(k.Token, k.FD, b)
	k.told <- string(one[:]) + " " + string(b[:n])
}

// TestBadHandshakes begins no session, and leaves no goroutine.
func TestBadHandshakes(t *testing.T) {
	server, client := configs(t, tls.VersionTLS13)
	stranger, _ := configs(t, tls.VersionTLS13)
	for _, c := range []struct {
		name string
		by   func(net.Conn)
		as   *tls.Config // the loop's, a client then
		want string      // in the error; "": none is told; never: there may be no handshake to tell of
	}{
		{"plain HTTP", func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\n\r\n") }, nil, "does not look like a TLS handshake"},
		{"nothing but an end", func(c net.Conn) { c.Close() }, nil, "never"},
		{"half a hello", func(c net.Conn) { c.Write([]byte{22, 3, 1, 1, 0, 1, 0}); c.Close() }, nil, ""},
		{"reset in the middle", func(c net.Conn) {
			c.Write([]byte{22, 3, 1, 1, 0, 1, 0})
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}, nil, "never"},
		{"an old version", func(c net.Conn) {
			old := client.Clone()
			old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			tls.Client(c, old).Handshake()
		}, nil, "unsupported versions"},
		{"a certificate of nobody", func(c net.Conn) { tls.Server(c, stranger).Handshake() }, client, "certificate"},
		{"a node that speaks HTTP", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, client, "does not look like a TLS handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, server, c.as)
			c.by(r.peer)
			if err := await(t, r.ended); err == nil {
				t.Error("it ended without an error")
			}
			var err error
			select {
			case err = <-r.done:
			default:
				if c.want != "never" {
					t.Fatal("nobody was told of the handshake's end")
				}
				return
			}
			if (err == nil) != (c.want == "" || c.want == "never") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("told of %v, want %q", err, c.want)
			}
		})
	}
}

// TestCutHandshakes closes connections in each phase of a handshake: no goroutine stays, and nothing touches a closed socket.
func TestCutHandshakes(t *testing.T) {
	server, client := configs(t, tls.VersionTLS13)
	for cut := range 300 {
		r := start(t, server, nil)
		s := &short{Conn: r.peer, left: cut * 8}
		s.full = func() { // when so much has come
			r.Loop.Send(task(func() {
				if !r.over {
					r.end(nil)
				}
			}))
		}
		peers := make(chan struct{})
		go func() {
			defer close(peers)
			tls.Client(s, client).Handshake()
			s.full()
		}()
		await(t, r.ended)
		r.work.Wait()
		r.peer.Close()
		<-peers
	}
}

// short writes so many bytes, and then none.
type short struct {
	net.Conn
	left int
	full func()
}

func (s *short) Write(b []byte) (int, error) {
	n := min(len(b), s.left)
	if _, err := s.Conn.Write(b[:n]); err != nil {
		return 0, err
	}
	if s.left -= n; s.left == 0 {
		s.full()
	}
	return len(b), nil
}

// TestKeyUpdate has OpenSSL change its keys in the middle, and ask for ours to be changed.
func TestKeyUpdate(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal(err)
	}
	server, _ := configs(t, tls.VersionTLS13)
	r := start(t, server, nil)
	// OpenSSL takes no socket, so it goes through one of ours.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var relays sync.WaitGroup
	relays.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		relays.Go(func() { io.Copy(r.peer, c); r.peer.(*net.TCPConn).CloseWrite() })
		io.Copy(c, r.peer)
		c.Close()
	})
	client := exec.Command(openssl, "s_client", "-connect", l.Addr().String(), "-tls1_3")
	in, _ := client.StdinPipe()
	out, _ := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	client.Stdout, client.Stderr = out, out
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	said := func(s string) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			b, _ := os.ReadFile(out.Name())
			if bytes.Contains(b, []byte(s)) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("no %q in %s", s, b)
			}
		}
	}
	await(t, r.done)
	for i, command := range []string{"one", "K", "two", "k", "three", "K", "four"} {
		io.WriteString(in, command+"\n")
		if i%2 == 0 {
			said(command + "\n")
		} else {
			said("KEYUPDATE\n")
			os.Truncate(out.Name(), 0)
		}
	}
	in.Close()
	client.Wait()
	r.peer.Close()
	l.Close()
	relays.Wait()
}
