package http1_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

// withField returns a GET with these lines behind its Host.
func withField(lines string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n" }

func TestFieldLines(t *testing.T) {
	const (
		fine  = "GET / EOF"
		value = "400 a field value has a control byte"
	)
	vectors := []vector{
		{"none but Host", "GET /" + hostEnd, fine},
		{"empty value", withField("X:"), fine},
		{"value of blanks", withField("X: \t "), fine},
		{"no blank behind the colon", withField("X:y"), fine},
		{"tabs around", withField("X:\ty\t"), fine},
		{"tab within", withField("X: a\tb"), fine},
		{"UTF-8", withField("X: grüße"), fine},
		{"bytes from 0x80", withField("X: \x80\xff\xfe"), fine},
		{"each token character", withField("!#$%&'*+-.^_`|~09azAZ: y"), fine},
		{"a colon in the value", withField("X: :y:"), fine},
		{"underscore", withField("Content_Length: 7"), fine},

		{"blank before the colon", withField("X : y"), "400"},
		{"tab before the colon", withField("X\t: y"), "400"},
		{"Host with a blank before its colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"},
		{"Content-Length with a blank before its colon", withField("Content-Length : 3"), "400"},
		{"Transfer-Encoding with a blank before its colon", withField("Transfer-Encoding : chunked"), "400"},
		{"blank in the name", withField("X Y: z"), "400"},
		{"no colon", withField("X"), "400"},
		{"no name", withField(": y"), "400"},
		{"colon alone", withField(":"), "400"},
		{"name in brackets", withField("[X]: y"), "400"},
		{"name with a comma", withField("X,Y: z"), "400"},
		{"name with a quote", withField("\"X\": z"), "400"},
		{"name with a slash", withField("X/Y: z"), "400"},
		{"name with NUL", withField("X\x00: z"), "400"},
		{"name with a control byte", withField("X\x01: z"), "400"},
		{"name with DEL", withField("X\x7f: z"), "400"},
		{"name with a byte from 0x80", withField("X\x80: z"), "400"},
		{"name with UTF-8", withField("ö: z"), "400"},
		{"name with a vertical tab", withField("\x0bTransfer-Encoding: chunked"), "400"},
		{"first field folded", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "400 a field is folded over lines"},
		{"first field folded by a tab", "GET / HTTP/1.1\r\n\tHost: h\r\n\r\n", "400 a field is folded over lines"},
		{"fold", withField("X: y\r\n z"), "400 a field is folded over lines"},
		{"fold by a tab", withField("X: y\r\n\tz"), "400 a field is folded over lines"},
		{"fold to an empty line", withField("X: y\r\n "), "400 a field is folded over lines"},
		{"fold of framing", withField("Transfer-Encoding:\r\n chunked"), "400 a field is folded over lines"},
		{"fold that hides a field", withField("X: y\r\n Content-Length: 5"), "400 a field is folded over lines"},
		{"bare LF", withField("X: y\nZ: z"), "400 a line of the head ends with a bare LF"},
		{"bare LF before the empty line", "GET / HTTP/1.1\r\nHost: h\n\r\n", "400 a line of the head ends with a bare LF"},
		{"bare LF as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", "400 a line of the head ends with a bare LF"},
		{"bare LFs at the end", "GET / HTTP/1.1\r\nHost: h\n\n", "400 a line of the head ends with a bare LF"},
		{"bare LF in the first of two", withField("X: y\n") + "GET /b" + hostEnd, "400 a line of the head ends with a bare LF"},
		{"bare CR in a value", withField("X: y\rZ: z"), value},
		{"bare CR in a name", withField("X\rY: z"), "400"},
		{"bare CR behind the colon", withField("X:\ry"), value},
		{"bare CR before a line of its own", withField("X: y\r\rZ: z"), value},
		{"two control bytes before a line of its own", withField("X: y\x01\x01Z: z"), value},
		{"CR CR LF", withField("X: y\r"), value},
		{"CR before the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\r\r\n\r\n", "400"},
	}
	for c := range byte(0x20) {
		if c != '\t' && c != '\n' && c != '\r' {
			vectors = append(vectors, vector{"control byte in a value", withField("X: a" + string(rune(c)) + "b"), value})
		}
	}
	vectors = append(vectors, vector{"DEL in a value", withField("X: a\x7fb"), value})
	for i := range vectors {
		vectors[i].want = strings.Replace(vectors[i].want, "bare LF", "bare LF; it must end with CR LF", 1)
	}
	checkVectors(t, vectors, requestTranscript)
}

// TestControlBytesAnywhere puts each byte at each place of a value: the look at eight bytes at a time must see it.
func TestControlBytesAnywhere(t *testing.T) {
	for c := range 256 {
		allowed := c == '\t' || c >= ' ' && c != 0x7f
		for at := range 20 {
			value := []byte("a\tcdefgh\xff\x80klmnopqrst")
			value[at] = byte(c)
			got := requestTranscript(script(withField("X: " + string(value))))
			if (got == "GET / EOF") != allowed {
				t.Fatalf("byte %#x at %d: %s", c, at, got)
			}
		}
	}
}

func TestHost(t *testing.T) {
	var vectors []vector
	add := func(want string, hosts ...string) {
		for _, h := range hosts {
			vectors = append(vectors,
				vector{h, "GET / HTTP/1.1\r\nHost: " + h + "\r\n\r\n", want},
				vector{"1.0 " + h, "GET / HTTP/1.0\r\nhost:" + h + "\r\n\r\n", want})
		}
	}
	add("GET / EOF", "h", "a.b.c", "EXAMPLE.com", "my_host", "a-b.", "127.0.0.1", "h:80", "h:65535", "h:", "[::1]", "[::1]:80",
		"[fe80::1.2.3.4]")
	add("400", "", " ", "a b", "a,b", "a, b", "a/b", "u@h", "h?q", "h#f", "h:x", "h:80:80", "h:+80", "h:65536", "h:000080",
		":80", "[::1", "::1]", "[]", "[x]", "[::1]x", "[::1]80", "http://h", "h\\x", "h%00", "h;x", "ö", "h\x80", "\"h\"", "<h>", "h|x", "h^")
	vectors = append(
		vectors,
		vector{"missing in 1.1", "GET / HTTP/1.1\r\n\r\n", "400 the Host field is missing"},
		vector{"missing in 1.1 with other fields", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "400 the Host field is missing"},
		vector{"missing in 1.0", "GET / HTTP/1.0\r\nX: y\r\n\r\n", "GET / EOF"},
		vector{"repeated", withField("Host: g"), "400 the Host field is repeated"},
		vector{"repeated alike", withField("Host: h"), "400 the Host field is repeated"},
		vector{"repeated in other letters", withField("X: y\r\nhOST: h"), "400 the Host field is repeated"},
		vector{"repeated in 1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n", "400 the Host field is repeated"},
	)
	checkVectors(t, vectors, requestTranscript)
}

func parse(t *testing.T, s string) *http1.Request {
	t.Helper()
	var q http1.Request
	if err := http1.NewReader(script(s)).Request(&q, wait, wait); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return &q
}

// names returns the names of the fields that may be passed on.
func names(h *http1.Head) string {
	var kept []string
	for _, f := range h.Fields {
		if !f.Hop {
			kept = append(kept, f.Name)
		}
	}
	return strings.Join(kept, " ")
}

func TestHopByHopFieldsStay(t *testing.T) {
	for lines, want := range map[string]string{
		"X: y": "Host X",
		"TE: trailers\r\nConnection: TE\r\nKeep-Alive: 5\r\nProxy-Connection: a\r\nTrailer: X\r\nExpect: 100-continue": "Host",
		"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nConnection: Upgrade, HTTP2-Settings":                                   "Host",
		"Proxy-Authorization: a\r\nProxy-Authenticate: b\r\nAuthorization: c":                                          "Host Authorization",
		"Transfer-Encoding: chunked": "Host",
		"Content-Length: 0":          "Host Content-Length",
		"X: y\r\nConnection: x":      "Host",
		"X: y\r\nY: z\r\nConnection: close, X ,,\r\nConnection: \ty": "Host",
		"X: y\r\nConnection: \"X\"":                                  "Host X",
		"X: y\r\nConnection: X;q=1":                                  "Host X",
		"X-Forwarded-For: a\r\nX-Real-IP: b\r\nForwarded: c\r\nCookie: d\r\nX-Forwarded-Proto: e\r\nX-Forwarded-Host: f\r\n" +
			"Connection: Host, Cookie, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP, Forwarded": "Host X-Forwarded-For X-Real-IP Forwarded Cookie X-Forwarded-Proto X-Forwarded-Host",
		"Content-Length: 0\r\nConnection: Content-Length":                    "Host Content-Length",
		"Origin: o\r\nAuthorization: a\r\nConnection: Origin, Authorization": "Host Origin Authorization",
		"X_Forwarded_For: a\r\nContent_Length: 3\r\nA_: b\r\nA: c":           "Host A",
	} {
		if got := names(&parse(t, withField(lines)).Head); got != want {
			t.Errorf("%q\n got %s\nwant %s", lines, got, want)
		}
	}
}

func TestConnectionOptionsAreBounded(t *testing.T) {
	checkVectors(t, []vector{
		{"100", withField("Connection: " + strings.Repeat("x,", 100)), "GET / EOF"},
		{"101", withField("Connection: " + strings.Repeat("x,", 101)), "400 Connection has more than 100 options"},
	}, requestTranscript)
}

func TestConnectionEnds(t *testing.T) {
	for in, want := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n":                                       false,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n":                  true,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Close\r\n\r\n":      true,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: a\r\nConnection: close\r\n\r\n": true,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n":                 false,
		"GET / HTTP/1.0\r\n\r\n":                                                  true,
		"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n":                        false,
		"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n":                 true,
	} {
		if got := parse(t, in).Close; got != want {
			t.Errorf("%q: close is %v", in, got)
		}
	}
}

func TestFieldsByNumber(t *testing.T) {
	q := parse(t, withField("x-forwarded-for: a\r\nX-FORWARDED-FOR: b\r\nX: c\r\nOrigin:"))
	if got := q.Get(http1.XForwardedFor); got != "a" {
		t.Errorf("the first of two is %q", got)
	}
	if !q.Repeated(http1.XForwardedFor) || q.Repeated(http1.Host) || q.Has(http1.Cookie) || !q.Has(http1.Origin) {
		t.Error("counted wrong")
	}
	if q.Get(http1.Other) != "" || q.Has(http1.Other) || q.Get(http1.Origin) != "" || q.Get(http1.Cookie) != "" {
		t.Error("got what is not there")
	}
	if s := http1.SetOf(http1.XForwardedFor, http1.Other); string(q.AppendEndToEnd(nil, s)) != "Host: h\r\nX: c\r\nOrigin: \r\n" {
		t.Errorf("passed on %q", q.AppendEndToEnd(nil, s))
	}
	for id := http1.Host; id.String() != ""; id++ {
		for _, name := range []string{id.String(), strings.ToLower(id.String()), strings.ToUpper(id.String())} {
			var got http1.FieldID
			for _, f := range parseFields(t, name).Fields {
				got = f.ID
			}
			if got != id {
				t.Errorf("%s is %v", name, got)
			}
		}
	}
	if (http1.XRealIP+1).String() != "" || http1.Other.String() != "" {
		t.Error("a name for no field")
	}
}

// parseFields reads a response, whose fields are judged less, with one field.
func parseFields(t *testing.T, name string) *http1.Response {
	t.Helper()
	value := "1"
	if strings.EqualFold(name, "Transfer-Encoding") {
		value = "chunked"
	}
	var p http1.Response
	if err := http1.NewReader(script("HTTP/1.1 200\r\n"+name+": "+value+"\r\n\r\n")).Response(&p, "GET"); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return &p
}
