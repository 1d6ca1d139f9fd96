package http1_test

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

func TestLoadedHeads(t *testing.T) {
	const head = "POST /socket.io/?EIO=4 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
	r := http1.NewReader(nil)
	var q http1.Request
	for cut := range len(head) {
		r.Load([]byte(head[:cut]))
		if ok, err := r.TryRequest(&q); ok || err != nil {
			t.Fatalf("%d of %d bytes are taken for a head: %v", cut, len(head), err)
		}
	}
	r.Load([]byte(head + "hel"))
	if ok, err := r.TryRequest(&q); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if b, whole := r.RequestBody(&q).Whole(); whole {
		t.Fatalf("%q is taken for the whole body", b)
	}
	r.Load([]byte(head + "helloGET /"))
	if ok, err := r.TryRequest(&q); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if b, whole := r.RequestBody(&q).Whole(); !whole || string(b) != "hello" {
		t.Fatalf("got %q %v", b, whole)
	}
	if rest := r.Buffered(); string(rest) != "GET /" {
		t.Fatalf("left %q", rest)
	}
	r.Load([]byte("GET / HTTP/1.1\nHost: h\r\n\r\n"))
	var bad *http1.Error
	if ok, err := r.TryRequest(&q); ok || !errors.As(err, &bad) || bad.Status != 400 {
		t.Fatalf("a bare LF: %v %v", ok, err)
	}
}

func TestLoadedAnswers(t *testing.T) {
	r := http1.NewReader(nil)
	var p http1.Response
	for answer, whole := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":                 true,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                   true,
		"HTTP/1.1 204 No Content\r\n\r\n":                                true,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok":                 false,
		"HTTP/1.1 200 OK\r\n\r\nok":                                      false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": false,
	} {
		r.Load([]byte(answer))
		if ok, err := r.TryResponse(&p, "GET"); !ok || err != nil {
			t.Fatalf("%q: %v %v", answer, ok, err)
		}
		if b, got := r.ResponseBody(&p).Whole(); got != whole {
			t.Errorf("%q: whole %v, body %q", answer, got, b)
		}
	}
	r.Load([]byte("HTTP/1.1 200 O"))
	if ok, err := r.TryResponse(&p, "GET"); ok || err != nil {
		t.Errorf("a part of a head: %v %v", ok, err)
	}
	r.Load([]byte("FTP"))
	if ok, err := r.TryResponse(&p, "GET"); ok || err == nil {
		t.Errorf("not HTTP: %v %v", ok, err)
	}
}

// TestPreload reads a request of which a part was received before the Reader was made.
func TestPreload(t *testing.T) {
	for _, size := range []int{1, 3000, 9000} {
		ours, theirs := net.Pipe()
		body := bytes.Repeat([]byte("x"), size)
		message := append([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n"), body...)
		r := http1.NewReader(ours)
		r.Preload(message)
		go func() {
			theirs.Write(bytes.Repeat([]byte("y"), 10000-size))
			theirs.Close()
		}()
		var q http1.Request
		if err := r.Request(&q, 0, 0); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for b := r.RequestBody(&q); !b.Done(); {
			p, err := b.Next()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p...)
		}
		if want := append(body, bytes.Repeat([]byte("y"), 10000-size)...); !bytes.Equal(got, want) {
			t.Errorf("%d bytes before: got %d bytes", size, len(got))
		}
		ours.Close()
	}
}
