//go:build unix

package http1_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/http1"
)

// loopback is a pool and the listener that it dials.
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

// take says whether c is what the pool has.
func (l *loopback) take(t testing.TB, c *http1.Conn) bool {
	t.Helper()
	got, reused, err := l.Take(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if reused != (got == c) {
		t.Fatalf("took %p, reused %v, there was %p", got, reused, c)
	}
	if !reused {
		got.Close()
	}
	return reused
}

// answer lets the node answer one request.
func answer(t testing.TB, c *http1.Conn, far net.Conn) time.Duration {
	t.Helper()
	send(t, far, kept)
	var p http1.Response
	if err := c.Reader.Response(&p, "GET"); err != nil {
		t.Fatal(err)
	}
	if text, err := readBody(c.Reader.ResponseBody(&p)); text != "ok" || err != io.EOF {
		t.Fatal(text, err)
	}
	return p.KeepAlive
}

// closed waits until the other end has closed.
func closed(t testing.TB, far net.Conn) {
	t.Helper()
	far.SetReadDeadline(time.Now().Add(wait))
	if n, err := far.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("not closed: %d, %v", n, err)
	}
}

func TestPoolGivesTheNewestBack(t *testing.T) {
	l := newLoopback(t)
	a, farA := l.dial(t)
	b, farB := l.dial(t)
	l.Put(a, answer(t, a, farA))
	l.Put(b, answer(t, b, farB))
	if !l.take(t, b) {
		t.Error("not the newest")
	}
	if !l.take(t, a) {
		t.Error("not the older one")
	}
	if l.take(t, nil) {
		t.Error("a third")
	}
}

func TestPoolDialsFreshBesideIdleOnes(t *testing.T) {
	l := newLoopback(t)
	a, far := l.dial(t)
	l.Put(a, answer(t, a, far))
	if b, _ := l.dial(t); b == a || l.Idle() != 1 {
		t.Error("an idle one for a fresh one")
	}
}

func TestPoolDropsWhatTheNodeClosedOrSentUnasked(t *testing.T) {
	for name, do := range map[string]func(far *net.TCPConn) error{
		"FIN":  func(far *net.TCPConn) error { return far.CloseWrite() },
		"RST":  func(far *net.TCPConn) error { far.SetLinger(0); return far.Close() },
		"junk": func(far *net.TCPConn) error { _, err := far.Write([]byte("x")); return err },
		"408":  func(far *net.TCPConn) error { _, err := far.Write([]byte("HTTP/1.1 408 Late\r\n\r\n")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoopback(t)
			a, far := l.dial(t)
			l.Put(a, answer(t, a, far))
			if err := do(far); err != nil {
				t.Fatal(err)
			}
			awaitEvent(t, a)
			if l.take(t, a) {
				t.Error("taken")
			}
			if name != "RST" {
				closed(t, far)
			}
		})
	}
}

func TestPoolForgetsInTime(t *testing.T) {
	for name, test := range map[string]struct {
		announced, before, idle time.Duration
		want                    bool
	}{
		"5 s announced":                  {5 * time.Second, 0, 3999 * time.Millisecond, true},
		"5 s announced, a second before": {5 * time.Second, 0, 4 * time.Second, false},
		"none announced":                 {0, 0, 1999 * time.Millisecond, true},
		"none announced, 2 s":            {0, 0, 2 * time.Second, false},
		"1 s announced":                  {time.Second, 0, 0, false},
		"put back late":                  {5 * time.Second, 3 * time.Second, 999 * time.Millisecond, true},
		"put back late, a second before": {5 * time.Second, 3 * time.Second, time.Second, false},
		"put back too late":              {5 * time.Second, 6 * time.Second, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoopback(t)
			c, far := l.dial(t)
			synctest.Test(t, func(t *testing.T) {
				answer(t, c, far)
				time.Sleep(test.before)
				l.Put(c, test.announced)
				time.Sleep(test.idle)
				l.Sweep(time.Now())
				if got := l.Idle() == 1; got != test.want {
					t.Errorf("swept: %v", !got)
				}
			})
			if !test.want {
				closed(t, far)
			}
		})
		t.Run(name+", not swept", func(t *testing.T) {
			l := newLoopback(t)
			c, far := l.dial(t)
			synctest.Test(t, func(t *testing.T) {
				answer(t, c, far)
				time.Sleep(test.before)
				l.Put(c, test.announced)
				time.Sleep(test.idle)
				if got := l.take(t, c); got != test.want {
					t.Errorf("taken: %v", got)
				}
			})
		})
	}
}

func TestPoolRefusesWhatIsNotFinished(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
	for name, sent := range map[string]string{
		"a body unread":    head + "ok",
		"a body to come":   head,
		"bytes behind":     "HTTP/1.1 204 No\r\n\r\nx",
		"an answer behind": "HTTP/1.1 204 No\r\n\r\n" + kept,
		"a refused head":   "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoopback(t)
			c, far := l.dial(t)
			answer(t, c, far) // one that is finished before
			send(t, far, sent)
			var p http1.Response
			c.Reader.Response(&p, "GET") // one of them is refused
			l.Put(c, time.Hour)
			if l.take(t, c) {
				t.Error("taken")
			}
			closed(t, far)
		})
	}
}

func TestPoolDoesNotGiveBackWhatNeverAnswered(t *testing.T) {
	l := newLoopback(t)
	c, far := l.dial(t)
	l.Put(c, time.Hour)
	if l.take(t, c) {
		t.Error("taken")
	}
	closed(t, far)
}

func TestPoolClearsDeadlines(t *testing.T) {
	l := newLoopback(t)
	c, far := l.dial(t)
	announced := answer(t, c, far)
	c.SetDeadline(time.Unix(1, 0))
	l.Put(c, announced)
	if !l.take(t, c) {
		t.Fatal("gone")
	}
	send(t, c, "x")
	answer(t, c, far)
}

func TestPoolUsesOnlySocketsItCanLookAt(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	for _, nc := range []net.Conn{near, tls.Client(near, &tls.Config{}), struct{ net.Conn }{near}} {
		p := http1.NewPool(func(context.Context) (net.Conn, error) { return nc, nil })
		c, reused, err := p.Take(context.Background())
		if c == nil || reused || err != nil {
			t.Fatal(c, reused, err)
		}
		p.Put(c, time.Hour)
		if p.Idle() != 0 {
			t.Errorf("%T is kept", nc)
		}
	}
}

func TestClosedPool(t *testing.T) {
	l := newLoopback(t)
	a, farA := l.dial(t)
	b, farB := l.dial(t)
	l.Put(a, answer(t, a, farA))
	announced := answer(t, b, farB)
	l.Close()
	closed(t, farA)
	l.Put(b, announced)
	closed(t, farB)
	if _, _, err := l.Take(context.Background()); err != http1.ErrPoolClosed {
		t.Error(err)
	}
	if _, err := l.Dial(context.Background()); err != http1.ErrPoolClosed {
		t.Error(err)
	}
}

func TestPoolPassesTheErrorsOfDialOn(t *testing.T) {
	refused := errors.New("refused")
	p := http1.NewPool(func(context.Context) (net.Conn, error) { return nil, refused })
	if c, _, err := p.Take(context.Background()); c != nil || err != refused {
		t.Error(c, err)
	}
}

// TestPoolUnderLoad has each goroutine ask for something of its own and compare.
func TestPoolUnderLoad(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you asked for %s", r.URL.Path)
	}))
	defer node.Close()
	p := http1.NewPool(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", node.Listener.Addr().String())
	})
	defer p.Close()
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 100 {
				if err := ask(p, fmt.Sprintf("/%d/%d", i, j)); err != nil {
					t.Error(err)
					return
				}
				if j%10 == i {
					p.Sweep(time.Now())
				}
			}
		})
	}
	clients.Wait()
	if n := p.Idle(); n < 1 || n > 8 {
		t.Errorf("%d idle", n)
	}
}

func ask(p *http1.Pool, path string) error {
	c, _, err := p.Take(context.Background())
	if err != nil {
		return err
	}
	head := http1.AppendField(http1.AppendRequestLine(nil, "GET", path), "Host", "h")
	if _, err := c.Write(append(head, '\r', '\n')); err != nil {
		return err
	}
	var answer http1.Response
	if err := c.Reader.Response(&answer, "GET"); err != nil {
		return err
	}
	text, err := readBody(c.Reader.ResponseBody(&answer))
	if want := "you asked for " + path; text != want || err != io.EOF {
		return fmt.Errorf("got %q %v, want %q", text, err, want)
	}
	p.Put(c, answer.KeepAlive)
	return nil
}

// awaitEvent waits until the socket has something to say: bytes, an end or an error.
func awaitEvent(t testing.TB, c *http1.Conn) {
	t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	})
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkTakePut(b *testing.B) {
	l := newLoopback(b)
	c, far := l.dial(b)
	answer(b, c, far)
	l.Put(c, time.Hour)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		c, reused, err := l.Take(ctx)
		if !reused || err != nil {
			b.Fatal(reused, err)
		}
		l.Put(c, time.Hour)
	}
}
