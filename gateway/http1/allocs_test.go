//go:build unix && !race

// The race detector makes sync.Pool forget at random, so that these run without it.

package http1_test

import (
	"net"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

// none fails if do allocates, the first times excepted, when memory is borrowed and grown.
func none(t *testing.T, what string, do func()) {
	t.Helper()
	do()
	if n := testing.AllocsPerRun(200, do); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}

// write sends without the allocations of a test helper.
func write(t *testing.T, c net.Conn, b []byte) {
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsAllocateNothing(t *testing.T) {
	near, far := tcpPair(t)
	r := http1.NewReader(near)
	var q http1.Request
	for name, in := range map[string]string{
		"poll":     poll,
		"upgrade":  upgrade,
		"absolute": "GET http://h?a HTTP/1.1\r\nHost: h\r\nConnection: x, y\r\nX: y\r\n\r\n",
		"length":   posted("Content-Length: 5", "hello"),
		"chunks":   posted("Transfer-Encoding: chunked", "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n"),
		"large":    posted("Content-Length: 60000", strings.Repeat("x", 60000)),
	} {
		b := []byte(in)
		none(t, name, func() {
			write(t, far, b)
			readRequest(t, r, &q)
			drain(t, r.RequestBody(&q))
			if q.WebSocket && q.CheckWebSocket() != nil {
				t.Fatal("no websocket")
			}
		})
	}
}

// TestALargeHeadCostsItsCopy: the one allocation is the memory that is not kept for the next head.
func TestALargeHeadCostsItsCopy(t *testing.T) {
	near, far := tcpPair(t)
	r := http1.NewReader(near)
	var q http1.Request
	b := []byte(withField("X: " + strings.Repeat("x", 20<<10)))
	if n := testing.AllocsPerRun(200, func() {
		write(t, far, b)
		readRequest(t, r, &q)
	}); n != 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestResponsesAllocateNothing(t *testing.T) {
	near, far := tcpPair(t)
	r := http1.NewReader(near)
	q := parse(t, upgrade)
	var p http1.Response
	for name, in := range map[string]string{
		"length":  pollAnswer,
		"chunks":  answered("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
		"switch":  switched,
		"nothing": "HTTP/1.1 204 No Content\r\n\r\n",
	} {
		b := []byte(in)
		none(t, name, func() {
			write(t, far, b)
			if err := r.Response(&p, "GET"); err != nil {
				t.Fatal(err)
			}
			drain(t, r.ResponseBody(&p))
			if p.Status == 101 && p.CheckSwitch(q) != nil {
				t.Fatal("no switch")
			}
		})
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	q := parse(t, poll)
	dst := make([]byte, 0, 4096)
	piece := []byte("hello")
	none(t, "heads and chunks", func() {
		dst = http1.AppendRequestLine(dst[:0], q.Method, q.Target)
		dst = q.AppendEndToEnd(dst, http1.SetOf(http1.AcceptEncoding))
		dst = http1.AppendField(dst, "X-Real-IP", "192.0.2.1")
		dst = http1.AppendLength(dst, 12345678)
		dst = http1.AppendStatus(dst, 503, "")
		dst = http1.AppendLastChunk(http1.AppendChunk(dst, piece))
	})
}
