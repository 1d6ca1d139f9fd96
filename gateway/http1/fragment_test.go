package http1_test

import (
	"strings"
	"testing"
)

// fragments are what messages are made of, right and wrong: a fuzzer that puts these together gets further than one that
// turns bits.
var fragments = []string{
	"\r\n", "\r\n\r\n", "\r", "\n", " ", "\t", ":", ",", ";", "=", "\"", "\x00", "\x7f", "\x80", "#", "?", "/", "%", "_", "-", "0", "1", "3", "a", "x",
	"GET / HTTP/1.1\r\n", "POST /a?b HTTP/1.1\r\n", "HEAD / HTTP/1.0\r\n", "OPTIONS * HTTP/1.1\r\n", "GET http://h/a HTTP/1.1\r\n",
	"GET http://h?a HTTP/1.1\r\n", "Host: h\r\n", "host:h\r\n", "Host: h", "Connection: close\r\n", "Connection: keep-alive, x\r\n",
	"Content-Length: 3\r\n", "Content-Length: 0\r\n", "Content-Length: ", "content-length:5\r\n", "Transfer-Encoding: chunked\r\n",
	"Transfer-Encoding: ", "chunked", "identity", "X: y\r\n", "X_Y: z\r\n", "Expect: 100-continue\r\n", "Upgrade: websocket\r\n", "TE: trailers\r\n",
	"abc", "hello", "0\r\n\r\n", "3\r\nabc\r\n", "3;a=b\r\nabc\r\n", "0\r\nX: y\r\n\r\n", "5\r\n", "00", "0x", "+",
	"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204 No\r\n", "HTTP/1.1 304 Same\r\n", "HTTP/1.1 100 Go\r\n",
	"Keep-Alive: timeout=5\r\n",
	"GET /b HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
}

// assemble puts the fragments together that the bytes name.
func assemble(numbers []byte) string {
	var b strings.Builder
	for _, n := range numbers {
		b.WriteString(fragments[int(n)%len(fragments)])
	}
	return b.String()
}

// FuzzFragments reads requests and responses that are put together from fragments as FuzzRequest and FuzzResponse do.
func FuzzFragments(f *testing.F) {
	starts := [][]string{
		{"GET / HTTP/1.1\r\n", "Host: h\r\n", "\r\n"},
		{"POST /a?b HTTP/1.1\r\n", "Host: h\r\n", "Content-Length: 3\r\n", "\r\n", "abc", "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"POST /a?b HTTP/1.1\r\n", "Transfer-Encoding: chunked\r\n", "Host: h\r\n", "\r\n", "3;a=b\r\nabc\r\n", "0\r\nX: y\r\n\r\n"},
		{"GET http://h/a HTTP/1.1\r\n", "Connection: keep-alive, x\r\n", "X: y\r\n", "Host: h", "\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", "Keep-Alive: timeout=5\r\n", "\r\n", "abc", "HTTP/1.1 204 No\r\n", "\r\n"},
		{"HTTP/1.1 100 Go\r\n", "\r\n", "HTTP/1.1 200\r\n", "Transfer-Encoding: chunked\r\n", "\r\n", "3\r\nabc\r\n", "0\r\n\r\n"},
		{"HTTP/1.0 200 OK\r\n", "X: y\r\n", "\r\n", "hello"},
	}
	for _, start := range starts {
		f.Add(numbers(start))
	}
	f.Fuzz(func(t *testing.T, numbers []byte) {
		in := assemble(numbers[:min(len(numbers), 100)])
		checkPieces(t, in, requestTranscript)
		compareRequests(t, []byte(in))
		for _, method := range []string{"GET", "HEAD"} {
			checkPieces(t, in, responseTranscript(method))
			compareResponses(t, []byte(in), method)
		}
	})
}

// numbers names fragments.
func numbers(names []string) []byte {
	b := make([]byte, 0, len(names))
	for _, name := range names {
		for i, fragment := range fragments {
			if fragment == name {
				b = append(b, byte(i))
			}
		}
	}
	return b
}
