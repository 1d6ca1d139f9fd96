package gateway_test

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// echoed starts a node that keeps the last head it got, and a gateway before it.
func echoed(t *testing.T, options ...siteOption) (g *site, send func(head string, inFront ...string) http.Header) {
	t.Helper()
	heads := make(chan http.Header, 1)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		h := r.Header.Clone()
		h.Set("Host", r.Host)
		heads <- h
		c.send(answer(200, "ok"))
	})
	g = startGateway(t, append([]siteOption{withNodes(n)}, options...)...)
	return g, func(head string, inFront ...string) http.Header {
		t.Helper()
		if r := introduce(t, g.addr, strings.Join(inFront, ""), head, false).answer(); r.StatusCode != 200 {
			t.Fatalf("%q: answered %d %q", head, r.StatusCode, r.Text)
		}
		return <-heads
	}
}

// hasOnly checks that a field has these values and no others.
func hasOnly(t *testing.T, h http.Header, name string, want ...string) {
	t.Helper()
	if got := h.Values(name); !slices.Equal(got, want) {
		t.Errorf("%s is %q, not %q", name, got, want)
	}
}

// What concerns one connection ends here, in both directions; everything else passes as it is and in its order.
func TestHopByHop(t *testing.T) {
	t.Parallel()
	_, send := echoed(t)
	h := send(get("/open",
		"Connection: keep-alive, X-Hop, x-other-hop ,, close-not", "X-Hop: a", "X-OTHER-HOP: b", "Keep-Alive: timeout=5",
		"TE: trailers", "Trailer: X-T", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA==", "Proxy-Authenticate: Basic",
		"Expect: 100-continue", "X-End: c", "Cookie: a=b", "Cookie: c=d", "Authorization: Bearer x", "Accept-Encoding: gzip, br"))
	for _, gone := range []string{
		"Connection", "X-Hop", "X-Other-Hop", "Keep-Alive", "Te", "Trailer", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate",
		"Expect", "Upgrade", "Transfer-Encoding",
	} {
		hasOnly(t, h, gone)
	}
	hasOnly(t, h, "X-End", "c")
	hasOnly(t, h, "Cookie", "a=b", "c=d")
	hasOnly(t, h, "Authorization", "Bearer x")
	hasOnly(t, h, "Accept-Encoding", "gzip, br")
	hasOnly(t, h, "Host", "chat.example.com")
}

// Connection cannot take off what the node goes by.
func TestConnectionNamesNoOthers(t *testing.T) {
	t.Parallel()
	_, send := echoed(t)
	named := "Host, Content-Length, Cookie, Authorization, Origin, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, " +
		"X-Forwarded-Port, X-Real-IP, Forwarded, Content-Type"
	h := send(request("POST", "/open", "hello", "Connection: "+named, "Cookie: a=b", "Authorization: x", "Origin: https://page.example",
		"Content-Type: text/plain", "Content-Length: 5"))
	for name, want := range map[string]string{
		"Host": "chat.example.com", "Content-Length": "5", "Cookie": "a=b", "Authorization": "x", "Origin": "https://page.example",
		"Content-Type": "text/plain", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": ownScheme, "X-Forwarded-Host": "chat.example.com",
		"X-Real-Ip": "127.0.0.1", "Forwarded": `for=127.0.0.1;host="chat.example.com";proto=` + ownScheme,
	} {
		hasOnly(t, h, name, want)
	}
	h = send(get("/open", "Connection: close, X-Forwarded-For", "X-Forwarded-For: 6.6.6.6"))
	hasOnly(t, h, "X-Forwarded-For", "127.0.0.1")
}

// Programs behind CGI-like interfaces read X_Forwarded_For as X-Forwarded-For.
func TestUnderscoresAreDropped(t *testing.T) {
	t.Parallel()
	_, send := echoed(t, withTrusted("127.0.0.0/8"))
	h := send(get("/open", "X_Forwarded_For: 6.6.6.6", "Content_Length: 5", "X_A: b", "_: c", "Transfer_Encoding: chunked", "X-Good: d"))
	for name := range h {
		if strings.Contains(name, "_") {
			t.Errorf("%s went on", name)
		}
	}
	hasOnly(t, h, "X-Good", "d")
}

const forged = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-FORWARDED-PROTO: https\r\nX-Forwarded-Host: evil.example\r\n" +
	"X-Forwarded-Port: 443\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\nForwarded: for=7.7.7.7\r\n" +
	"X-Forwarded-Server: evil\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-Ssl: on"

// What a stranger says of where it comes from is replaced, in every field of the family.
func TestStrangersAreReplaced(t *testing.T) {
	t.Parallel()
	g, send := echoed(t, withTrusted("10.0.0.0/8", "::1/128"))
	h := send(get("/open", forged))
	hasOnly(t, h, "X-Forwarded-For", "127.0.0.1")
	hasOnly(t, h, "X-Forwarded-Proto", ownScheme)
	hasOnly(t, h, "X-Forwarded-Host", "chat.example.com")
	hasOnly(t, h, "X-Forwarded-Port", g.port)
	hasOnly(t, h, "X-Real-Ip", "127.0.0.1")
	hasOnly(t, h, "Forwarded", `for=127.0.0.1;host="chat.example.com";proto=`+ownScheme)
	hasOnly(t, h, "X-Forwarded-Server")
	hasOnly(t, h, "X-Forwarded-Prefix")
	hasOnly(t, h, "X-Forwarded-Ssl")
}

// What a trusted proxy says is kept, and the proxy itself is appended.
func TestTrustedProxiesAreAppended(t *testing.T) {
	t.Parallel()
	g, send := echoed(t, withTrusted("127.0.0.0/8"))
	h := send(get("/open", forged))
	hasOnly(t, h, "X-Forwarded-For", "6.6.6.6, 7.7.7.7, 127.0.0.1")
	hasOnly(t, h, "X-Forwarded-Proto", "https")
	hasOnly(t, h, "X-Forwarded-Host", "evil.example")
	hasOnly(t, h, "X-Forwarded-Port", "443")
	hasOnly(t, h, "X-Real-Ip", "7.7.7.7") // whoever the proxy heard
	hasOnly(t, h, "Forwarded", `for=6.6.6.6;proto=https, for=7.7.7.7, for=127.0.0.1;host="chat.example.com";proto=`+ownScheme)
	hasOnly(t, h, "X-Forwarded-Prefix", "/evil")

	h = send(get("/open")) // a trusted proxy that says nothing
	hasOnly(t, h, "X-Forwarded-For", "127.0.0.1")
	hasOnly(t, h, "X-Forwarded-Proto", ownScheme)
	hasOnly(t, h, "X-Forwarded-Port", g.port)
}

// An HTTP/1.0 client may have no Host; the node, which is asked in HTTP/1.1, must get one.
func TestOldClientWithoutHost(t *testing.T) {
	t.Parallel()
	_, send := echoed(t)
	h := send("GET /open HTTP/1.0\r\n\r\n")
	if got := h.Get("Host"); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("Host is %q", got)
	}
	hasOnly(t, h, "X-Forwarded-Host")
	hasOnly(t, h, "X-Forwarded-For", "127.0.0.1")
}

// The fields of an answer: those of the node's connection end here, the others pass, repeated ones too.
func TestAnswerFields(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
		c.send(answer(200, "ok", "Connection: keep-alive, X-Hop", "X-Hop: a", "Proxy-Authenticate: Basic", "Upgrade: h2c", "Set-Cookie: a=b",
			"Set-Cookie: c=d", "X-Under_Score: e", "Trailer: X-T", "Server: node", "Date: today", "Strange: caf\xe9"))
	})
	g := startGateway(t, withNodes(n))
	r := raw(t, g.addr, get("/open")).answer()
	for _, gone := range []string{"Connection", "X-Hop", "Proxy-Authenticate", "Upgrade", "Trailer", "Keep-Alive"} {
		hasOnly(t, r.Header, gone)
	}
	hasOnly(t, r.Header, "Set-Cookie", "a=b", "c=d")
	hasOnly(t, r.Header, "Server", "node")
	hasOnly(t, r.Header, "Date", "today")
	hasOnly(t, r.Header, "X-Under_score", "e")
	hasOnly(t, r.Header, "Strange", "caf\xe9")
}

// A handshake's answer has to be read here, so that it must not be compressed; nothing else loses its Accept-Encoding.
func TestAcceptEncoding(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	for target, want := range map[string]int{handshakeTarget: 0, pollTarget(aSID): 1, "/open": 1} {
		before := strings.Count(n.received(), "Accept-Encoding: gzip\r\n")
		raw(t, g.addr, get(target, "Accept-Encoding: gzip")).answer()
		if got := strings.Count(n.received(), "Accept-Encoding: gzip\r\n") - before; got != want {
			t.Errorf("%s: the node received Accept-Encoding %d times", target, got)
		}
	}
}

// Informational answers pass to clients that know them, but for the 100 that was answered here.
func TestInformationalAnswers(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
		c.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: a\r\n\r\n" +
			"HTTP/1.1 102 Processing\r\n\r\n" + answer(200, "ok"))
	})
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	for _, target := range []string{"/open", pollTarget(aSID), handshakeTarget} {
		c := raw(t, g.addr, get(target))
		r := c.start("GET")
		if r.StatusCode != 103 || r.Header.Get("Link") != "</a>" || r.Header.Get("X-Hop") != "" {
			t.Errorf("%s: first %d %v", target, r.StatusCode, r.Header)
		}
		if r := c.start("GET"); r.StatusCode != 102 {
			t.Errorf("%s: then %d", target, r.StatusCode)
		}
		if r := c.answer(); r.StatusCode != 200 || r.Text != "ok" {
			t.Errorf("%s: answered %d %q", target, r.StatusCode, r.Text)
		}
	}
	old := raw(t, g.addr, "GET /open HTTP/1.0\r\n\r\n")
	if r := old.answer(); r.StatusCode != 200 || r.Text != "ok" {
		t.Errorf("HTTP/1.0: answered %d %q", r.StatusCode, r.Text)
	}
}

// Each host's requests go to its own cluster: exact names first come first, then patterns, without regard to case, port
// and final dot.
func TestHosts(t *testing.T) {
	t.Parallel()
	chat, below, other := startNode(t, "chat", nil), startNode(t, "below", nil), startNode(t, "other", nil)
	g := startGateway(t, withCluster("chat.example.com", "/socket.io/", chat), withCluster("*.example.com", "/socket.io/", below),
		withCluster("other.example", "/socket.io/", other))
	for name, want := range map[string]string{
		"chat.example.com": "chat", "CHAT.Example.COM": "chat", "chat.example.com:8080": "chat", "chat.example.com.": "chat",
		"chat.example.com.:80": "chat", "a.example.com": "below", "a.b.example.com": "below", "other.example": "other",
		"example.com": "", ".example.com": "", "xexample.com": "", "chat.example.com.evil.example": "", "127.0.0.1": "", "[::1]": "",
	} {
		c := raw(t, g.addr, "GET /open HTTP/1.1\r\nHost: "+name+"\r\n\r\n")
		r := c.answer()
		if want == "" && r.StatusCode != 404 || want != "" && !strings.HasPrefix(r.Text, want+" ") {
			t.Errorf("%s: answered %d %q", name, r.StatusCode, r.Text)
		}
	}
}

// Clusters on one host are told apart by their Socket.IO paths; all else on it goes to the first one.
func TestPaths(t *testing.T) {
	t.Parallel()
	one, two := startNode(t, "n1", engine(aSID)), startNode(t, "n2", engine("BBBBBBBBBBBBBBBBBBBB"))
	g := startGateway(t, withCluster("", "/socket.io/", one), withCluster("", "/game/socket.io/", two))
	if r := raw(t, g.addr, get(handshakeTarget)).answer(); !strings.Contains(r.Text, aSID) {
		t.Errorf("answered %d %q", r.StatusCode, r.Text)
	}
	raw(t, g.addr, get("/game"+handshakeTarget)).answer()
	if got := two.received(); !strings.HasPrefix(got, "GET /game"+handshakeTarget+" ") {
		t.Errorf("the second cluster received %q", got)
	}
	if r := raw(t, g.addr, get("/game/")).answer(); !strings.HasPrefix(r.Text, "n1 ") {
		t.Errorf("answered %q", r.Text)
	}
	if r := raw(t, g.addr, get(handshakeTarget[:len("/socket.io/")]+"anything"+handshakeTarget[len("/socket.io/"):])).answer(); r.StatusCode != 200 {
		t.Errorf("below the prefix: answered %d %q", r.StatusCode, r.Text)
	}
}

// The access log tells what was asked for and what became of it, and no secret: a sid opens its session to everybody.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	var lines syncBuffer
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n), withAccessLog(slog.New(slog.NewJSONHandler(&lines, nil))))
	g.bind(aSID, n)
	c := dial(t, g.addr)
	for _, target := range []string{handshakeTarget, pollTarget(aSID), pollTarget("unknownunknown"), pollTarget("Qz7"), "/open?secret=x"} {
		c.send(get(target, "Cookie: secret=x"))
		c.answer()
	}
	c.Close()
	eventually(t, "five lines", func() bool { return strings.Count(lines.String(), "\n") == 5 })
	got := lines.String()
	for _, want := range []string{
		`"kind":"handshake"`, `"kind":"poll"`, `"kind":"ordinary"`, `"node":"n1"`, `"cluster":"c1"`, `"status":400`, `"status":200`, `"path":"/open"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	for _, secret := range []string{aSID, "unknownunknown", "Qz7", "secret"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is in %s", secret, got)
		}
	}
}

// syncBuffer may be read while it is written to.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
