package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

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
