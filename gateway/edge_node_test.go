package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

const sessionGone = "1" // the close packet, which brings the client back soonest

// badAnswers are heads of a node's answers that two readers understand differently, or nobody.
var badAnswers = map[string]string{
	"not HTTP":                "hello\r\n\r\n",
	"bytes of TLS":            "\x15\x03\x03\x00\x02\x02\x28",
	"length and coding":       head(200, "Content-Length: 5", chunked) + "0\r\n\r\n",
	"two lengths":             head(200, "Content-Length: 5", "Content-Length: 6") + "hello",
	"length repeated":         head(200, "Content-Length: 5", "Content-Length: 5") + "hello",
	"length as list":          head(200, "Content-Length: 5, 5") + "hello",
	"length negative":         head(200, "Content-Length: -5") + "hello",
	"length empty":            head(200, "Content-Length:") + "hello",
	"unknown coding":          head(200, "Transfer-Encoding: gzip") + "hello",
	"coding twice":            head(200, chunked, chunked) + "0\r\n\r\n",
	"coding in 1.0":           "HTTP/1.0 200 OK\r\n" + chunked + "\r\n\r\n0\r\n\r\n",
	"204 with a body":         head(204, "Content-Length: 5") + "hello",
	"bare LF":                 "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"bare CR":                 head(200, "X: a\rb", "Content-Length: 5") + "hello",
	"NUL":                     head(200, "X: a\x00b", "Content-Length: 5") + "hello",
	"folded":                  head(200, "X: a\r\n b", "Content-Length: 5") + "hello",
	"space before colon":      head(200, "X : a", "Content-Length: 5") + "hello",
	"version 2.0":             "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"status of two digits":    "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
	"status of four digits":   "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello",
	"status 099":              "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello",
	"reason with a control":   "HTTP/1.1 200 O\x01K\r\nContent-Length: 5\r\n\r\nhello",
	"200 fields":              head(200, strings.Split(strings.Repeat("X: a|", 199)+"X: a", "|")...),
	"40 KiB":                  head(200, "X: "+strings.Repeat("a", 40<<10)),
	"an unasked 101":          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	"an unasked 101 for h2c":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
	"a bad head behind a 103": "HTTP/1.1 103 Early Hints\r\n\r\nhello\r\n\r\n",
}

// A node that answers what is no HTTP: 502, and its connection carries nothing more. The client's goes on.
func TestBadAnswer(t *testing.T) {
	t.Parallel()
	for name, bad := range badAnswers {
		n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
			if r.URL.Path == "/kept" {
				plainly(c, r)
				return
			}
			c.send(bad)
			<-c.gone
		})
		g := startGateway(t, withNodes(n))
		g.bind(aSID, n)
		for _, target := range []string{"/open", pollTarget(aSID), handshakeTarget} {
			t.Run(name+" "+target, func(t *testing.T) {
				c := raw(t, g.addr, get(target, "Origin: https://page.example"))
				r := c.answer()
				if r.StatusCode == 103 {
					r = c.answer()
				}
				if r.StatusCode != 502 || r.Err != nil {
					t.Errorf("answered %d %q, %v", r.StatusCode, r.Text, r.Err)
				}
				if r.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
					t.Errorf("without CORS: %v", r.Header)
				}
				if target != "/open" && r.Text != `{"message":"Node failed"}` {
					t.Errorf("answered %q", r.Text)
				}
				for _, nc := range n.all() {
					if strings.Contains(string(nc.bytes()), "GET "+target+" ") {
						nc.awaitEnd()
					}
				}
				c.kept()
			})
		}
	}
}

// A node that closes, or resets, before its answer is whole: as long as the client has got nothing it learns what
// happened, afterwards it must not take a part for the whole.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*nodeConn){"FIN": (*nodeConn).cut, "RST": (*nodeConn).reset}
	for end, finish := range ends {
		for name, part := range map[string]string{"nothing": "", "half a line": "HTTP/1.1 2", "half a head": "HTTP/1.1 200 OK\r\nX: a\r\n"} {
			t.Run(name+" "+end, func(t *testing.T) {
				n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
					c.send(part)
					finish(c)
				})
				g := startGateway(t, withNodes(n))
				g.bind(aSID, n)
				if r := raw(t, g.addr, get("/open")).answer(); r.StatusCode != 502 {
					t.Errorf("ordinary: answered %d %q", r.StatusCode, r.Text)
				}
				if r := raw(t, g.addr, get(pollTarget(aSID))).answer(); r.StatusCode != 200 || r.Text != sessionGone {
					t.Errorf("poll: answered %d %q", r.StatusCode, r.Text)
				}
			})
		}
		for name, part := range map[string]string{
			"length":                 head(200, "Content-Length: 11") + "hello",
			"chunks":                 head(200, chunked) + "5\r\nhello\r\n",
			"within a chunk":         head(200, chunked) + "b\r\nhello",
			"within a size":          head(200, chunked) + "5\r\nhello\r\n0",
			"before the empty line":  head(200, chunked) + "5\r\nhello\r\n0\r\n",
			"a bad chunk":            head(200, chunked) + "5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n",
			"a chunk with bare LF":   head(200, chunked) + "5\r\nhello\n0\r\n\r\n",
			"a trailer with bare LF": head(200, chunked) + "5\r\nhello\r\n0\r\nX: a\n\r\n",
		} {
			t.Run(name+" "+end, func(t *testing.T) { checkCutBody(t, part, finish) })
		}
	}
}

func checkCutBody(t *testing.T, part string, finish func(*nodeConn)) {
	came := make(chan struct{}, 10)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		at := strings.Index(part, "hello")
		c.send(part[:at])
		c.send("hello")
		if r.URL.Path == "/open" {
			<-came // the client has got so much
		}
		c.send(part[at+5:])
		finish(c)
	})
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	if r := raw(t, g.addr, get(pollTarget(aSID))).answer(); r.Err != nil || r.Text != sessionGone && r.StatusCode != 502 {
		t.Errorf("a poll: %d %q, %v", r.StatusCode, r.Text, r.Err) // of short answers a poll gets all or nothing
	}
	for _, h := range []string{
		get("/open"), "GET /open HTTP/1.0\r\n\r\n",
		"GET /open HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	} {
		c := raw(t, g.addr, h)
		r := c.start("GET")
		b := make([]byte, 5)
		if _, err := r.Body.Read(b); err != nil || string(b) != "hello" {
			t.Errorf("%q: began with %q, %v", h, b, err)
		}
		came <- struct{}{}
		rest := new(strings.Builder)
		if _, err := io.Copy(rest, r.Body); err == nil {
			t.Errorf("%q: the cut answer looked complete with %q", h, rest)
		}
	}
}

// Bytes that come behind an answer, or before a request, belong to no answer.
func TestJunkBehindAnswer(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		c.send(answer(200, r.URL.Path) + answer(200, "a second answer"))
	})
	g := startGateway(t, withNodes(n))
	c := dial(t, g.addr)
	for _, path := range []string{"/a", "/b", "/c"} {
		c.send(get(path))
		if r := c.answer(); r.Text != path {
			t.Errorf("%s: answered %q", path, r.Text)
		}
	}
	if got := len(n.all()); got != 3 {
		t.Errorf("the node got %d connections", got)
	}
}

// A handshake that breaks in flight goes to another node, and nothing of the first answer is left over.
func TestHandshakeForgetsTheBrokenNode(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{
		"nothing":      "",
		"half a head":  "HTTP/1.1 200 OK\r\nX",
		"half a body":  head(200, "Content-Length: 100") + `0{"sid":"BBBB`,
		"half a chunk": head(200, chunked) + "30\r\n" + `0{"sid":"BBBB`,
		"much of it":   head(200, "Content-Length: 100000") + `0{"sid":"BBBB","x":"` + strings.Repeat("x", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			broken := func(c *nodeConn, r *nodeRequest) {
				if r.URL.Query().Get("sid") != "" {
					engine("CCCC")(c, r)
					return
				}
				c.send(part)
				c.reset()
			}
			first, second := startNode(t, "n1", broken), startNode(t, "n2", engine(aSID))
			g := startGateway(t, withNodes(first, second))
			c := dial(t, g.addr)
			for len(first.all()) == 0 { // whichever the first goes to, one of them meets the broken node
				c.send(get(handshakeTarget))
				if r := c.answer(); r.StatusCode != 200 || r.Text != openPacket(aSID) {
					t.Fatalf("answered %d %q", r.StatusCode, r.Text)
				}
			}
			c.send(get(pollTarget(aSID)))
			if r := c.answer(); r.Text != "6" {
				t.Errorf("answered %d %q", r.StatusCode, r.Text)
			}
		})
	}
}

// A request that one client's node cut or never answered says nothing about the node's other work.
func TestCutOrdinaryAnswerLeavesNodeIn(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.URL.Path == "/crash" {
			c.reset()
			return
		}
		engine(aSID)(c, r)
	})
	g := startGateway(t, withNodes(n))
	for _, method := range []string{"GET", "POST"} {
		if r := raw(t, g.addr, request(method, "/crash", "")).answer(); r.StatusCode != 502 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
	}
	if out := g.metric("sidway_node_ejected"); out != 0 {
		t.Error("any client can put the node out of the choice")
	}
}

// A kept connection that is reset in place of an answer, when the node may keep it no longer, was closed with the request unread, as a node does
// that was stopped meanwhile: a session's request goes to the node again. Where it ends in order, or before its time, the node may have read it,
// and something between may have reset it; a node that says nothing of its time is taken to keep connections for two seconds.
func TestKeptConnectionEndsInPlaceOfAnAnswer(t *testing.T) {
	t.Parallel()
	postIt := request("POST", postTarget(aSID), "4hello", lengthOf("4hello"))
	for name, c := range map[string]struct {
		request string
		end     func(*nodeConn)
		keeps   bool // the node says for how long it keeps connections
		late    bool // the end comes when the node keeps them no longer
		again   bool
	}{
		"poll, reset":                  {get(pollTarget(aSID)), (*nodeConn).reset, false, true, true},
		"POST, reset":                  {postIt, (*nodeConn).reset, false, true, true},
		"poll, reset before its time":  {get(pollTarget(aSID)), (*nodeConn).reset, true, false, false},
		"POST, reset before its time":  {postIt, (*nodeConn).reset, true, false, false},
		"poll, reset at once":          {get(pollTarget(aSID)), (*nodeConn).reset, false, false, false},
		"POST, reset at once":          {postIt, (*nodeConn).reset, false, false, false},
		"poll, closed":                 {get(pollTarget(aSID)), (*nodeConn).cut, false, true, false},
		"POST, closed":                 {postIt, (*nodeConn).cut, false, true, false},
		"POST, closed before its time": {postIt, (*nodeConn).cut, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "n1", func(n *nodeConn, r *nodeRequest) {
				if r.N == 1 && n == n.node.conn(0) {
					if c.late {
						time.Sleep(2100 * time.Millisecond) // the node's timer
					}
					c.end(n)
					return
				}
				if c.keeps {
					engine(aSID)(n, r)
				} else {
					saysNothing(n, r)
				}
			})
			s := startGateway(t, withNodes(node))
			s.bind(aSID, node)
			client := dial(t, s.addr)
			client.ask(get(pollTarget(aSID)))
			status, body := client.ask(c.request)
			line, _, _ := strings.Cut(c.request, " HTTP/1.1")
			sent := strings.Count(node.received(), line+" HTTP/1.1") - strings.Count(get(pollTarget(aSID)), line+" HTTP/1.1")
			if c.again && (status != 200 || body == sessionGone || sent != 2) {
				t.Errorf("got %d %q, and the node %d times the request", status, body, sent)
			}
			if !c.again && (status == 200 && body != sessionGone || sent != 1) {
				t.Errorf("got %d %q, and the node %d times the request", status, body, sent)
			}
		})
	}
}

// saysNothing answers a session's requests without a word of how long it keeps connections.
func saysNothing(c *nodeConn, r *nodeRequest) {
	readAll(r)
	c.send(strings.Replace(answer(200, "6"), "Keep-Alive: timeout=5\r\n", "", 1))
}

// A node that has reset a fresh connection resets what it may have read: nothing that it resets is sent again.
func TestNodeThatResetsWhatItRead(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", func(n *nodeConn, r *nodeRequest) {
		if n == n.node.conn(0) || r.N == 1 {
			readAll(r)
			n.reset()
			return
		}
		saysNothing(n, r)
	})
	s := startGateway(t, withNodes(node))
	client := dial(t, s.addr)
	for i, want := range []int{400, 200, 400} { // on a fresh connection, on another, and on that again
		s.bind(aSID, node)
		if status, body := client.ask(post(aSID, fmt.Sprint("4message ", i))); status != want {
			t.Errorf("POST %d: got %d %q", i, status, body)
		}
	}
	if posts := strings.Count(node.received(), "POST "); posts != 3 {
		t.Errorf("the node received %d POSTs", posts)
	}
}

// The answer to a poll may have been on its way for as long as the node keeps connections, and the node have closed this one meanwhile: a poll that it resets
// is sent again, and a POST does not go there.
func TestAnswerThatWasLongOnItsWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		next  string
		heads int // that the node has read, with those it resets
	}{
		"a poll": {get(pollTarget(aSID)), 3},
		"a POST": {post(aSID, "4message"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "n1", func(n *nodeConn, r *nodeRequest) {
				switch first := n == n.node.conn(0); {
				case first && r.N == 0:
					time.Sleep(2100 * time.Millisecond)
				case first:
					readAll(r)
					n.reset()
					return
				}
				saysNothing(n, r)
			})
			s := startGateway(t, withNodes(node))
			s.bind(aSID, node)
			client := dial(t, s.addr)
			for _, request := range []string{get(pollTarget(aSID)), c.next} {
				if status, body := client.ask(request); status != 200 {
					t.Errorf("got %d %q", status, body)
				}
			}
			if got := strings.Count(node.received(), " HTTP/1.1\r\n"); got != c.heads {
				t.Errorf("the node received %d requests, want %d", got, c.heads)
			}
		})
	}
}

// Each request has a connection of its own where the cluster says so.
func TestNoKeepAliveToNodes(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n), func(o *siteOptions) { o.routes[0].DisableKeepAlive = true })
	c := dial(t, g.addr)
	c.handshake(handshakeTarget)
	c.expect(get(pollTarget(aSID)), 200, "6")
	c.expect(request("POST", pollTarget(aSID), "4hi", lengthOf("4hi")), 200, "ok")
	c.send(get("/open"))
	if r := c.answer(); r.StatusCode != 200 {
		t.Errorf("answered %d", r.StatusCode)
	}
	if got, closes := len(n.all()), strings.Count(n.received(), "\r\nConnection: close\r\n"); got != 4 || closes != 4 {
		t.Errorf("%d connections, of which %d were said to be closed, in place of 4", got, closes)
	}
	c.kept()
}
