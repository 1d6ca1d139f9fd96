package tlsconn_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/tlsconn"
)

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
		waiting, room := 0, 0
		for waiting == 0 { // until it has stalled
			do(r.Loop, func() { waiting, room = tlsconn.Sealed(r.stream) })
		}
		if room > waiting+4<<10 {
			t.Errorf("%d bytes wait in %d", waiting, room)
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
