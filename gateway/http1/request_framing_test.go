package http1_test

import (
	"fmt"
	"strings"
	"testing"
)

// posted returns a POST with these framing lines and what follows its head.
func posted(lines, rest string) string {
	return "POST / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n\r\n" + rest
}

const smuggled = "GET /smuggled" + hostEnd

func TestContentLength(t *testing.T) {
	const (
		bad   = "400 Content-Length is not a number"
		twice = "400 Content-Length is repeated"
	)
	vectors := []vector{
		{"none", "POST /" + hostEnd, "POST / EOF"},
		{"zero", posted("Content-Length: 0", ""), "POST / EOF"},
		{"some", posted("Content-Length: 3", "abc"), `POST / "abc" EOF`},
		{"of a GET", "GET / HTTP/1.1\r\nHost: h\r\ncontent-length:3\r\n\r\nabcGET /b" + hostEnd, `GET / "abc" GET /b EOF`},
		{"in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", `POST / "abc" EOF`},
		{"blanks around", posted("Content-Length: \t 3 \t", "abc"), `POST / "abc" EOF`},
		{"leading zeros are decimal", posted("Content-Length: 0010", "0123456789"), `POST / "0123456789" EOF`},
		{"more zeros than digits fit", posted("Content-Length: "+strings.Repeat("0", 30)+"3", "abc"), `POST / "abc" EOF`},
		{"a body that looks like a request", posted(fmt.Sprint("Content-Length: ", len(smuggled)+1), smuggled+"x"), "POST / \"GET /smuggled HTTP/1.1\\r\\nHost: h\\r\\n\\r\\nx\" EOF"},
		{"cut", posted("Content-Length: 4", "abc"), `POST / "abc" cut`},
		{"cut before the first", posted("Content-Length: 4", ""), `POST / "" cut`},
		{"the largest", posted("Content-Length: 9223372036854775807", "abc"), `POST / "abc" cut`},
		{"long", posted("Content-Length: 5000", strings.Repeat("x", 5000)), `POST / "` + strings.Repeat("x", 5000) + `" EOF`},
		{"with an underscore counts for nothing", posted("Content_Length: 3", ""), "POST / EOF"},

		{"overflow", posted("Content-Length: 9223372036854775808", smuggled), bad},
		{"overflow of 64 bits", posted("Content-Length: 18446744073709551617", "a"), bad},
		{"more digits", posted("Content-Length: "+strings.Repeat("9", 40), "a"), bad},
		{"repeated", posted("Content-Length: 3\r\nContent-Length: 4", "abcd"), twice},
		{"repeated alike", posted("Content-Length: 3\r\nContent-Length: 3", "abc"), twice},
		{"repeated in other letters", posted("Content-Length: 3\r\nX: y\r\ncontent-LENGTH: 3", "abc"), twice},
		{"the second empty", posted("Content-Length: 3\r\nContent-Length:", "abc"), twice},
		{"the second a name before the colon", posted("Content-Length: 3\r\nContent-Length : 3", "abc"), "400 a field name is empty, not a token, or not followed by its colon at once"},
	}
	for _, value := range []string{
		"", " ", "+3", "-3", "-0", "0x3", "3.0", "3,3", "3, 3", "3,4", "3 3", "3\t3", ",3", "3,", "3;", "1e1", "1_0", "0b1", "0o3", "three",
		"\"3\"", "'3'", "３", "٣", "3\xa0", "3\x80",
	} {
		vectors = append(vectors, vector{"value " + value, posted("Content-Length: "+value, "abc"), bad})
	}
	checkVectors(t, vectors, requestTranscript)
}

func TestTransferEncoding(t *testing.T) {
	const (
		bad  = "400 Transfer-Encoding is not one chunked"
		both = "400 Content-Length and Transfer-Encoding together"
		body = "3\r\nabc\r\n0\r\n\r\n"
	)
	vectors := []vector{
		{"chunked", posted("Transfer-Encoding: chunked", body), `POST / "abc" EOF`},
		{"letters of any case", posted("tRANSFER-encoding: Chunked", body), `POST / "abc" EOF`},
		{"blanks around", posted("Transfer-Encoding:\t chunked \t", body), `POST / "abc" EOF`},
		{"of a GET", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body + "GET /b" + hostEnd, `GET / "abc" GET /b EOF`},
		{"with TE", posted("TE: trailers, chunked\r\nTransfer-Encoding: chunked", body), `POST / "abc" EOF`},
		{"with an underscore counts for nothing", posted("Transfer_Encoding: chunked\r\nContent-Length: 3", "abc"), `POST / "abc" EOF`},

		{"length first", posted("Content-Length: 3\r\nTransfer-Encoding: chunked", body), both},
		{"length last", posted("Transfer-Encoding: chunked\r\nContent-Length: 3", body), both},
		{"a length of zero", posted("Transfer-Encoding: chunked\r\nContent-Length: 0", body), both},
		{"a bad length", posted("Transfer-Encoding: chunked\r\nContent-Length: x", body), both},
		{"CL.TE", posted("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"), both},
		{"TE.CL", posted("Content-Length: 3\r\nTransfer-Encoding: chunked", "8\r\nSMUGGLED\r\n0\r\n\r\n"), both},
		{"TE.TE", posted("Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\nContent-Length: 4", body), both},
		{"length and identity", posted("Content-Length: 3\r\nTransfer-Encoding: identity", "abc"), both},
		{"in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + body, "400 Transfer-Encoding in HTTP/1.0"},
		{"in a kept HTTP/1.0", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + body, "400 Transfer-Encoding in HTTP/1.0"},
		{"repeated", posted("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", body), bad},
		{"repeated, the first identity", posted("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", body), bad},
		{"repeated, the last identity", posted("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", body), bad},
		{"repeated, the last empty", posted("Transfer-Encoding: chunked\r\nTransfer-Encoding:", body), bad},
	}
	for _, value := range []string{
		"", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", ", chunked", "chunked, identity",
		"identity, chunked", "xchunked", "chunkedx", "chunk", "chunked;a=b", "chunked ;", "\"chunked\"", "'chunked'", "chunKed\xa0", "chunked foo", "cow",
		"c hunked", "chunc\u212aed", "\xffchunked", "deflate", "x-chunked", "[chunked]", "chunked\t,",
	} {
		vectors = append(vectors, vector{"value " + value, posted("Transfer-Encoding: "+value, body), bad})
	}
	for _, c := range []string{"\x00", "\x01", "\x08", "\x0b", "\x0c", "\x1f", "\x7f", "\r"} {
		vectors = append(
			vectors,
			vector{"control byte before", posted("Transfer-Encoding: "+c+"chunked", body), "400"},
			vector{"control byte behind", posted("Transfer-Encoding: chunked"+c, body), "400"},
			vector{"control byte before the name", posted(c+"Transfer-Encoding: chunked", body), "400"},
			vector{"control byte behind the name", posted("Transfer-Encoding"+c+": chunked", body), "400"},
		)
	}
	checkVectors(t, vectors, requestTranscript)
}

func TestNothingBehindARefusedHeadIsRead(t *testing.T) {
	checkVectors(t, []vector{
		{"field", withField("X : y") + smuggled, "400"},
		{"framing", posted("Content-Length: 0\r\nContent-Length: 0", smuggled), "400"},
		{"chunk", posted("Transfer-Encoding: chunked", "x\r\n"+smuggled), `POST / "" 400`},
		{"behind a good one", "GET /" + hostEnd + "GET / HTTP/1.1\r\n\r\n" + smuggled, "GET / 400"},
	}, requestTranscript)
}

func TestExpect(t *testing.T) {
	const other = "417 an expectation other than 100-continue"
	checkVectors(t, []vector{
		{"continue", posted("Expect: 100-Continue\r\nContent-Length: 1", "a"), `POST / "a" EOF`},
		{"other", posted("Expect: 200-ok\r\nContent-Length: 1", "a"), other},
		{"empty", posted("Expect:\r\nContent-Length: 1", "a"), other},
		{"two", posted("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1", "a"), other},
		{"list", posted("Expect: 100-continue, x\r\nContent-Length: 1", "a"), other},
		{"HTTP/1.0 does not know it", "POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\na", `POST / "a" EOF`},
	}, requestTranscript)
	for in, want := range map[string]bool{
		posted("Expect: 100-continue\r\nContent-Length: 1", "a"):                true,
		posted("Expect: 100-continue\r\nTransfer-Encoding: chunked", "0"):       true,
		posted("Expect: 100-continue\r\nContent-Length: 0", ""):                 false,
		posted("Expect: 100-continue", ""):                                      false,
		posted("Content-Length: 1", "a"):                                        false,
		"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na": false,
	} {
		if got := parse(t, in).Expect100; got != want {
			t.Errorf("%q waits: %v", in, got)
		}
	}
}
