package http1_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/http1"
)

// loopback is a listener, a pool that dials it, and the connections that it accepted.
type loopback struct {
	*http1.Pool
	l net.Listener
}

func newLoopback(t testing.TB) *loopback {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := http1.NewPool(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	})
	t.Cleanup(func() {
		p.Close()
		l.Close()
	})
	return &loopback{Pool: p, l: l}
}

// dial returns both ends of a fresh connection.
func (l *loopback) dial(t testing.TB) (*http1.Conn, *net.TCPConn) {
	t.Helper()
	c, err := l.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		far.Close()
	})
	return c, far.(*net.TCPConn)
}

// answer lets the node answer one request.
func answer(t testing.TB, c *http1.Conn, far net.Conn, head string) *http1.Response {
	t.Helper()
	send(t, far, head)
	var p http1.Response
	if err := c.Reader.Response(&p, "GET"); err != nil {
		t.Fatal(err)
	}
	if _, err := readBody(c.Reader.ResponseBody(&p)); err != io.EOF {
		t.Fatal(err)
	}
	return &p
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok"

func TestPoolGivesTheNewestBack(t *testing.T) {
	l := newLoopback(t)
	a, farA := l.dial(t)
	b, farB := l.dial(t)
	l.Put(a, answer(t, a, farA, ok).KeepAlive)
	l.Put(b, answer(t, b, farB, ok).KeepAlive)
	c, reused, err := l.Take(context.Background())
	if c != b || !reused || err != nil {
		t.Fatalf("got %p %v %v, want %p", c, reused, err, b)
	}
	if n := l.Idle(); n != 1 {
		t.Fatalf("%d idle", n)
	}
	l.Sweep(time.Now().Add(time.Minute))
	if n := l.Idle(); n != 0 {
		t.Fatalf("%d idle after a minute", n)
	}
}

func TestPoolDropsWhatTheNodeClosedOrSentUnasked(t *testing.T) {
	for name, do := range map[string]func(far *net.TCPConn){
		"FIN":  func(far *net.TCPConn) { far.CloseWrite() },
		"RST":  func(far *net.TCPConn) { far.SetLinger(0); far.Close() },
		"junk": func(far *net.TCPConn) { far.Write([]byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoopback(t)
			a, far := l.dial(t)
			l.Put(a, answer(t, a, far, ok).KeepAlive)
			do(far)
			c, reused, err := l.Take(context.Background())
			if c == a || reused || err != nil {
				t.Fatalf("got %p %v %v", c, reused, err)
			}
			c.Close()
		})
	}
}
