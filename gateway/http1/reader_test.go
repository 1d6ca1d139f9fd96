package http1_test

import (
	"errors"
	"io"
	"strings"
	"testing"

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
