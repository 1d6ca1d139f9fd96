package gateway_test

import (
	"strings"
	"testing"
)

// hidden is a request behind a refused one, which nobody must take for a request.
const hidden = "GET /hidden HTTP/1.1\r\nHost: chat.example.com\r\n\r\n"

const host = "Host: chat.example.com\r\n"

// badHead is a head that reaches no node.
type badHead struct {
	name, head string
	status     int // 400 where it is 0
}

// smuggled puts the hidden request behind framing fields, where one of two readers takes it for a body's end.
func smuggled(lines string) string {
	return "POST /open HTTP/1.1\r\n" + host + lines + "\r\n0\r\n\r\n"
}

func field(line string) string { return "GET /open HTTP/1.1\r\n" + host + line + "\r\n\r\n" }

var badFraming = []badHead{
	{name: "length and coding", head: smuggled("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")},
	{name: "coding and length", head: smuggled("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
	{name: "no length and coding", head: smuggled("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")},
	{name: "coding in 1.0", head: "POST /open HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{name: "coding in kept 1.0", head: "POST /open HTTP/1.0\r\n" + host + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{name: "gzip before chunked", head: smuggled("Transfer-Encoding: gzip, chunked\r\n")},
	{name: "gzip behind chunked", head: smuggled("Transfer-Encoding: chunked, gzip\r\n")},
	{name: "chunked twice", head: smuggled("Transfer-Encoding: chunked, chunked\r\n")},
	{name: "two codings", head: smuggled("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
	{name: "a second coding", head: smuggled("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
	{name: "identity", head: smuggled("Transfer-Encoding: identity\r\n")},
	{name: "unknown coding", head: smuggled("Transfer-Encoding: xchunked\r\n")},
	{name: "coding with parameter", head: smuggled("Transfer-Encoding: chunked;q=1\r\n")},
	{name: "coding in quotes", head: smuggled("Transfer-Encoding: \"chunked\"\r\n")},
	{name: "coding with vertical tab", head: smuggled("Transfer-Encoding: \x0bchunked\r\n")},
	{name: "coding with nbsp", head: smuggled("Transfer-Encoding: \xa0chunked\r\n")},
	{name: "coding empty", head: smuggled("Transfer-Encoding:\r\n")},
	{name: "coding folded", head: smuggled("Transfer-Encoding:\r\n chunked\r\n")},
	{name: "coding with space before colon", head: smuggled("Transfer-Encoding : chunked\r\n")},
	{name: "coding behind a bare CR", head: smuggled("X: y\rTransfer-Encoding: chunked\r\n")},
	{name: "coding behind a bare LF", head: smuggled("X: y\nTransfer-Encoding: chunked\r\n")},
	{name: "length repeated", head: smuggled("Content-Length: 5\r\nContent-Length: 5\r\n")},
	{name: "two lengths", head: smuggled("Content-Length: 5\r\nContent-Length: 0\r\n")},
	{name: "length as list", head: smuggled("Content-Length: 1, 1\r\n")},
	{name: "length empty", head: smuggled("Content-Length:\r\n")},
	{name: "length signed", head: smuggled("Content-Length: +5\r\n")},
	{name: "length negative", head: smuggled("Content-Length: -5\r\n")},
	{name: "length in hexadecimal", head: smuggled("Content-Length: 0x5\r\n")},
	{name: "length with a fraction", head: smuggled("Content-Length: 5.0\r\n")},
	{name: "length with an underscore", head: smuggled("Content-Length: 1_0\r\n")},
	{name: "length with a blank", head: smuggled("Content-Length: 5 5\r\n")},
	{name: "length in letters", head: smuggled("Content-Length: five\r\n")},
	{name: "length too large", head: smuggled("Content-Length: 9223372036854775808\r\n")},
	{name: "length that wraps", head: smuggled("Content-Length: 18446744073709551621\r\n")},
	{name: "length of foreign digits", head: smuggled("Content-Length: \u0665\r\n")},
}

var badFields = []badHead{
	{name: "fold", head: field("X: a\r\n b")},
	{name: "fold by tab", head: field("X: a\r\n\tb")},
	{name: "fold of nothing", head: "GET /open HTTP/1.1\r\n X: a\r\n" + host + "\r\n"},
	{name: "bare LF behind request line", head: "GET /open HTTP/1.1\n" + host + "\r\n"},
	{name: "bare LF behind field", head: "GET /open HTTP/1.1\r\nHost: chat.example.com\n\r\n"},
	{name: "bare LF at end", head: "GET /open HTTP/1.1\r\n" + host + "\n"},
	{name: "bare LF throughout", head: "GET /open HTTP/1.1\nHost: chat.example.com\n\n"},
	{name: "bare LF in value", head: field("X: a\nb: c")},
	{name: "bare LF before request line", head: "\nGET /open HTTP/1.1\r\n" + host + "\r\n"},
	{name: "bare CR in value", head: field("X: a\rb")},
	{name: "bare CR in name", head: field("X\r: a")},
	{name: "bare CR at end", head: "GET /open HTTP/1.1\r\n" + host + "\r\r\n"},
	{name: "bare CR in request line", head: "GET /open\r HTTP/1.1\r\n" + host + "\r\n"},
	{name: "two CR", head: field("X: a\r")},
	{name: "NUL in value", head: field("X: a\x00b")},
	{name: "NUL in name", head: field("X\x00: a")},
	{name: "NUL in target", head: "GET /op\x00en HTTP/1.1\r\n" + host + "\r\n"},
	{name: "control in value", head: field("X: a\x01b")},
	{name: "DEL in value", head: field("X: a\x7fb")},
	{name: "space before colon", head: field("X : a")},
	{name: "tab before colon", head: field("X\t: a")},
	{name: "space in name", head: field("X Y: a")},
	{name: "empty name", head: field(": a")},
	{name: "no colon", head: field("X")},
	{name: "name with brackets", head: field("X(Y): a")},
	{name: "name with @", head: field("X@Y: a")},
	{name: "name beyond ASCII", head: field("X\xe9: a")},
	{name: "name with slash", head: field("X/Y: a")},
	{name: "expectation", head: field("Expect: 200-ok"), status: 417},
	{name: "101 fields", head: field(strings.Repeat("X: a\r\n", 99) + "X: a"), status: 431},
	{name: "33 KiB in a field", head: field("X: " + strings.Repeat("a", 33<<10)), status: 431},
	{name: "33 KiB of target", head: "GET /" + strings.Repeat("a", 33<<10) + " HTTP/1.1\r\n" + host + "\r\n", status: 431},
	{name: "33 KiB in fields", head: field(strings.Repeat("X: "+strings.Repeat("a", 400)+"\r\n", 90) + "X: a"), status: 431},
}

func line(s string) string { return s + "\r\n" + host + "\r\n" }

var badLines = []badHead{
	{name: "no Host", head: "GET /open HTTP/1.1\r\n\r\n"},
	{name: "Host repeated", head: field(host[:len(host)-2])},
	{name: "another Host", head: field("Host: other.example.com")},
	{name: "Host empty", head: "GET /open HTTP/1.1\r\nHost:\r\n\r\n"},
	{name: "Host of two", head: "GET /open HTTP/1.1\r\nHost: chat.example.com, b\r\n\r\n"},
	{name: "Host with a blank", head: "GET /open HTTP/1.1\r\nHost: chat.example.com b\r\n\r\n"},
	{name: "Host with a path", head: "GET /open HTTP/1.1\r\nHost: chat.example.com/b\r\n\r\n"},
	{name: "Host with a user", head: "GET /open HTTP/1.1\r\nHost: a@chat.example.com\r\n\r\n"},
	{name: "Host with a bad port", head: "GET /open HTTP/1.1\r\nHost: chat.example.com:99999\r\n\r\n"},
	{name: "Host with quotes", head: "GET /open HTTP/1.1\r\nHost: \"a\"\r\n\r\n"},
	{name: "Host with open bracket", head: "GET /open HTTP/1.1\r\nHost: [::1\r\n\r\n"},
	{name: "foreign authority", head: line("GET http://other.example.com/open HTTP/1.1")},
	{name: "authority with user", head: line("GET http://a@chat.example.com/open HTTP/1.1")},
	{name: "authority with port", head: line("GET http://chat.example.com:81/open HTTP/1.1")},
	{name: "authority without Host in 1.0", head: "GET http://chat.example.com/open HTTP/1.0\r\n\r\n"},
	{name: "foreign scheme", head: line("GET ftp://chat.example.com/open HTTP/1.1")},
	{name: "CONNECT", head: line("CONNECT chat.example.com:80 HTTP/1.1")},
	{name: "CONNECT of a path", head: line("CONNECT /open HTTP/1.1")},
	{name: "fragment", head: line("GET /open#x HTTP/1.1")},
	{name: "fragment in query", head: line("GET " + handshakeTarget + "#&sid=x HTTP/1.1")},
	{name: "blank in target", head: line("GET /open x HTTP/1.1")},
	{name: "two blanks", head: line("GET  /open HTTP/1.1")},
	{name: "two blanks before version", head: line("GET /open  HTTP/1.1")},
	{name: "tab for blank", head: line("GET\t/open HTTP/1.1")},
	{name: "blank before method", head: line(" GET /open HTTP/1.1")},
	{name: "blank behind version", head: line("GET /open HTTP/1.1 ")},
	{name: "no version", head: line("GET /open")},
	{name: "no target", head: line("GET HTTP/1.1")},
	{name: "version in small letters", head: line("GET /open http/1.1")},
	{name: "version 1.10", head: line("GET /open HTTP/1.10")},
	{name: "version 01.1", head: line("GET /open HTTP/01.1")},
	{name: "version 1", head: line("GET /open HTTP/1")},
	{name: "version 0.9", head: line("GET /open HTTP/0.9"), status: 505},
	{name: "version 1.2", head: line("GET /open HTTP/1.2"), status: 505},
	{name: "version 2.0", head: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
	{name: "target beyond ASCII", head: line("GET /\xc3\xa9 HTTP/1.1")},
	{name: "target without slash", head: line("GET open HTTP/1.1")},
	{name: "star of GET", head: line("GET * HTTP/1.1")},
	{name: "method with a bracket", head: line("GE(T /open HTTP/1.1")},
	{name: "no method", head: line(" /open HTTP/1.1")},
	{name: "TLS", head: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
	{name: "two empty lines before", head: "\r\n\r\n" + line("GET /open HTTP/1.1")},
}

// A bad head gets an answer that says what to mend, the connection ends, and no node gets a byte, however the bytes
// arrive and whatever is behind them.
func TestBadHead(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n))
	bad := append(append(append([]badHead{}, badFraming...), badFields...), badLines...)
	for _, b := range bad {
		t.Run(b.name, func(t *testing.T) {
			checkBadHead(t, b, raw(t, g.addr, b.head+hidden))
			if len(b.head) < 1000 {
				checkBadHead(t, b, rawBytewise(t, g.addr, b.head+hidden))
			}
			if got := n.received(); got != "" {
				t.Fatalf("the node received …%q", tail([]byte(got)))
			}
		})
	}
	if got := len(n.all()); got != 0 {
		t.Errorf("the node got %d connections", got)
	}
	if got := g.metric("sidway_local_responses_total", "bad_head"); got < float64(len(bad)) {
		t.Errorf("%v answers are counted, at least %d were made", got, len(bad))
	}
}

func checkBadHead(t *testing.T, b badHead, c *rawClient) {
	t.Helper()
	want := b.status
	if want == 0 {
		want = 400
	}
	r := c.answer()
	if r.StatusCode != want || r.Text == "" || r.Err != nil {
		t.Errorf("answered %d %q, %v; not %d", r.StatusCode, r.Text, r.Err, want)
	}
	c.refused(r)
}

// What is just within the bounds is served: the refusals above are for their one fault.
func TestHeadWithinBounds(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n))
	for name, head := range map[string]string{
		"100 fields":               field(strings.Repeat("X: a\r\n", 98) + "X: a"),
		"32 KiB":                   field("X: " + strings.Repeat("a", 32<<10-len(field("X: ")))),
		"an empty line before":     "\r\n" + line("GET /open HTTP/1.1"),
		"its own authority":        line("GET http://chat.example.com/open HTTP/1.1"),
		"Host with port":           "GET /open HTTP/1.1\r\nHost: chat.example.com:8080\r\n\r\n",
		"Host of version 6":        "GET /open HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
		"TE":                       field("TE: trailers, deflate;q=0.5"),
		"obs-text":                 field("X: caf\xc3\xa9"),
		"no blank behind colon":    field("X:a"),
		"blanks around values":     field("X: \t a \t "),
		"empty value":              field("X:"),
		"chunked in capitals":      "POST /open HTTP/1.1\r\n" + host + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
		"length of nothing":        field("Content-Length: 0"),
		"length with zeros":        "POST /open HTTP/1.1\r\n" + host + "Content-Length: 0003\r\n\r\nabc",
		"star of OPTIONS":          line("OPTIONS * HTTP/1.1"),
		"a token for a method":     line("M-SEARCH /open HTTP/1.1"),
		"query with strange signs": line(`GET /open?a=[]{}|\^"<>' HTTP/1.1`),
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range []*rawClient{raw(t, g.addr, head), rawBytewise(t, g.addr, head)} {
				if r := c.answer(); r.StatusCode != 200 {
					t.Errorf("answered %d %q", r.StatusCode, r.Text)
				}
				c.kept()
			}
		})
	}
}
