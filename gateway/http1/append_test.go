package http1_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

func TestAppend(t *testing.T) {
	for want, got := range map[string][]byte{
		"xGET /a?b HTTP/1.1\r\n":                           http1.AppendRequestLine([]byte("x"), "GET", "/a?b"),
		"HTTP/1.1 200 OK\r\n":                              http1.AppendStatus(nil, 200, ""),
		"HTTP/1.1 200 Fine\r\n":                            http1.AppendStatus(nil, 200, "Fine"),
		"HTTP/1.1 299 \r\n":                                http1.AppendStatus(nil, 299, ""),
		"HTTP/1.1 431 Request Header Fields Too Large\r\n": http1.AppendStatus(nil, 431, ""),
		"A: b\r\n": http1.AppendField(nil, "A", "b"),
		"Content-Length: 9223372036854775807\r\n": http1.AppendLength(nil, 1<<63-1),
		"x":                    http1.AppendChunk([]byte("x"), nil),
		"b\r\nhello world\r\n": http1.AppendChunk(nil, []byte("hello world")),
		"10000\r\n":            http1.AppendChunkSize(nil, 1<<16),
		"0\r\n\r\n":            http1.AppendLastChunk(nil),
	} {
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestStringsLiveUntilTheNextHead(t *testing.T) {
	r := http1.NewReader(script("GET /one HTTP/1.1\r\nHost: first\r\n\r\n", "GET /two HTTP/1.1\r\nHost: other\r\n\r\n"))
	var a, b http1.Request
	readRequest(t, r, &a)
	readRequest(t, r, &b)
	if a.Path != "/one" || a.Host != "first" || b.Path != "/two" || b.Host != "other" {
		t.Errorf("%q %q %q %q", a.Path, a.Host, b.Path, b.Host)
	}
	a.Reset()
	if a.Path != "" || a.Host != "" || len(a.Fields) != 0 || a.Get(http1.Host) != "" {
		t.Errorf("something is left: %+v", a)
	}
}

// TestResetLetsGoOfLargeHeads counts what requests keep that are idle behind a head of 30 KiB.
func TestResetLetsGoOfLargeHeads(t *testing.T) {
	const many = 200
	in := withField("X: " + strings.Repeat("x", 30<<10))
	requests := make([]*http1.Request, many)
	before := heap()
	for i := range requests {
		requests[i] = parse(t, in)
		requests[i].Reset()
	}
	if kept := (heap() - before) / many; kept > 8<<10 {
		t.Errorf("%d bytes are kept by each", kept)
	}
	runtime.KeepAlive(requests)
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // the second empties what pools kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
