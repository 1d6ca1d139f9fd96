package http1_test

import (
	"io"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

// poll is what Chromium sends for a poll of the reference client.
const poll = "GET /socket.io/?EIO=4&transport=polling&t=PJ3kd9a&sid=3pJq0XvD1mYtVXZpAAAB HTTP/1.1\r\n" +
	"Host: chat.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"sec-ch-ua: \"Chromium\";v=\"120\", \"Not=A?Brand\";v=\"24\"\r\n" +
	"sec-ch-ua-mobile: ?0\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\n" +
	"Origin: https://chat.example.com\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Sec-Fetch-Mode: cors\r\n" +
	"Referer: https://chat.example.com/\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\n" +
	"Cookie: theme=dark; session=0123456789abcdef0123456789abcdef\r\n\r\n"

const (
	// pollAnswer is what Node's engine.io answers.
	pollAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 21\r\n" +
		"cache-control: no-store\r\nAccess-Control-Allow-Origin: *\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n" +
		"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n42[\"message\",\"hello\"]"
)

func readRequest(t testing.TB, r *http1.Reader, q *http1.Request) {
	if err := r.Request(q, wait, wait); err != nil {
		t.Fatal(err)
	}
}

func drain(t testing.TB, b http1.BodyReader) {
	for {
		_, err := b.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkRequestHead(b *testing.B) {
	r := http1.NewReader(&repeatingConn{message: []byte(poll)})
	var q http1.Request
	b.ReportAllocs()
	b.SetBytes(int64(len(poll)))
	for b.Loop() {
		readRequest(b, r, &q)
	}
}

func BenchmarkResponse(b *testing.B) {
	r := http1.NewReader(&repeatingConn{message: []byte(pollAnswer)})
	var p http1.Response
	b.ReportAllocs()
	b.SetBytes(int64(len(pollAnswer)))
	for b.Loop() {
		if err := r.Response(&p, "GET"); err != nil {
			b.Fatal(err)
		}
		drain(b, r.ResponseBody(&p))
	}
}

func BenchmarkAppendEndToEnd(b *testing.B) {
	r := http1.NewReader(&repeatingConn{message: []byte(poll)})
	var q http1.Request
	readRequest(b, r, &q)
	except := http1.SetOf(http1.XForwardedFor, http1.XRealIP)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = q.AppendEndToEnd(dst[:0], except)
	}
}

// BenchmarkSocketRequest has the system calls in it: one write by the client, a wait, a read here.
func BenchmarkSocketRequest(b *testing.B) {
	near, far := tcpPair(b)
	r := http1.NewReader(near)
	var q http1.Request
	message := []byte(poll)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := far.Write(message); err != nil {
			b.Fatal(err)
		}
		readRequest(b, r, &q)
	}
}
