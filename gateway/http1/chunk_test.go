package http1_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

func TestChunks(t *testing.T) {
	const (
		size    = "400 a chunk size is not hexadecimal digits"
		large   = "400 a chunk size is too large"
		ext     = "400 a chunk extension is malformed or too long"
		line    = "400 a chunk size line does not end with CR LF"
		end     = "400 a chunk is not followed by CR LF"
		trailer = "400 a trailer is malformed"
		last    = "0\r\n\r\n"
	)
	vectors := []vector{
		{"none", last, `"" EOF`},
		{"one", "3\r\nabc\r\n" + last, `"abc" EOF`},
		{"some", "3\r\nabc\r\n1\r\nd\r\n2\r\nef\r\n" + last, `"abcdef" EOF`},
		{"small and capital digits", "a\r\n0123456789\r\nA\r\n0123456789\r\n" + last, `"01234567890123456789" EOF`},
		{"zeros before a size", "00003\r\nabc\r\n000\r\n\r\n", `"abc" EOF`},
		{"sixteen digits", "0000000000000003\r\nabc\r\n0000000000000000\r\n\r\n", `"abc" EOF`},
		{"data that looks like an end", "5\r\n0\r\n\r\n\r\n" + last, `"0\r\n\r\n" EOF`},
		{"extension", "3;a\r\nabc\r\n0;b=c\r\n\r\n", `"abc" EOF`},
		{"quoted extension", "3;a=\"b;c=d\"\r\nabc\r\n" + last, `"abc" EOF`},
		{"two extensions with blanks", "3; a = b ;\tc\r\nabc\r\n" + last, `"abc" EOF`},
		{"extension from 0x80", "3;a=\"\xff\"\r\nabc\r\n" + last, `"abc" EOF`},
		{"256 bytes of extension", "3;a=" + strings.Repeat("x", 253) + "\r\nabc\r\n" + last, `"abc" EOF`},
		{"trailers", "3\r\nabc\r\n0\r\nX: y\r\nContent-Length:5\r\nZ:\t\r\n\r\n", `"abc" EOF`},
		{"8 KiB of trailers", "0\r\nX:" + strings.Repeat("x", 8<<10-6) + "\r\n\r\n", `"" EOF`},
		{"cut in a size", "3", `"" cut`},
		{"cut in data", "3\r\na", `"a" cut`},
		{"cut behind data", "3\r\nabc\r\n", `"abc" cut`},
		{"cut before the last LF", "0\r\n\r", `"" cut`},
		{"cut behind the last size", "0\r\n", `"" cut`},
		{"the largest that is taken", "7fffffffffffff0\r\nabc", `"abc" cut`},

		{"size empty", "\r\nabc\r\n" + last, size},
		{"plus", "+3\r\nabc\r\n" + last, size},
		{"minus", "-3\r\nabc\r\n" + last, size},
		{"minus zero", "-0\r\n\r\n", size},
		{"0x", "0x3\r\nabc\r\n" + last, size},
		{"0X", "0X3\r\nabc\r\n" + last, size},
		{"h", "3h\r\nabc\r\n" + last, size},
		{"underscore", "1_0\r\nabc\r\n" + last, size},
		{"point", "3.0\r\nabc\r\n" + last, size},
		{"comma", "3,3\r\nabc\r\n" + last, size},
		{"blank before", " 3\r\nabc\r\n" + last, size},
		{"tab before", "\t3\r\nabc\r\n" + last, size},
		{"blank behind", "3 \r\nabc\r\n" + last, size},
		{"blanks between", "3 3\r\nabc\r\n" + last, size},
		{"NUL", "3\x00\r\nabc\r\n" + last, size},
		{"vertical tab", "3\x0b\r\nabc\r\n" + last, size},
		{"from 0x80", "3\xa0\r\nabc\r\n" + last, size},
		{"only an extension", ";a\r\nabc\r\n" + last, size},
		{"overflow", "10000000000000003\r\nabc\r\n" + last, large},
		{"overflow to a small one", "fffffffffffffff4\r\nabc\r\n" + last, large},
		{"negative as 64 bits", "8000000000000000\r\nabc\r\n" + last, large},
		{"seventeen digits", "00000000000000003\r\nabc\r\n" + last, large},
		{"size line ends with LF", "3\nabc\r\n" + last, size},
		{"size line ends with CR", "3\rabc\r\n" + last, line},
		{"size line ends with CR CR LF", "3\r\r\nabc\r\n" + last, line},
		{"extension ends with LF", "3;a\nabc\r\n" + last, ext},
		{"extension ends with CR", "3;a\rabc\r\n" + last, line},
		{"extension with NUL", "3;a\x00\r\nabc\r\n" + last, ext},
		{"extension with a control byte", "3;a=\x01\r\nabc\r\n" + last, ext},
		{"extension with DEL", "3;\x7f\r\nabc\r\n" + last, ext},
		{"extension without a name", "3;\r\nabc\r\n" + last, ext},
		{"extension of blanks", "3; \r\nabc\r\n" + last, ext},
		{"extension without a name but a value", "3;=b\r\nabc\r\n" + last, ext},
		{"257 bytes of extension", "3;a=" + strings.Repeat("x", 254) + "\r\nabc\r\n" + last, ext},
		{"extension without end", "3;a=" + strings.Repeat("x", 100<<10), ext},
		{"blank before an extension", "3 ;a\r\nabc\r\n" + last, size},
		{"blanks without end", "3;" + strings.Repeat(" ", 100<<10), ext},
		{"data longer than its size", "3\r\nabcd\r\n" + last, end},
		{"data shorter than its size", "3\r\nab\r\n" + last, end},
		{"no CR LF behind data", "3\r\nabc" + last, end},
		{"another byte for the CR behind data", "3\r\nabcX\n" + last, end},
		{"another byte for the LF behind data", "3\r\nabc\rX" + last, end},
		{"LF behind data", "3\r\nabc\n" + last, end},
		{"CR behind data", "3\r\nabc\r" + last, end},
		{"two CR behind data", "3\r\nabc\r\r\n" + last, end},
		{"last line ends with LF", "0\r\n\n", trailer},
		{"last size ends with LF", "0\n\n", size},
		{"CR as the last line", "0\r\n\rX", trailer},
		{"trailer ends with LF", "0\r\nX: y\n\r\n", trailer},
		{"trailer ends with CR", "0\r\nX: y\rZ: z\r\n\r\n", trailer},
		{"trailer with NUL", "0\r\nX: \x00\r\n\r\n", trailer},
		{"trailer with DEL", "0\r\nX: \x7f\r\n\r\n", trailer},
		{"trailer without a colon", "0\r\nX\r\n\r\n", trailer},
		{"trailer without a name", "0\r\n: y\r\n\r\n", trailer},
		{"trailer with a blank before its colon", "0\r\nX : y\r\n\r\n", trailer},
		{"trailer folded", "0\r\nX: y\r\n z\r\n\r\n", trailer},
		{"a request as trailer", "0\r\nGET / HTTP/1.1\r\n\r\n", trailer},
		{"more than 8 KiB of trailers", "0\r\nX:" + strings.Repeat("x", 8<<10-5) + "\r\n\r\n", "431 the trailers are larger than 8 KiB"},
		{"trailers without end", "0\r\n" + strings.Repeat("X: y\r\n", 10<<10), "431 the trailers are larger than 8 KiB"},
	}
	requests := make([]vector, len(vectors))
	responses := make([]vector, len(vectors))
	for i, v := range vectors {
		before := `"" `
		switch {
		case v.want[0] == '"':
			before = ""
		case v.want == end: // behind three bytes of data
			before = fmt.Sprintf("%q ", v.in[3:6])
		}
		requests[i] = vector{v.name, posted("Transfer-Encoding: chunked", v.in), "POST / " + before + v.want}
		want := strings.Replace(strings.Replace(v.want, "400 ", "502 ", 1), "431 ", "502 ", 1)
		responses[i] = vector{v.name, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + v.in, "200 " + before + want}
	}
	checkVectors(t, requests, requestTranscript)
	checkVectors(t, responses, responseTranscript("GET"))
}

func TestSmallChunksComeAsOnePiece(t *testing.T) {
	r := http1.NewReader(script(posted("Transfer-Encoding: chunked", strings.Repeat("1;x=y\r\na\r\n", 100)+"0\r\n\r\n"+smuggled)))
	var q http1.Request
	if err := r.Request(&q, wait, wait); err != nil {
		t.Fatal(err)
	}
	body := r.RequestBody(&q)
	p, err := body.Next()
	if string(p) != strings.Repeat("a", 100) || err != nil {
		t.Fatalf("got %d bytes, %v", len(p), err)
	}
	if !body.Done() {
		t.Error("the end came with them and was not seen")
	}
	if got := string(r.Buffered()); got != smuggled {
		t.Errorf("behind the body: %q", got)
	}
	if _, err := body.Next(); err != io.EOF {
		t.Error(err)
	}
}
