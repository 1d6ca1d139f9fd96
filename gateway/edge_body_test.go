package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

const chunked = "Transfer-Encoding: chunked"

// badChunks are chunked bodies that two readers end at different places, or that nobody should read. Each could be
// followed by the hidden request.
var badChunks = []struct {
	name, body string
	status     int // 400 where it is 0
}{
	{name: "bare LF behind size", body: "5\nhello\r\n0\r\n\r\n"},
	{name: "bare CR behind size", body: "5\rhello\r\n0\r\n\r\n"},
	{name: "bare LF behind data", body: "5\r\nhello\n0\r\n\r\n"},
	{name: "bare LF behind last size", body: "5\r\nhello\r\n0\n\r\n"},
	{name: "bare LF at the end", body: "5\r\nhello\r\n0\r\n\n"},
	{name: "nothing behind data", body: "5\r\nhello0\r\n\r\n"},
	{name: "more data than size", body: "5\r\nhello world\r\n0\r\n\r\n"},
	{name: "blank before size", body: " 5\r\nhello\r\n0\r\n\r\n"},
	{name: "blank behind size", body: "5 \r\nhello\r\n0\r\n\r\n"},
	{name: "plus", body: "+5\r\nhello\r\n0\r\n\r\n"},
	{name: "minus", body: "-5\r\nhello\r\n0\r\n\r\n"},
	{name: "0x", body: "0x5\r\nhello\r\n0\r\n\r\n"},
	{name: "underscore", body: "0_5\r\nhello\r\n0\r\n\r\n"},
	{name: "no digits", body: "\r\nhello\r\n0\r\n\r\n"},
	{name: "letters", body: "five\r\nhello\r\n0\r\n\r\n"},
	{name: "17 digits", body: "00000000000000005\r\nhello\r\n0\r\n\r\n"},
	{name: "63 bits", body: "8000000000000000\r\nhello\r\n0\r\n\r\n"},
	{name: "64 bits", body: "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
	{name: "wraps to 5", body: "10000000000000005\r\nhello\r\n0\r\n\r\n"},
	{name: "LF in extension", body: "5;a\nb\r\nhello\r\n0\r\n\r\n"},
	{name: "CR in extension", body: "5;a\rb\r\nhello\r\n0\r\n\r\n"},
	{name: "NUL in extension", body: "5;a\x00\r\nhello\r\n0\r\n\r\n"},
	{name: "extension too long", body: "5;" + strings.Repeat("a", 1000) + "\r\nhello\r\n0\r\n\r\n"},
	{name: "trailer folded", body: "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"},
	{name: "trailer with bare LF", body: "5\r\nhello\r\n0\r\nX: a\n\r\n"},
	{name: "trailer with bare CR", body: "5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"},
	{name: "trailer with NUL", body: "5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"},
	{name: "trailer with space before colon", body: "5\r\nhello\r\n0\r\nX : a\r\n\r\n"},
	{name: "trailer without colon", body: "5\r\nhello\r\n0\r\nX\r\n\r\n"},
	{name: "trailers too long", body: "5\r\nhello\r\n0\r\nX: " + strings.Repeat("a", 9000) + "\r\n\r\n", status: 431},
	{name: "a bad chunk behind a good one", body: "5\r\nhello\r\n" + strings.Repeat("4\r\ngood\r\n", 100) + "zz\r\nhello\r\n0\r\n\r\n"},
}

// After a bad body the node has never seen a whole request, and its connection is cut; the client learns why, and what
// follows is not taken for a request. A POST of Socket.IO's reaches no node at all.
func TestBadChunks(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	for _, b := range badChunks {
		t.Run(b.name, func(t *testing.T) {
			want := max(b.status, 400)
			before := len(n.all())
			for _, send := range []func(testing.TB, string, string) *rawClient{raw, rawBytewise} {
				c := send(t, g.addr, request("POST", pollTarget(aSID), b.body, chunked)+hidden)
				r := c.answer()
				if r.StatusCode != want {
					t.Errorf("POST in session: answered %d %q", r.StatusCode, r.Text)
				}
				c.refused(r)
				if len(n.all()) != before {
					t.Fatalf("the node received …%q", tail(n.all()[before].bytes()))
				}
			}
			for i, send := range []func(testing.TB, string, string) *rawClient{raw, rawBytewise} {
				c := send(t, g.addr, request("PUT", "/open", b.body, chunked)+hidden)
				r := c.answer()
				if r.StatusCode != want {
					t.Errorf("PUT: answered %d %q", r.StatusCode, r.Text)
				}
				c.refused(r)
				conn := n.conn(before + i)
				conn.awaitEnd()
				if got := string(conn.bytes()); conn.wholeRequests() != 0 || strings.Contains(got, "/hidden") {
					t.Errorf("the node received …%q", tail(conn.bytes()))
				}
			}
		})
	}
	if out := g.metric("sidway_node_ejected"); out != 0 {
		t.Error("a client's bad body has put the node out of the choice")
	}
	c := raw(t, g.addr, get(handshakeTarget))
	if r := c.answer(); r.StatusCode != 200 {
		t.Errorf("the node is not asked any more: %d %q", r.StatusCode, r.Text)
	}
}

// Extensions and trailers end here; a short body is forwarded as a whole, a long one in chunks made here.
func TestChunksAreMadeAnew(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	body := "5;ext=\"a\";b\r\nhello\r\n1;x\r\n \r\n0005\r\nworld\r\n000;last\r\nX-Trailer: a\r\nContent-Length: 3\r\n\r\n"
	for i, target := range []string{pollTarget(aSID), "/open"} {
		for _, send := range []func(testing.TB, string, string) *rawClient{raw, rawBytewise} {
			c := send(t, g.addr, request("POST", target, body, chunked, "Trailer: X-Trailer"))
			if r := c.answer(); r.StatusCode != 200 || !strings.HasSuffix(r.Text, " hello world") {
				t.Errorf("%s: answered %d %q", target, r.StatusCode, r.Text)
			}
			c.kept()
		}
		for _, gone := range []string{"ext", ";x", ";last", "railer", "Content-Length: 3\r\n"} {
			if got := n.received(); strings.Contains(got, gone) {
				t.Errorf("%d: %q went on to the node: %q", i, gone, got)
			}
		}
	}
}

// A body that ends before its announced end, or a node that must not take a part for the whole.
func TestShortBody(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	long := strings.Repeat("a", 100<<10)
	for name, head := range map[string]string{
		"length, ordinary":       request("PUT", "/open", "short", "Content-Length: 6"),
		"chunks, ordinary":       request("PUT", "/open", "5\r\nshort\r\n", chunked),
		"within a chunk":         request("PUT", "/open", "5\r\nshor", chunked),
		"no empty trailer":       request("PUT", "/open", "5\r\nshort\r\n0\r\n", chunked),
		"length, POST":           request("POST", pollTarget(aSID), "short", "Content-Length: 6"),
		"chunks, POST":           request("POST", pollTarget(aSID), "5\r\nshort\r\n", chunked),
		"long length, POST":      request("POST", pollTarget(aSID), long, "Content-Length: 200000"),
		"long chunks, POST":      request("POST", pollTarget(aSID), "19000\r\n"+long+"\r\n", chunked),
		"long length, ordinary":  request("PUT", "/open", long, "Content-Length: 200000"),
		"nothing of it":          request("PUT", "/open", "", "Content-Length: 200000"),
		"nothing of short POST":  request("POST", pollTarget(aSID), "", "Content-Length: 6"),
		"nothing of chunks POST": request("POST", pollTarget(aSID), "", chunked),
	} {
		for _, end := range []string{"FIN", "RST"} {
			t.Run(name+" "+end, func(t *testing.T) {
				c := raw(t, g.addr, head)
				before := len(n.all())
				if end == "FIN" {
					c.CloseWrite()
				} else {
					c.SetLinger(0)
					c.Close()
				}
				eventually(t, "no lease", func() bool { return g.metric("sidway_leases")+g.metric("sidway_connections") == 0 })
				for _, conn := range n.all() {
					conn.awaitEnd()
				}
				if got := n.wholeRequests(); got != 0 {
					t.Errorf("the node took a part for the whole: %d, %d, %q", before, got, tail([]byte(n.received())))
				}
			})
		}
	}
	if out := g.metric("sidway_node_ejected"); out != 0 {
		t.Error("a client that left has put the node out of the choice")
	}
}

// The gateway answers Expect: 100-continue itself, where it wants the body, and the node never hears of it.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n), withMaxBody(100_000))
	g.bind(aSID, n)
	const goAhead = "HTTP/1.1 100 Continue\r\n"
	for name, target := range map[string]string{"POST in session": pollTarget(aSID), "ordinary": "/open"} {
		for framing, body := range map[string]string{
			"Content-Length: 5": "hello", "Content-Length: 80000": strings.Repeat("a", 80000), chunked: "5\r\nhello\r\n0\r\n\r\n",
		} {
			t.Run(name+" "+framing, func(t *testing.T) {
				c := raw(t, g.addr, request("POST", target, "", framing, "Expect: 100-Continue"))
				if got := c.line(); got != goAhead {
					t.Fatalf("instead of 100 there came %q", got)
				}
				c.line()
				c.send(body)
				if r := c.answerTo("POST"); r.StatusCode != 200 {
					t.Errorf("answered %d %q", r.StatusCode, r.Text)
				}
				c.kept()
			})
		}
		t.Run(name+", body sent at once", func(t *testing.T) {
			c := raw(t, g.addr, request("POST", target, "hello", "Content-Length: 5", "Expect: 100-continue"))
			r := c.answerTo("POST")
			if r.StatusCode == 100 { // it may come all the same
				r = c.answerTo("POST")
			}
			if r.StatusCode != 200 {
				t.Errorf("answered %d %q", r.StatusCode, r.Text)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		for target, status := range map[string]int{
			handshakeTarget: 400, pollTarget("unknown"): 400, "/open": 413, pollTarget(aSID): 413,
		} {
			c := raw(t, g.addr, request("POST", target, "", "Content-Length: 200000", "Expect: 100-continue"))
			r := c.answerTo("POST")
			if r.StatusCode != status {
				t.Errorf("%s: answered %d %q", target, r.StatusCode, r.Text)
			}
			c.refused(r)
		}
	})
	t.Run("nothing to wait for", func(t *testing.T) {
		c := raw(t, g.addr, get("/open", "Expect: 100-continue"))
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
		old := raw(t, g.addr, "POST /open HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
		if r := old.answer(); r.StatusCode != 200 {
			t.Errorf("HTTP/1.0: answered %d %q", r.StatusCode, r.Text)
		}
	})
	if got := n.received(); strings.Contains(strings.ToLower(got), "expect") {
		t.Error("the expectation went on to the node")
	}
}

// Bodies above their limit are refused before or, where the length is not known, while they come: 413.
func TestBodySize(t *testing.T) {
	t.Parallel()
	const tooLarge = `{"message":"Payload too large"}`
	for name, limit := range map[string]int64{"short": 1000, "long": 100_000} {
		n := startNode(t, "n1", engine(aSID))
		configured := startGateway(t, withNodes(n), withMaxBody(limit))
		configured.bind(aSID, n)
		learned := startGateway(t, withNodes(n))
		b := sessionOn(n)
		b.MaxPayload = limit
		learned.bindAs(aSID, b)

		fits, over := strings.Repeat("a", int(limit)), strings.Repeat("a", int(limit)+1)
		check := func(g *site, what, head, want string) {
			t.Run(name+" "+what, func(t *testing.T) {
				whole := n.wholeRequests()
				c := raw(t, g.addr, head)
				switch r := c.answerTo("POST"); {
				case want == "":
					if r.StatusCode != 200 {
						t.Errorf("answered %d %q", r.StatusCode, r.Text)
					}
				case r.StatusCode != 413 || r.Text != want:
					t.Errorf("answered %d %q", r.StatusCode, r.Text)
				case n.wholeRequests() != whole:
					t.Errorf("the node received a whole request")
				}
			})
		}
		post := func(body string) string {
			return request("POST", pollTarget(aSID), body, lengthOf(body))
		}
		pieces := func(method, target, body string) string {
			return request(method, target, inChunks(body, 700), chunked)
		}
		put := func(body string) string { return request("PUT", "/open", body, lengthOf(body)) }
		check(configured, "POST, length", post(over), tooLarge)
		check(configured, "POST, chunks", pieces("POST", pollTarget(aSID), over), tooLarge)
		check(configured, "PUT, length", put(over), "Request Entity Too Large\n")
		check(configured, "PUT, chunks", pieces("PUT", "/open", over), "Request Entity Too Large\n")
		check(learned, "POST, learned, length", post(over), tooLarge)
		check(learned, "POST, learned, chunks", pieces("POST", pollTarget(aSID), over), tooLarge)
		check(configured, "POST, length fits", post(fits), "")
		check(configured, "POST, chunks fit", pieces("POST", pollTarget(aSID), fits), "")
		check(configured, "PUT, length fits", put(fits), "")
		check(configured, "PUT, chunks fit", pieces("PUT", "/open", fits), "")
		check(learned, "POST, learned, length fits", post(fits), "")
		check(learned, "POST, learned, chunks fit", pieces("POST", pollTarget(aSID), fits), "")
		check(learned, "PUT, not limited", put(over), "")
		if f := configured.faults(); len(f) != 1 || f[0].Reason != "max_body" || f[0].Count != 4 {
			t.Errorf("told of %+v", f)
		}
		if f := learned.faults(); len(f) != 0 {
			t.Errorf("clients know what nodes announce, and two are told of: %+v", f)
		}
		for range 3 {
			raw(t, learned.addr, post(over)).answerTo("POST")
		}
		if f := learned.faults(); len(f) != 1 || f[0].Reason != "max_body" || f[0].Subject != n.name {
			t.Errorf("after the fifth it is told %+v", f)
		}
	}
}

func TestAllowanceOfLongUploads(t *testing.T) {
	for got, want := range map[int64]time.Duration{0: 0, 500: 500 * time.Millisecond, 20e9: 20e6 * time.Second} {
		if a := gateway.Allowance(got, 1000); a != want {
			t.Errorf("%d bytes at 1,000 a second: %v, want %v", got, a, want)
		}
	}
	if a := gateway.Allowance(1<<62, 1); a < 1000*time.Hour {
		t.Errorf("an endless upload: %v", a)
	}
}
