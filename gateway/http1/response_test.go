package http1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/http1"
)

// answered returns a 200 with these lines and what follows its head.
func answered(lines, rest string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n\r\n" + rest }

func TestStatusLine(t *testing.T) {
	const none = "\r\nContent-Length: 0\r\n\r\n"
	const bad = "502 the status line is not: HTTP/1.1, one space, three digits"
	checkVectors(t, []vector{
		{"plain", "HTTP/1.1 200 OK" + none, "200 EOF"},
		{"HTTP/1.0", "HTTP/1.0 200 OK" + none, "200 EOF"},
		{"no reason", "HTTP/1.1 200 " + none, "200 EOF"},
		{"no reason and no space", "HTTP/1.1 200" + none, "200 EOF"},
		{"a long reason", "HTTP/1.1 404 not here,\tnor there \xe4 (2)" + none, "404 EOF"},
		{"unusual status", "HTTP/1.1 999 x" + none, "999 EOF"},
		{"two", "HTTP/1.1 200 OK" + none + "HTTP/1.1 404 No" + none, "200 404 EOF"},
		{"1xx before", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 200 OK" + none, "103 100 200 EOF"},
		{"nothing", "", "EOF"},
		{"cut", "HTTP/1.1 200", "cut"},

		{"empty line before", "\r\nHTTP/1.1 200 OK" + none, bad},
		{"blank before", " HTTP/1.1 200 OK" + none, bad},
		{"HTTP/0.9", "hello" + none, bad},
		{"a body left over", "xHTTP/1.1 200 OK" + none, bad},
		{"two blanks", "HTTP/1.1  200 OK" + none, bad},
		{"tab", "HTTP/1.1\t200 OK" + none, bad},
		{"tab behind", "HTTP/1.1 200\tOK" + none, bad},
		{"four digits", "HTTP/1.1 2000" + none, bad},
		{"two digits", "HTTP/1.1 20 OK" + none, bad},
		{"two digits at the end", "HTTP/1.1 20" + none, bad},
		{"below 100", "HTTP/1.1 099 x" + none, bad},
		{"letters", "HTTP/1.1 2OO OK" + none, bad},
		{"plus", "HTTP/1.1 +20 OK" + none, bad},
		{"NUL in the reason", "HTTP/1.1 200 O\x00K" + none, bad},
		{"CR in the reason", "HTTP/1.1 200 O\rK" + none, bad},
		{"CR CR LF", "HTTP/1.1 200 OK\r" + none, bad},
		{"no status", "HTTP/1.1" + none, bad},
		{"a request", "GET / HTTP/1.1" + none, bad},
		{"HTTP/1.2", "HTTP/1.2 200 OK" + none, "502"},
		{"HTTP/2", "HTTP/2 200 OK" + none, "502"},
		{"HTTP/2.0", "HTTP/2.0 200 OK" + none, "502"},
		{"small letters", "http/1.1 200 OK" + none, "502"},
		{"small letters behind the first", "Http/1.1 200 OK" + none, "502"},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "502"},
		{"bare LF only", "HTTP/1.1 200 OK\n\n", "502"},
	}, responseTranscript("GET"))
}

func TestResponseFields(t *testing.T) {
	field := func(lines string) string { return answered("Content-Length: 0\r\n"+lines, "") }
	checkVectors(t, []vector{
		{"plain", field("X: y"), "200 EOF"},
		{"cookies", field("Set-Cookie: a=b\r\nSet-Cookie: c=d"), "200 EOF"},
		{"bytes from 0x80", field("X: \xe4"), "200 EOF"},
		{"underscore", field("X_Y: z"), "200 EOF"},
		{"blank before the colon", field("X : y"), "502"},
		{"blank before Content-Length's colon", answered("Content-Length : 3", "abc"), "502"},
		{"fold", field("X: y\r\n z"), "502"},
		{"fold of framing", answered("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), "502"},
		{"bare LF", field("X: y\nZ: z"), "502"},
		{"bare LF at the end", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", "502"},
		{"bare CR", field("X: y\rZ: z"), "502"},
		{"NUL", field("X: \x00"), "502"},
		{"name not a token", field("X(: y"), "502"},
		{"no name", field(": y"), "502"},
		{"no colon", field("X"), "502"},
		{"100 fields", field(strings.TrimSuffix(strings.Repeat("a: b\r\n", 99), "\r\n")), "200 EOF"},
		{"101 fields", field(strings.TrimSuffix(strings.Repeat("a: b\r\n", 100), "\r\n")), "502"},
		{"more than 32 KiB", field("X: " + strings.Repeat("y", 32<<10)), "502"},
		{"without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 64<<10), "502"},
	}, responseTranscript("GET"))
}

func TestResponseFraming(t *testing.T) {
	const chunks = "3\r\nabc\r\n0\r\n\r\n"
	vectors := []vector{
		{"length", answered("Content-Length: 3", "abc"), `200 "abc" EOF`},
		{"length and another", answered("Content-Length: 3", "abcHTTP/1.1 204 No\r\n\r\n"), `200 "abc" 204 EOF`},
		{"length and junk", answered("Content-Length: 3", "abcd"), `200 "abc" 502`},
		{"length cut", answered("Content-Length: 4", "abc"), `200 "abc" cut`},
		{"chunked", answered("Transfer-Encoding: chunked", chunks), `200 "abc" EOF`},
		{"chunked and another", answered("Transfer-Encoding: chunked", chunks+"HTTP/1.1 204 No\r\n\r\n"), `200 "abc" 204 EOF`},
		{"to the end", "HTTP/1.1 200 OK\r\n\r\nabcHTTP/1.1 200", `200 "abcHTTP/1.1 200" EOF`},
		{"to the end, empty", "HTTP/1.1 200 OK\r\n\r\n", `200 "" EOF`},
		{"to the end, HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nabc", `200 "abc" EOF`},
		{"204", "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "204 200 EOF"},
		{"204 with a length of zero", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", "204 EOF"},
		{"304 with a length", "HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "304 204 EOF"},
		{"304 without", "HTTP/1.1 304 Same\r\n\r\n", "304 EOF"},
		{"101", "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "101 EOF"},

		{"204 with a length", "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", "502 a body is announced where a status allows none"},
		{"204 chunked", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "502 a body is announced where a status allows none"},
		{"100 with a length", "HTTP/1.1 100 Go\r\nContent-Length: 5\r\n\r\nhello", "502 a body is announced where a status allows none"},
		{"both", answered("Content-Length: 3\r\nTransfer-Encoding: chunked", chunks), "502 Content-Length and Transfer-Encoding together"},
		{"both the other way", answered("Transfer-Encoding: chunked\r\nContent-Length: 3", chunks), "502 Content-Length and Transfer-Encoding together"},
		{"both in a 304", "HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "502"},
		{"length twice", answered("Content-Length: 3\r\nContent-Length: 3", "abc"), "502 Content-Length is repeated"},
		{"two lengths", answered("Content-Length: 3\r\nContent-Length: 4", "abc"), "502 Content-Length is repeated"},
		{"list of lengths", answered("Content-Length: 3, 3", "abc"), "502 Content-Length is not a number"},
		{"no length", answered("Content-Length:", "abc"), "502 Content-Length is not a number"},
		{"negative", answered("Content-Length: -1", "abc"), "502 Content-Length is not a number"},
		{"too large", answered("Content-Length: 9223372036854775808", "abc"), "502 Content-Length is not a number"},
		{"gzip, chunked", answered("Transfer-Encoding: gzip, chunked", chunks), "502 Transfer-Encoding is not one chunked"},
		{"identity", answered("Transfer-Encoding: identity", "abc"), "502 Transfer-Encoding is not one chunked"},
		{"chunked twice", answered("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunks), "502 Transfer-Encoding is not one chunked"},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "502 Transfer-Encoding in HTTP/1.0"},
	}
	checkVectors(t, vectors, responseTranscript("GET"))
	checkVectors(t, []vector{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "200 200 EOF"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 EOF"},
		{"junk", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "200 502"},
	}, responseTranscript("HEAD"))
}

func respond(t *testing.T, method, s string) *http1.Response {
	t.Helper()
	var p http1.Response
	if err := http1.NewReader(script(s)).Response(&p, method); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return &p
}

func TestResponseHead(t *testing.T) {
	p := respond(t, "GET", "HTTP/1.1 404 Not here\r\nContent-Length: 7\r\nX: y\r\nX_Y: z\r\nConnection: x\r\nKeep-Alive: timeout=5\r\n"+
		"Proxy-Authenticate: a\r\nTrailer: b\r\n\r\n")
	if p.Reason != "Not here" || p.Minor != 1 || p.ContentLength != 7 || p.NoBody || p.Close || p.Chunked {
		t.Errorf("%+v", p)
	}
	if got := names(&p.Head); got != "Content-Length X_Y" {
		t.Errorf("passed on: %s", got)
	}
	if p = respond(t, "HEAD", answered("Content-Length: 7", "")); !p.NoBody || names(&p.Head) != "Content-Length" || p.Close {
		t.Errorf("HEAD: %+v", p)
	}
	if p = respond(t, "GET", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"); !p.NoBody || names(&p.Head) != "" {
		t.Errorf("204: %+v", p)
	}
	if p = respond(t, "GET", "HTTP/1.1 200 OK\r\n\r\n"); p.ContentLength != -1 || !p.Close {
		t.Errorf("to the end: %+v", p)
	}
}

func TestKeepAlive(t *testing.T) {
	for lines, want := range map[string]time.Duration{
		"Keep-Alive: timeout=5":                   5 * time.Second,
		"Keep-Alive: max=100, Timeout = 7":        7 * time.Second,
		"Keep-Alive: timeout=99999999999":         time.Hour,
		"Keep-Alive: timeout=5;max=3":             0,
		"Keep-Alive: timeout=-5":                  0,
		"Keep-Alive: timeout":                     0,
		"Keep-Alive: 5":                           0,
		"Keep-Alive: max=3":                       0,
		"Keep-Alive: timeout=9999999999999999999": 0,
		"X: y": 0,
	} {
		if p := respond(t, "GET", answered(lines+"\r\nContent-Length: 0", "")); p.KeepAlive != want || p.Close {
			t.Errorf("%s: %v, close %v", lines, p.KeepAlive, p.Close)
		}
	}
	for _, in := range []string{
		answered("Keep-Alive: timeout=0\r\nContent-Length: 0", ""),
		answered("Connection: close\r\nKeep-Alive: timeout=5\r\nContent-Length: 0", ""),
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
	} {
		if p := respond(t, "GET", in); !p.Close {
			t.Errorf("%q is kept", in)
		}
	}
	if p := respond(t, "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"); p.Close {
		t.Error("HTTP/1.0 that asks to be kept is not")
	}
}
