package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

// What we accept, net/http must read the same: method, target, host, fields, framing, body, and where the next message
// begins. It refuses some of what we accept for reasons of its own, which are named where they are let pass.

func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		poll, poll + poll, upgrade, "\r\n" + poll,
		withField("X: y"), withField("X:\t\x80"), withField("X : y"), withField("X: y\r\n z"), withField("X_Y: z\r\nConnection: a, close"),
		"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET http://h/a?b HTTP/1.1\r\nHost: H\r\n\r\n", "GET https://h:1?b HTTP/1.1\r\nHost: h:1\r\n\r\n",
		"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET //a/../b;c HTTP/1.1\r\nHost: h\r\n\r\n",
		posted("Content-Length: 5", "hello"+poll), posted("Content-Length: 5\r\nExpect: 100-continue", "hello"),
		posted("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), posted("Content-Length: 05\r\nContent-Length: 5", "hello"),
		posted("Transfer-Encoding: chunked", "3;a=\"b\"\r\nabc\r\n0\r\nX: y\r\n\r\n"+poll),
		posted("Transfer-Encoding: Chunked\r\nTrailer: X", "0\r\n\r\n"), posted("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
		posted("Pragma: no-cache\r\nTE: trailers\r\nKeep-Alive: 1", ""), "GET / HTTP/1.1\nHost: h\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		checkPieces(t, string(in), requestTranscript)
		compareRequests(t, in)
	})
}

// checkPieces compares what is read at once, byte by byte, and in random pieces.
func checkPieces(t *testing.T, in string, read reading) {
	if in == "" {
		return
	}
	want := read(script(in))
	random := rand.New(rand.NewPCG(uint64(len(in)), 2))
	for _, pieces := range [][]string{strings.Split(in, ""), randomPieces(random, in), randomPieces(random, in)} {
		if got := read(script(pieces...)); got != want {
			t.Fatalf("in pieces %q: got %s, want %s", pieces, got, want)
		}
	}
}

func compareRequests(t *testing.T, in []byte) {
	r := http1.NewReader(script(string(in)))
	std := bufio.NewReaderSize(bytes.NewReader(in), 1<<17)
	var q http1.Request
	for r.Request(&q, wait, wait) == nil {
		if b, _ := std.Peek(2); string(b) == "\r\n" {
			std.Discard(2) // the one empty line, which net/http does not pass
		}
		line, _ := std.Peek(http1.MaxHead)
		target := strings.Split(string(line), " ")[1]
		if _, err := url.ParseRequestURI(target); err != nil {
			return // net/http decodes the target and refuses what does not decode
		}
		checkRequestAgain(t, &q)
		want, err := http.ReadRequest(std)
		if err != nil {
			if q.Has(http1.Trailer) {
				return // net/http judges the names in Trailer, which goes no further here
			}
			t.Fatalf("net/http refuses what is accepted here: %v", err)
		}
		if q.Method != want.Method || target != want.RequestURI || !strings.EqualFold(q.Host, want.Host) || q.Minor != want.ProtoMinor ||
			q.Close != want.Close {
			t.Fatalf("read %+v, net/http read %+v", q, want)
		}
		if want.URL.RawQuery != q.RawQuery || q.Path != "/" && q.Path != "*" && !strings.HasSuffix(target, q.Target) {
			t.Fatalf("read path %q and query %q, net/http read %+v", q.Path, q.RawQuery, want.URL)
		}
		compareFields(t, &q.Head, want.Header)
		if !compareBodies(t, r.RequestBody(&q), want.Body) {
			return
		}
	}
}

// checkRequestAgain writes what goes to a node and reads it again.
func checkRequestAgain(t *testing.T, q *http1.Request) {
	b := http1.AppendRequestLine(nil, q.Method, q.Target)
	b = q.AppendEndToEnd(b, http1.SetOf(http1.ContentLength))
	if !q.Has(http1.Host) {
		b = http1.AppendField(b, "Host", "added")
	}
	b = append(b, '\r', '\n')
	var again http1.Request
	if err := http1.NewReader(script(string(b))).Request(&again, wait, wait); err != nil {
		t.Fatalf("what was written is refused: %q: %v", b, err)
	}
	std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		if _, err := url.ParseRequestURI(q.Target); err == nil {
			t.Fatalf("net/http refuses what was written: %q: %v", b, err)
		}
		return
	}
	if again.Method != q.Method || again.Target != q.Target || std.RequestURI != q.Target || again.Upgrade || again.Chunked || again.Close ||
		again.ContentLength != 0 {
		t.Fatalf("written %q, read %+v, net/http read %+v", b, again, std)
	}
}

// compareFields compares all but what net/http takes out of a header.
func compareFields(t *testing.T, h *http1.Head, want http.Header) {
	got := http.Header{}
	for _, f := range h.Fields {
		got.Add(f.Name, f.Value)
	}
	if _, ok := got["Pragma"]; ok && !h.Has(http1.CacheControl) {
		want.Del("Cache-Control") // which net/http adds
	}
	for _, name := range []string{"Host", "Transfer-Encoding", "Trailer"} {
		got.Del(name)
		want.Del(name)
	}
	if want["Connection"] == nil {
		delete(want, "Connection")
	}
	if !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Fatalf("read fields %q, net/http read %q", got, want)
	}
}

// compareBodies reports whether both came to the end of the message.
func compareBodies(t *testing.T, b http1.BodyReader, std io.Reader) bool {
	got, err := readBody(b)
	want, stdErr := io.ReadAll(std)
	if err != io.EOF {
		return false // that net/http is more lenient is no fault
	}
	if stdErr != nil && strings.Contains(stdErr.Error(), "too much non-data") {
		return false // net/http bounds the framing of a body as a whole
	}
	if stdErr != nil || got != string(want) {
		t.Fatalf("read body %q, net/http read %q, %v", got, want, stdErr)
	}
	return true
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		pollAnswer, kept + kept, switched, switched + "\x81\x00", "HTTP/1.1 100 Continue\r\n\r\n" + kept, "HTTP/1.1 204\r\n\r\n" + kept,
		"HTTP/1.0 200 OK\r\n\r\nto the end", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n" + kept,
		"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", answered("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"+kept),
		answered("Transfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n"), answered("Content-Length: 3\r\nContent-Length: 3", "abc"),
		answered("Connection: close\r\nContent-Length: 0", ""), answered("Content-Length: 3, 3", "abc"), answered("X: y\r\n z", ""),
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		checkPieces(t, string(in), responseTranscript(method))
		compareResponses(t, in, method)
	})
}

func compareResponses(t *testing.T, in []byte, method string) {
	r := http1.NewReader(script(string(in)))
	std := bufio.NewReaderSize(bytes.NewReader(in), 1<<17)
	var p http1.Response
	for r.Response(&p, method) == nil {
		want, err := http.ReadResponse(std, &http.Request{Method: method})
		if err != nil {
			if p.Has(http1.Trailer) {
				return
			}
			t.Fatalf("net/http refuses what is accepted here: %v", err)
		}
		if p.Status != want.StatusCode || p.Minor != want.ProtoMinor || !p.NoBody && !p.Chunked && p.ContentLength != want.ContentLength {
			t.Fatalf("read %+v, net/http read %+v", p, want)
		}
		want.Header["Connection"] = values(&p.Head, http1.Connection) // net/http takes "close" out
		compareFields(t, &p.Head, want.Header)
		if !compareBodies(t, r.ResponseBody(&p), want.Body) {
			return
		}
	}
}

// values returns what the fields with this ID hold.
func values(h *http1.Head, id http1.FieldID) []string {
	var all []string
	for _, f := range h.Fields {
		if f.ID == id {
			all = append(all, f.Value)
		}
	}
	return all
}

func FuzzChunks(f *testing.F) {
	for _, s := range []string{
		"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "A;b=\"c\"\r\n0123456789\r\n00\r\nX: y\r\n\r\n", "3 ; a\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n",
		"3\nabc\r\n0\r\n\r\n", "ffffffffffffffff\r\na", "3\r\nabc0\r\n\r\n", "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\nGET", "0\r\nX : y\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		message := posted("Transfer-Encoding: chunked", string(in))
		checkPieces(t, message, requestTranscript)
		compareRequests(t, []byte(message))
		again := posted("Transfer-Encoding: chunked", string(http1.AppendLastChunk(http1.AppendChunk(nil, in))))
		r := http1.NewReader(script(again))
		var q http1.Request
		readRequest(t, r, &q)
		if text, err := readBody(r.RequestBody(&q)); text != string(in) || err != io.EOF {
			t.Fatalf("written %q, read %q, %v", in, text, err)
		}
	})
}
