package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio/engineiotest"
)

const (
	badRequest = `{"code":3,"message":"Bad request"}`
	aSID       = "AAAAAAAAAAAAAAAAAAAA"
)

// Queries that two readers take for different sessions reach no node: 400 in Engine.IO's own words, with the CORS
// headers without which a browser would hide them, and the connection ends.
func TestBadQuery(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	many := ""
	for i := range 32 {
		many += fmt.Sprintf("&p%d=1", i)
	}
	for name, query := range map[string]string{
		"sid twice":                "EIO=4&transport=polling&sid=" + aSID + "&sid=" + aSID,
		"two sids":                 "EIO=4&transport=polling&sid=" + aSID + "&sid=B",
		"two transports":           "EIO=4&transport=polling&transport=websocket",
		"EIO twice":                "EIO=4&EIO=3&transport=polling",
		"another parameter twice":  "EIO=4&transport=polling&a=1&a=2",
		"semicolon":                "EIO=4&transport=polling;sid=" + aSID,
		"semicolon in a value":     "EIO=4&transport=polling&a=1;2",
		"escaped sid name":         "EIO=4&transport=polling&s%69d=" + aSID,
		"escaped EIO name":         "%45IO=4&transport=polling",
		"sid and escaped sid":      "EIO=4&transport=polling&sid=" + aSID + "&%73id=B",
		"malformed escaped name":   "EIO=4&transport=polling&%zz=1",
		"33 parameters":            handshakeTarget[len("/socket.io/?"):] + many,
		"sid empty":                "EIO=4&transport=polling&sid=",
		"sid without value":        "EIO=4&transport=polling&sid",
		"sid too long":             "EIO=4&transport=polling&sid=" + strings.Repeat("a", 129),
		"sid escaped":              "EIO=4&transport=polling&sid=%41" + aSID,
		"sid with a slash":         "EIO=4&transport=polling&sid=a/b",
		"sid with a star":          "EIO=4&transport=polling&sid=a*b",
		"sid with a plus":          "EIO=4&transport=polling&sid=a+b",
		"sid with a question mark": "EIO=4&transport=polling&sid=a?b",
		"JSONP not in digits":      "EIO=4&transport=polling&j=alert(1)",
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "POST"} {
				head := request(method, "/socket.io/?"+query, "", "Origin: https://page.example", "Content-Length: 0")
				checkRefusedQuery(t, raw(t, g.addr, head+hidden))
			}
			ws := raw(t, g.addr, get("/socket.io/?"+strings.Replace(query, "polling", "websocket", 1), asksWebSocket...)+hidden)
			r := ws.answer()
			if r.StatusCode != 400 || r.Text != "Bad request" {
				t.Errorf("as WebSocket: answered %d %q", r.StatusCode, r.Text)
			}
			ws.refused(r)
			if got := n.received(); got != "" {
				t.Errorf("the node received …%q", tail([]byte(got)))
			}
		})
	}
}

func checkRefusedQuery(t *testing.T, c *rawClient) {
	t.Helper()
	r := c.answer()
	if r.StatusCode != 400 || r.Text != badRequest || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answered %d %q", r.StatusCode, r.Text)
	}
	if r.Header.Get("Access-Control-Allow-Origin") != "https://page.example" ||
		r.Header.Get("Access-Control-Allow-Credentials") != "true" || r.Header.Get("Vary") != "Origin" {
		t.Errorf("without CORS: %v", r.Header)
	}
	c.refused(r)
}

// The refusals of the protocol are worded as nodes word them.
func TestRefusedAsNodesDo(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	for name, c := range map[string]struct{ method, query, want string }{
		"transport unknown":  {"GET", "EIO=4&transport=carrier", `{"code":0,"message":"Transport unknown"}`},
		"no transport":       {"GET", "EIO=4", `{"code":0,"message":"Transport unknown"}`},
		"no query":           {"GET", "", `{"code":0,"message":"Transport unknown"}`},
		"prototype":          {"GET", "EIO=4&transport=__proto__", `{"code":0,"message":"Transport unknown"}`},
		"sid unknown":        {"GET", "EIO=4&transport=polling&sid=unknown", `{"code":1,"message":"Session ID unknown"}`},
		"handshake by POST":  {"POST", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
		"handshake by PUT":   {"PUT", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
		"DELETE in session":  {"DELETE", "EIO=4&transport=polling&sid=" + aSID, badRequest},
		"no upgrade asked":   {"GET", "EIO=4&transport=websocket&sid=" + aSID, badRequest},
		"no direct connect":  {"GET", "EIO=4&transport=websocket", badRequest},
		"EIO 5":              {"GET", "EIO=5&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		"EIO as a word":      {"GET", "EIO=x&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		"EIO with a blank":   {"GET", "EIO=4%20&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		"sid of Object keys": {"GET", "EIO=4&transport=polling&sid=__proto__", `{"code":1,"message":"Session ID unknown"}`},
	} {
		t.Run(name, func(t *testing.T) {
			cl := raw(t, g.addr, request(c.method, "/socket.io/?"+c.query, "", "Origin: https://page.example"))
			r := cl.answer()
			if r.StatusCode != 400 || r.Text != c.want || r.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
				t.Errorf("answered %d %q %v", r.StatusCode, r.Text, r.Header)
			}
			if got := n.received(); got != "" {
				t.Errorf("the node received …%q", tail([]byte(got)))
			}
		})
	}
	t.Run("body of a poll", func(t *testing.T) {
		for _, framing := range []string{"Content-Length: 3", "Transfer-Encoding: chunked"} {
			c := raw(t, g.addr, request("GET", pollTarget(aSID), "", framing))
			r := c.answer()
			if r.StatusCode != 400 || r.Text != badRequest {
				t.Errorf("answered %d %q", r.StatusCode, r.Text)
			}
			c.refused(r)
		}
	})
}

// Other spellings of the Socket.IO path would reach a node's sessions without having been judged.
func TestHiddenPath(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withCluster("", "/socket.io/", n), withCluster("", "/chat/io/", n))
	for _, path := range []string{
		"/%73ocket.io/", "/socket%2eio/", "/socket%2Eio/", "/socket.io%2f", "/socket.io%2F", "/%2fsocket.io/", "%2fsocket.io/",
		"/%73%6f%63%6b%65%74%2e%69%6f/", "/socket.io/../socket.io/", "/a/../socket.io/", "/a/%2e%2e/socket.io/", "/a/.%2e/socket.io/",
		"/a/%2E./socket.io/", "/../socket.io/", "//socket.io/", "/a//socket.io/", "/socket.io//", "/socket.io/../", "/socket.io/%2e%2e/x",
		"/socket.io/..%2f", "/a%2f..%2fsocket.io/", "/socket.io/a/..", "/./socket.io/", "/socket.io/./x", "/a/..//socket.io", "/socket.io/%2f", "/x/%2e%2e/%73ocket.io/",
		"/%73ocket.io/%zz", "/%zz/../%73ocket.io/", "/%73ocket.io/%", "/%73ocket.io/%a",
		"/%63hat/io/", "/chat/%69o/", "/chat//io/", "/chat/io/../x", "/chat/x/../io/",
	} {
		t.Run(path, func(t *testing.T) {
			head := get(path+"?EIO=4&transport=polling", "Origin: https://page.example")
			if path[0] != '/' {
				head = get("http://chat.example.com" + path + "?EIO=4&transport=polling")
			}
			c := raw(t, g.addr, head+hidden)
			r := c.answer()
			if r.StatusCode != 400 {
				t.Errorf("answered %d %q", r.StatusCode, r.Text)
			}
			c.refused(r)
			if got := n.received(); got != "" {
				t.Errorf("the node received …%q", tail([]byte(got)))
			}
		})
	}
}

// Below the Socket.IO path everything is Engine.IO's but the client's own files, under their exact names and without a
// query of Engine.IO's: a node that does not serve its client makes a session of such a request.
func TestClientBundle(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", plainly)
	g := startGateway(t, withNodes(n))
	for _, file := range []string{
		"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js", "socket.io.js.map",
		"socket.io.min.js.map", "socket.io.js?v=1", "socket.io.js?EIO=4&transport=polling",
	} {
		if r := raw(t, g.addr, get("/socket.io/"+file)).answer(); r.StatusCode != 200 {
			t.Errorf("%s: answered %d", file, r.StatusCode)
		}
	}
	before := n.received()
	for _, file := range []string{
		"socket.io.x.js?EIO=4&transport=polling", "socket.io.evil.js?EIO=4&transport=polling&sid=A&sid=B", "socket.io.js/?EIO=4",
		"socket.io..js?EIO=4&transport=polling", "socket.io.js.map.js?EIO=4&transport=polling", "a/socket.io.js", "socket.io.css",
		"socket.io.js?EIO=4", "socket.io.js?EIO=4&transport=polling", "socket.io.js.map?transport=polling&EIO=4&sid=A&sid=B",
		"socket.io.min.js?%45IO=4&transport=polling", "socket.io.js?v=1;EIO=4&transport=polling", "socket.io.js?transport=websocket",
	} {
		if r := raw(t, g.addr, request("DELETE", "/socket.io/"+file, "")).answer(); r.StatusCode != 400 {
			t.Errorf("%s: answered %d", file, r.StatusCode)
		}
	}
	if n.received() != before {
		t.Errorf("the node received …%q", tail([]byte(n.received()[len(before):])))
	}
}

func TestSessionMadeUnderTheBundlesName(t *testing.T) {
	t.Parallel()
	nodes := engines(t, 3, engineiotest.Options{})
	g := startGateway(t, withEngines(nodes...))
	const target = "/socket.io/socket.io.js?EIO=4&transport=polling"
	sid := dial(t, g.addr).handshake(target)
	if got := g.sessions(); got["n1"]+got["n2"]+got["n3"] != 1 {
		t.Errorf("sessions: %v", got)
	}
	for range 3 {
		dial(t, g.addr).expect(request("POST", target+"&sid="+sid, "4hello", lengthOf("4hello")), 200, "ok")
		dial(t, g.addr).expect(get(target+"&sid="+sid), 200, "4hello")
	}
	dial(t, g.addr).expect(get("/socket.io/socket.io.js?EIO=3&transport=polling&sid="+sid), 400, badRequest)
	direct := dial(t, g.addr)
	direct.websocket("/socket.io/socket.io.js?EIO=4&transport=websocket")
	direct.message()
	eventually(t, "two handshakes are counted", func() bool { return g.metric("sidway_handshakes_total", "made") == 2 })
}

// Ordinary paths may hold what the Socket.IO path may not.
func TestOrdinaryPath(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n))
	c := dial(t, g.addr)
	for _, path := range []string{
		"/", "/a//b", "/a/../b", "/%2e%2e/x", "/caf%c3%a9", "/socket.io", "/socket.iox/", "/Socket.IO/", "/a?b=../socket.io/", "/a;b=1?c;c=1&c=2",
	} {
		c.send(get(path))
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("%s: answered %d %q", path, r.StatusCode, r.Text)
		}
		if got := string(n.conn(0).bytes()); !strings.Contains(got, "GET "+path+" HTTP/1.1\r\n") {
			t.Errorf("%s: the node received %q", path, got)
		}
	}
}
