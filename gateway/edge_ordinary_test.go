package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

// Any method is forwarded, with its body, on one kept connection.
func TestAnyMethod(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n))
	c := dial(t, g.addr)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "QUERY", "get"} {
		for _, body := range []string{"", "hello"} {
			c.send(request(method, "/open?a=1", body, lengthOf(body)))
			if r := c.answerTo(method); r.StatusCode != 200 || r.Text != "n1 "+method+" /open "+body {
				t.Errorf("%s: answered %d %q", method, r.StatusCode, r.Text)
			}
		}
	}
	if got := len(n.all()); got != 1 {
		t.Errorf("%d connections to the node, one was enough", got)
	}
	if !strings.Contains(n.received(), "GET /open?a=1 HTTP/1.1\r\nHost: chat.example.com\r\n") {
		t.Errorf("the node received %q", tail([]byte(n.received())))
	}
}

// framedAnswers are answers of nodes and what the client must read of them.
var framedAnswers = []struct {
	name, method, path string
	node               string // the node's raw answer; it cuts the connection behind one that says close
	status             int
	text               string
	length             string // Content-Length that the client sees
}{
	{"length", "GET", "/length", answer(200, "hello"), 200, "hello", "5"},
	{"no length and no body", "GET", "/empty", answer(200, ""), 200, "", "0"},
	{"chunks", "GET", "/chunks", head(200, chunked) + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 200, "hello world", ""},
	{"no chunks", "GET", "/nochunks", head(200, chunked) + "0\r\n\r\n", 200, "", ""},
	{"extension and trailer", "GET", "/ext", head(200, chunked, "Trailer: X-T") + "5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", 200, "hello", ""},
	{"until close", "GET", "/close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world", 200, "hello world", ""},
	{"until close of nothing", "GET", "/closenothing", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 200, "", ""},
	{"until close of 1.0", "GET", "/close10", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello", ""},
	{"length in 1.0", "GET", "/length10", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "5"},
	{"kept 1.0", "GET", "/kept10", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "5"},
	{"HEAD with length", "HEAD", "/headlength", head(200, "Content-Length: 1234"), 200, "", "1234"},
	{"HEAD with chunks", "HEAD", "/headchunks", head(200, chunked), 200, "", ""},
	{"HEAD with nothing", "HEAD", "/headnothing", head(200), 200, "", ""},
	{"204", "GET", "/204", head(204), 204, "", ""},
	{"204 with length", "DELETE", "/204length", head(204, "Content-Length: 0"), 204, "", ""},
	{"304", "GET", "/304", head(304, `ETag: "a"`), 304, "", ""},
	{"304 with length", "GET", "/304length", head(304, "Content-Length: 1234"), 304, "", "1234"},
	{"304 with chunks", "GET", "/304chunks", head(304, chunked), 304, "", ""},
	{"no reason", "GET", "/noreason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok", "2"},
	{"an own status", "GET", "/799", answer(799, "odd"), 799, "odd", "3"},
	{"500", "GET", "/500", answer(500, "broken"), 500, "broken", "6"},
}

// Each framing of a node's answer comes through whole, and the client's connection can go on.
func TestFramedAnswers(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		for _, a := range framedAnswers {
			if a.path == r.URL.Path {
				c.send(a.node)
				if strings.Contains(a.path, "close") || strings.Contains(a.path, "length10") {
					c.cut()
				}
				return
			}
		}
		plainly(c, r)
	})
	g := startGateway(t, withNodes(n))
	for _, a := range framedAnswers {
		t.Run(a.name, func(t *testing.T) {
			c := raw(t, g.addr, request(a.method, a.path, ""))
			r := c.answerTo(a.method)
			if r.StatusCode != a.status || r.Text != a.text || r.Err != nil || r.Header.Get("Content-Length") != a.length {
				t.Errorf("answered %d %q, length %q, %v", r.StatusCode, r.Text, r.Header.Get("Content-Length"), r.Err)
			}
			if r.Close || len(r.Trailer) > 0 || r.Header.Get("Keep-Alive") != "" {
				t.Errorf("close %v, trailer %v, %v", r.Close, r.Trailer, r.Header)
			}
			c.kept()
		})
		t.Run(a.name+" for HTTP/1.0", func(t *testing.T) {
			old := fmt.Sprintf("%s %s HTTP/1.0\r\n", a.method, a.path)
			checkOld(t, raw(t, g.addr, old+"\r\n"), a.method, a.text, false)
			checkOld(t, raw(t, g.addr, old+host+"Connection: keep-alive\r\n\r\n"), a.method, a.text, true)
		})
	}
}

// checkOld checks an answer for an HTTP/1.0 client: it knows no chunks, and a connection is kept only if both said so.
func checkOld(t *testing.T, c *rawClient, method, text string, asked bool) {
	t.Helper()
	r := c.answerTo(method)
	if len(r.TransferEncoding) > 0 || r.Text != text || r.Err != nil {
		t.Errorf("read %q, %v, transfer coding %q", r.Text, r.Err, r.TransferEncoding)
	}
	kept := strings.EqualFold(r.Header.Get("Connection"), "keep-alive")
	switch {
	case kept && !asked:
		t.Error("keep-alive was not asked for")
	case kept:
		c.send("GET /kept HTTP/1.0\r\n\r\n")
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("the kept connection's next request got %d", r.StatusCode)
		}
	default:
		c.closed()
	}
}

// Several requests in one segment are answered in their order, whatever each of them is.
func TestPipelining(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", engine(aSID)), startNode(t, "n2", engine(aSID))
	g := startGateway(t, withNodes(n1, n2))
	g.bind(aSID, n1)
	var all strings.Builder
	var want []string
	for i := range 20 {
		path := fmt.Sprintf("/p%d", i)
		body := strings.Repeat("b", i*7)
		switch i % 5 {
		case 0:
			all.WriteString(get(path))
			want = append(want, " GET "+path+" ")
		case 1:
			all.WriteString(request("POST", path, body, lengthOf(body)))
			want = append(want, " POST "+path+" "+body)
		case 2:
			all.WriteString(request("PUT", path, inChunks(body, 5), chunked))
			want = append(want, " PUT "+path+" "+body)
		case 3:
			all.WriteString(get(pollTarget(aSID)))
			want = append(want, "6")
		case 4:
			all.WriteString(request("POST", pollTarget(aSID), "4hello", lengthOf("4hello")))
			want = append(want, "ok")
		}
	}
	for _, send := range []func(testing.TB, string, string) *rawClient{raw, rawBytewise} {
		c := send(t, g.addr, all.String())
		for i, w := range want {
			if r := c.answer(); r.StatusCode != 200 || !strings.HasSuffix(r.Text, w) {
				t.Fatalf("answer %d: %d %q, not %q", i, r.StatusCode, r.Text, w)
			}
		}
		c.kept()
	}
}

// A client that sent several requests and closed its side has not left: it waits for their answers.
func TestPipeliningThenFIN(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		switch r.URL.Path {
		case "/departs":
			<-c.gone
		case "/a":
			<-release
			fallthrough
		default:
			plainly(c, r)
		}
	})
	g := startGateway(t, withNodes(n))
	c := raw(t, g.addr, get("/a")+get("/b")+get("/c"))
	n.conn(0).await("/a")
	leaver := raw(t, g.addr, get("/departs"))
	n.conn(1).await("/departs")
	c.CloseWrite()
	leaver.Close()
	n.conn(1).awaitEnd() // the gateway looks at ends in their order: by now it has seen that of c
	close(release)
	for _, path := range []string{"/a", "/b", "/c"} {
		if r := c.answer(); r.StatusCode != 200 || !strings.Contains(r.Text, path) {
			t.Fatalf("answered %d %q", r.StatusCode, r.Text)
		}
	}
	c.closed()
}

// A client of HTTP/1.0 that asked for it is told that its connection is kept, or it is not: an answer made here ends it.
func TestOwnAnswerForOldClient(t *testing.T) {
	t.Parallel()
	g := startGateway(t, withNodes(startNode(t, "n1", nil)))
	c := raw(t, g.addr, "GET "+pollTarget("unknown")+" HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	r := c.answer()
	if r.StatusCode != 400 {
		t.Errorf("answered %d %q", r.StatusCode, r.Text)
	}
	c.refused(r)
}

// Each request that says close is the last of its connection, and nothing behind it is served.
func TestClose(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n))
	for _, h := range []string{
		get("/open", "Connection: close"), get("/open", "Connection: keep-alive, Close"), "GET /open HTTP/1.0\r\n" + host + "\r\n",
	} {
		c := raw(t, g.addr, h+hidden)
		r := c.answer()
		if r.StatusCode != 200 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
		c.refused(r)
	}
	if strings.Contains(n.received(), "/hidden") {
		t.Error("what was behind the last request was served")
	}
}
