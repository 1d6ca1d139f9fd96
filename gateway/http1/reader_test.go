package http1_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/http1"
)

func TestPipelinedRequestsComeOneAfterTheOther(t *testing.T) {
	near, far := tcpPair(t)
	send(t, far, "POST /a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"+
		"\r\nPOST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\nX: y\r\n\r\n"+
		"GET /c HTTP/1.1\r\nHost: h\r\n\r\n")
	far.CloseWrite()
	r := http1.NewReader(near)
	var q http1.Request
	for _, want := range []struct{ path, query, body string }{{"/a", "x=1", "abc"}, {"/b", "", "def"}, {"/c", "", ""}} {
		if err := r.Request(&q, wait, wait); err != nil {
			t.Fatal(err)
		}
		body, err := readBody(r.RequestBody(&q))
		if err != io.EOF || q.Path != want.path || q.RawQuery != want.query || body != want.body {
			t.Fatalf("got %q %q %q %v, want %v", q.Path, q.RawQuery, body, err, want)
		}
	}
	if err := r.Request(&q, wait, wait); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
}

// TestPipelinedHeadsCrossBuffers has heads of many lengths lie across the end of what one buffer takes.
func TestPipelinedHeadsCrossBuffers(t *testing.T) {
	var in strings.Builder
	for i := range 400 {
		in.WriteString(withField("X: " + strings.Repeat("x", i*i%9000)))
	}
	want := strings.Repeat("GET / ", 400) + "EOF"
	if got := requestTranscript(script(in.String())); got != want {
		t.Error(got)
	}
	checkPieces(t, in.String(), requestTranscript)
}

func TestABodyLeftUnreadStopsTheConnection(t *testing.T) {
	r := http1.NewReader(script(posted("Content-Length: 70", smuggled+smuggled)))
	var q http1.Request
	if err := r.Request(&q, wait, wait); err != nil {
		t.Fatal(err)
	}
	if err := r.Request(&q, wait, wait); err != http1.ErrUnread {
		t.Fatalf("got %v, want ErrUnread", err)
	}
}

func TestARefusalIsFinal(t *testing.T) {
	for _, in := range []string{"GET\r\n\r\n", "GET /\n", withField("X : y"), posted("Transfer-Encoding: chunked", "x")} {
		r := http1.NewReader(script(in + "\r\n\r\n" + smuggled))
		var q http1.Request
		first := r.Request(&q, wait, wait)
		if first == nil {
			_, first = readBody(r.RequestBody(&q))
		}
		second := r.Request(&q, wait, wait)
		var e *http1.Error
		if !errors.As(first, &e) || second != first {
			t.Errorf("%q: %v, then %v", in, first, second)
		}
	}
}

// TestWaitingHoldsNoBuffer looks at the moment when the socket had nothing and the poller is asked to wait.
func TestWaitingHoldsNoBuffer(t *testing.T) {
	near, far := tcpPair(t)
	r := http1.NewReader(near)
	waits, held := 0, 0
	var next func()
	http1.WatchWaits(r, func() {
		waits++
		held = http1.Held(r)
		next()
	})
	expect := func(when string, want int) {
		t.Helper()
		if waits == 0 || held != want {
			t.Errorf("%s: %d bytes held in the last of %d waits, want %d", when, held, waits, want)
		}
		waits = 0
	}
	var q http1.Request
	next = func() { send(t, far, poll) }
	readRequest(t, r, &q)
	expect("idle", 0)
	if http1.Held(r) != 0 {
		t.Error("a head that has been read is held")
	}
	parts := []string{poll[:100], poll[100:]}
	next = func() {
		send(t, far, parts[0])
		parts = parts[1:]
	}
	readRequest(t, r, &q)
	expect("in a head", 4<<10)

	next = func() { send(t, far, posted("Content-Length: 100000", "abc")) }
	readRequest(t, r, &q)
	next = func() { send(t, far, strings.Repeat("x", 1000)) }
	body := r.RequestBody(&q)
	for range 3 {
		body.Next() // what it returns is of no interest here
	}
	expect("in a body", 0)
	next = func() { send(t, far, strings.Repeat("x", 100000-3-2000)+poll+poll) }
	if _, err := readBody(body); err != io.EOF {
		t.Fatal(err)
	}
	readRequest(t, r, &q)
	readRequest(t, r, &q)
	if http1.Held(r) != 0 {
		t.Error("a buffer is held when all has been read")
	}
}

func TestAWaitEndsWithoutABuffer(t *testing.T) {
	near, far := tcpPair(t)
	r := http1.NewReader(near)
	done := make(chan error)
	go func() {
		var q http1.Request
		done <- r.Request(&q, wait, wait)
	}()
	far.Close()
	if err := <-done; err != io.EOF || http1.Held(r) != 0 {
		t.Fatal(err, http1.Held(r))
	}
}

func TestClosingEndsAWait(t *testing.T) {
	near, _ := tcpPair(t)
	r := http1.NewReader(near)
	done := make(chan error)
	go func() {
		var p http1.Response
		done <- r.Response(&p, "GET")
	}()
	near.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAResetIsAnError(t *testing.T) {
	near, far := tcpPair(t)
	far.SetLinger(0)
	far.Close()
	var q http1.Request
	if err := http1.NewReader(near).Request(&q, wait, wait); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
}

// slowly writes the parts with a pause before each. What it returns waits for the end of it.
func slowly(far net.Conn, pause time.Duration, parts ...string) (end func()) {
	var writer sync.WaitGroup
	writer.Go(func() {
		for _, s := range parts {
			time.Sleep(pause)
			far.Write([]byte(s)) // the reader may have gone
		}
	})
	return writer.Wait
}

// TestTimeLimits uses a pipe, whose deadlines follow the bubble's clock.
func TestTimeLimits(t *testing.T) {
	const idle, head = 75 * time.Second, 5 * time.Second
	for name, test := range map[string]struct {
		sent  []string // with a second between them
		want  string
		after time.Duration
	}{
		"nothing":             {nil, "http1: no request came in time", idle},
		"a part":              {[]string{"G"}, "http1: the head did not come in time", time.Second + head},
		"a byte a second":     {strings.Split("GET / HTTP/1.1", ""), "http1: the head did not come in time", time.Second + head},
		"all but the last LF": {[]string{"GET / HTTP/1.1\r\nHost: h\r\n\r"}, "http1: the head did not come in time", time.Second + head},
		"an empty line":       {[]string{"\r\n"}, "http1: no request came in time", idle},
		"a bare LF":           {[]string{"GET / HTTP/1.1\n"}, "http1: a line of the head ends with a bare LF; it must end with CR LF", time.Second},
		"no HTTP":             {[]string{"\x16"}, "http1: the method is not a token", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer slowly(far, time.Second, test.sent...)()
				start := time.Now()
				var q http1.Request
				err := http1.NewReader(near).Request(&q, idle, head)
				if after := time.Since(start); err == nil || err.Error() != test.want || after != test.after {
					t.Errorf("got %v after %v, want %s after %v", err, after, test.want, test.after)
				}
				near.Close()
				far.Close()
			})
		})
	}
}

func TestNoTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer slowly(far, time.Hour, strings.SplitAfter(poll, "\n")...)()
		var q http1.Request
		if err := http1.NewReader(near).Request(&q, 0, 0); err != nil {
			t.Error(err)
		}
		near.Close()
		far.Close()
	})
}

func TestABodyGoesOnBehindADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer slowly(far, 3*time.Second, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabc", "def\r\n0\r\n\r\n")()
		r := http1.NewReader(near)
		var p http1.Response
		if err := r.Response(&p, "GET"); err != nil {
			t.Fatal(err)
		}
		near.SetReadDeadline(time.Now().Add(time.Second))
		text, err := readBody(r.ResponseBody(&p))
		if text != "abc" || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(text, err)
		}
		near.SetReadDeadline(time.Time{})
		if text, err = readBody(r.ResponseBody(&p)); text != "def" || err != io.EOF {
			t.Error(text, err)
		}
		near.Close()
		far.Close()
	})
}
