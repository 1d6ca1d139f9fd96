package http1_test

import (
	"io"
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

func TestABodyLeftUnreadStopsTheConnection(t *testing.T) {
	near, far := tcpPair(t)
	send(t, far, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
	r := http1.NewReader(near)
	var q http1.Request
	if err := r.Request(&q, wait, wait); err != nil {
		t.Fatal(err)
	}
	if err := r.Request(&q, wait, wait); err != http1.ErrUnread {
		t.Fatalf("got %v, want ErrUnread", err)
	}
}
