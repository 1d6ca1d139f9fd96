package request_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// FuzzAnswered holds that the client gets what a node answers in a head that net/http reads as the same answer, of the length that
// the gateway sends, without what is of the node's connection alone.
func FuzzAnswered(f *testing.F) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X\r\nX: y\r\n\r\n", "HTTP/1.0 200\r\n\r\n",
		"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 304 Same\r\nContent-Length: 9\r\nStrict-Transport-Security: a\r\n\r\n",
		"HTTP/1.1 400 B\xe4d\r\nSet-Cookie: a=b\r\nSet-Cookie: c\r\nKeep-Alive: timeout=5\r\n\r\n", "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(head), "GET", true, false)
		f.Add([]byte(head), "HEAD", true, true)
		f.Add([]byte(head), "GET", false, false)
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"), "\nGT", true, false)
	f.Fuzz(func(t *testing.T, head []byte, method string, newer, last bool) {
		x := &request.Request{}
		x.Reset(&request.Client{IP: "192.0.2.1", ForwardedFor: "for=192.0.2.1", Strict: "max-age=1"})
		version := "0"
		if newer {
			version = "1"
		}
		var scan http1.Scan
		end, err := scan.Response(head)
		if end == 0 || err != nil || strings.Contains(method, "\n") || x.Req.Parse([]byte(method+" /a HTTP/1."+version+"\r\nHost: h\r\n\r\n")) != nil ||
			x.Resp.Parse(head[:end], method) != nil || x.Resp.Status < 200 {
			return
		}
		if _, ok := x.Decode(request.Routes{{Path: "/socket.io/"}}); !ok {
			return
		}
		framing := x.Framing()
		out := x.AppendAnswer(nil, framing, last || framing == request.UntilClose)
		std, stdErr := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), &http.Request{Method: method})
		var again http1.Response
		if err := again.Parse(out, method); err != nil || stdErr != nil {
			t.Fatalf("%q becomes %q, which is not read: %v, %v", head, out, err, stdErr)
		}
		chunked := len(std.TransferEncoding) == 1
		if std.StatusCode != x.Resp.Status || chunked != (framing == request.InChunks) || !again.NoBody && again.Chunked != chunked {
			t.Fatalf("%q becomes %q: %+v", head, out, std)
		}
		if want := x.Resp.ContentLength; framing == request.AsAnnounced && !x.Resp.NoBody && (std.ContentLength != want || again.ContentLength != want) {
			t.Fatalf("%q becomes %q, of %d bytes", head, out, std.ContentLength)
		}
		if std.Close != (last || framing == request.UntilClose) || std.Header.Get("Keep-Alive") != "" || len(std.Header["Strict-Transport-Security"]) == 0 {
			t.Fatalf("%q becomes %q", head, out)
		}
	})
}
