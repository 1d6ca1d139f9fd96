package http1_test

import (
	"strings"
	"testing"
)

// The vectors of this file and its neighbours are our own; their classes are those of RFC 9112's sections, of llhttp's
// request cases and of Http11Probe.

const hostEnd = " HTTP/1.1\r\nHost: h\r\n\r\n"

func TestRequestLine(t *testing.T) {
	checkVectors(t, []vector{
		{"plain", "GET /" + hostEnd, "GET / EOF"},
		{"query", "GET /a/b?c=d&e" + hostEnd, "GET /a/b?c=d&e EOF"},
		{"empty query", "GET /a?" + hostEnd, "GET /a? EOF"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET / EOF"},
		{"any method", "M-SEARCH /" + hostEnd, "M-SEARCH / EOF"},
		{"method in small letters", "get /" + hostEnd, "get / EOF"},
		{"unknown method", "QUERY /" + hostEnd, "QUERY / EOF"},
		{"one empty line before", "\r\nGET /" + hostEnd, "GET / EOF"},
		{"two empty lines before", "\r\n\r\nGET /" + hostEnd, "400"},
		{"an empty line between", "GET /" + hostEnd + "\r\nGET /b" + hostEnd, "GET / GET /b EOF"},
		{"visible ASCII of all kinds", "GET /%41%zz\"<>\\^`{|}'()[]@!$" + hostEnd, "GET /%41%zz\"<>\\^`{|}'()[]@!$ EOF"},
		{"nothing", "", "EOF"},
		{"an empty line only", "\r\n", "EOF"},
		{"cut", "GET / HT", "cut"},
		{"cut before the last LF", "GET / HTTP/1.1\r\nHost: h\r\n\r", "cut"},

		{"no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
		{"empty target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
		{"HTTP/0.9", "GET /\r\n\r\n", "400"},
		{"blank before the method", " GET /" + hostEnd, "400"},
		{"two blanks behind the method", "GET  /" + hostEnd, "400"},
		{"tab behind the method", "GET\t/" + hostEnd, "400"},
		{"two blanks before the version", "GET / " + hostEnd, "400"},
		{"tab before the version", "GET /\tHTTP/1.1\r\nHost: h\r\n\r\n", "400"},
		{"blank behind the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "400"},
		{"method not a token", "G(ET /" + hostEnd, "400"},
		{"method with a colon", "GET: /" + hostEnd, "400"},
		{"method with bytes from 0x80", "G\xc3\x8bT /" + hostEnd, "400"},
		{"no method", "/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
		{"blank in the target", "GET /a b" + hostEnd, "400"},
		{"fragment", "GET /a#b" + hostEnd, "400"},
		{"fragment in the query", "GET /a?b#c" + hostEnd, "400"},
		{"NUL in the target", "GET /\x00" + hostEnd, "400"},
		{"DEL in the target", "GET /\x7f" + hostEnd, "400"},
		{"control in the target", "GET /\x1f" + hostEnd, "400"},
		{"UTF-8 in the target", "GET /δ" + hostEnd, "400"},
		{"overlong UTF-8 in the target", "GET /\xc0\xaf" + hostEnd, "400"},
		{"CR in the target", "GET /\rX: y" + hostEnd, "400"},
		{"CR for CR LF", "GET / HTTP/1.1\rHost: h\r\n\r\n", "400"},
		{"CR CR LF", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", "400"},
		{"LF alone", "GET / HTTP/1.1\nHost: h\r\n\r\n", "400"},
		{"LF first", "\nGET /" + hostEnd, "400"},
		{"CR first", "\rGET /" + hostEnd, "400"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"},
		{"PROXY protocol 2", "\r\n\r\n\x00\r\nQUIT\n", "400"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 the HTTP version is neither 1.0 nor 1.1"},
	}, requestTranscript)
}

func TestVersion(t *testing.T) {
	var vectors []vector
	for version, want := range map[string]string{
		"HTTP/1.2": "505", "HTTP/2.0": "505", "HTTP/0.9": "505", "HTTP/3.0": "505", "HTTP/9.9": "505",
		"http/1.1": "400", "HTTP/1": "400", "HTTP/1.": "400", "HTTP/11": "400", "HTTP/1,1": "400", "HTTP/01.1": "400",
		"HTTP/1.01": "400", "HTTP/1.10": "400", "HTTP /1.1": "400", "HTTP/ 1.1": "400", "HTTP/1 .1": "400", "HTP/1.1": "400",
		"HTTPS/1.1": "400", "RTSP/1.0": "400", "ICE/1.0": "400", "HTTP/x.1": "400", "HTTP/+1.1": "400", "1.1": "400",
		"HTTP\\1.1": "400", "HTTP/1.1a": "400", "HTTP-1.1": "400",
	} {
		if want == "505" {
			want = "505 the HTTP version is neither 1.0 nor 1.1"
		}
		vectors = append(vectors, vector{version, "GET / " + version + "\r\nHost: h\r\n\r\n", want})
	}
	checkVectors(t, vectors, requestTranscript)
}

func TestTargetForms(t *testing.T) {
	absolute := func(method, target, host string) string {
		return method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	}
	checkVectors(t, []vector{
		{"path", absolute("GET", "http://h/a?b", "h"), "GET /a?b EOF"},
		{"https", absolute("GET", "https://h/a", "h"), "GET /a EOF"},
		{"scheme in capitals", absolute("GET", "HTTP://h/a", "h"), "GET /a EOF"},
		{"no path", absolute("GET", "http://h", "h"), "GET / EOF"},
		{"no path, HTTPS", absolute("GET", "https://h", "h"), "GET / EOF"},
		{"no path but a query", absolute("GET", "http://h?a=/b", "h"), "GET /?a=/b EOF"},
		{"an empty query", absolute("GET", "http://h?", "h"), "GET /? EOF"},
		{"OPTIONS for the server", absolute("OPTIONS", "http://h", "h"), "OPTIONS * EOF"},
		{"OPTIONS for the root", absolute("OPTIONS", "http://h/", "h"), "OPTIONS / EOF"},
		{"port", absolute("GET", "http://h:80/", "h:80"), "GET / EOF"},
		{"Host in other letters", absolute("GET", "http://Example.com/", "eXample.COM"), "GET / EOF"},
		{"double slash in a path", absolute("GET", "//h/a", "h"), "GET //h/a EOF"},
		{"asterisk", absolute("OPTIONS", "*", "h"), "OPTIONS * EOF"},

		{"other host", absolute("GET", "http://evil/", "h"), "400 the target's authority is not the Host"},
		{"other port", absolute("GET", "http://h:81/", "h:80"), "400 the target's authority is not the Host"},
		{"port only here", absolute("GET", "http://h:80/", "h"), "400 the target's authority is not the Host"},
		{"user", absolute("GET", "http://u@h/", "h"), "400 the target's authority is not the Host"},
		{"user and Host's user", absolute("GET", "http://u@h/", "u@h"), "400"},
		{"no authority", absolute("GET", "http:///a", "h"), "400"},
		{"no authority, query", absolute("GET", "http://?a", "h"), "400"},
		{"no slashes", absolute("GET", "http:h/a", "h"), "400"},
		{"no scheme", absolute("GET", "h/a", "h"), "400"},
		{"ftp", absolute("GET", "ftp://h/a", "h"), "400"},
		{"httpx", absolute("GET", "httpx://h/a", "h"), "400"},
		{"short", absolute("GET", "http:/", "h"), "400"},
		{"scheme only", absolute("GET", "http://", "h"), "400"},
		{"https scheme only", absolute("GET", "https://", "h"), "400"},
		{"question only", absolute("GET", "?a", "h"), "400"},
		{"asterisk of GET", absolute("GET", "*", "h"), "400"},
		{"asterisk of options", absolute("options", "*", "h"), "400"},
		{"asterisk and more", absolute("OPTIONS", "*a", "h"), "400"},
		{"two asterisks", absolute("OPTIONS", "**", "h"), "400"},
		{"backslash", absolute("GET", "\\a", "h"), "400"},
		{"absolute without Host in 1.0", "GET http://h/ HTTP/1.0\r\n\r\n", "400 the target's authority is not the Host"},
		{"absolute without Host in 1.1", "GET http://h/ HTTP/1.1\r\n\r\n", "400 the Host field is missing"},
		{"CONNECT", absolute("CONNECT", "h:443", "h:443"), "400 CONNECT is not served"},
		{"CONNECT with a path", absolute("CONNECT", "/", "h"), "400 CONNECT is not served"},
		{"connect", absolute("connect", "/", "h"), "400 CONNECT is not served"},
		{"authority form of GET", absolute("GET", "h:443", "h:443"), "400"},
	}, requestTranscript)
}

func TestHeadSize(t *testing.T) {
	const start, end = "GET / HTTP/1.1\r\nHost: h\r\nX: ", "\r\n\r\n"
	fill := 32<<10 - len(start) - len(end)
	field := func(n int) string {
		return "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a: b\r\n", n-1) + "\r\n"
	}
	const large = "431 the head is larger than 32 KiB"
	checkVectors(t, []vector{
		{"32 KiB", start + strings.Repeat("x", fill) + end, "GET / EOF"},
		{"32 KiB and another", start + strings.Repeat("x", fill) + end + "GET /b" + hostEnd, "GET / GET /b EOF"},
		{"a byte more", start + strings.Repeat("x", fill+1) + end, large},
		{"without end", start + strings.Repeat("x", 40<<10), large},
		{"a target without end", "GET /" + strings.Repeat("x", 40<<10), large},
		{"a method without end", strings.Repeat("x", 40<<10), large},
		{"a name without end", "GET / HTTP/1.1\r\n" + strings.Repeat("x", 40<<10), large},
		{"a bare LF before the limit", "GET / HTTP/1.1\n" + strings.Repeat("x", 40<<10), "400"},
		{"a bare LF behind the limit", "GET / HTTP/1.1\r\n" + strings.Repeat("x", 40<<10) + "\n", large},
		{"5,000 bytes in one field", start + strings.Repeat("x", 5000) + end, "GET / EOF"},
		{"100 fields", field(100), "GET / EOF"},
		{"101 fields", field(101), "431 the head has more than 100 fields"},
		{"5,000 fields", field(5000), "431 the head has more than 100 fields"},
	}, requestTranscript)
}
