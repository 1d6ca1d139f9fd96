package gateway_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

// introduced has each connection begin with a header of the PROXY protocol.
func introduced(o *siteOptions) { o.listen.ProxyProtocol = true }

const (
	headerV1      = "PROXY TCP4 9.9.9.9 10.0.0.1 12345 443\r\n"
	headerOfSeven = headerSign + "\x21\x21\x00\x24\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x30\x39\x01\xbb"
	headerOfTLS   = headerSign + "\x21\x11\x00\x14\x09\x09\x09\x09\x0a\x00\x00\x01\x30\x39\x01\xbb\x20\x00\x05\x01\x00\x00\x00\x00"
	headerLocal   = headerSign + "\x20\x00\x00\x00"
	headerSign    = "\r\n\r\n\x00\r\nQUIT\n" // of version 2
)

// introduce connects and sends a header, all else behind it. Each byte of the header, or all, is a segment of its own.
func introduce(t *testing.T, addr, header, rest string, bytewise bool) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if !encrypted {
		header, rest = header+rest, ""
	}
	for ; bytewise && len(header) > 0; header = header[1:] {
		io.WriteString(conn, header[:1])
	}
	io.WriteString(conn, header)
	w := &wire{TCPConn: conn.(*net.TCPConn)}
	if rest != "" {
		w = clientWire(conn)
		io.WriteString(w, rest)
	}
	return &rawClient{wire: w, t: t, br: bufio.NewReader(w)}
}

// Whom the header names is the client for the node, and what it says of others counts as little as that of any other client. That the
// header comes in pieces, or with the request, makes no difference.
func TestClientByProxyHeader(t *testing.T) {
	t.Parallel()
	heads := make(chan http.Header, 1)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		heads <- r.Header.Clone()
		c.send(answer(200, r.URL.Path))
	})
	g := startGateway(t, withNodes(n), withTrusted("127.0.0.0/8", "10.0.0.0/8"), introduced)
	const other = "X-Forwarded-For: 6.6.6.6"
	host := `;host="chat.example.com";proto=` + ownScheme
	for name, c := range map[string]struct{ header, line, list, ip, port, forwarded, outcome string }{
		"version 1":            {headerV1, "A: b", "9.9.9.9", "9.9.9.9", "443", "for=9.9.9.9" + host, "client"},
		"version 2":            {headerOfSeven, "A: b", "2001:db8::7", "2001:db8::7", "443", `for="[2001:db8::7]"` + host, "client"},
		"the proxy for itself": {headerLocal, "A: b", "127.0.0.1", "127.0.0.1", g.port, "for=127.0.0.1" + host, "local"},
		"unknown":              {"PROXY UNKNOWN\r\n", "A: b", "127.0.0.1", "127.0.0.1", g.port, "for=127.0.0.1" + host, "local"},
		"a stranger's word":    {headerV1, other, "9.9.9.9", "9.9.9.9", "443", "for=9.9.9.9" + host, "client"},
		"another proxy's word": {
			"PROXY TCP4 10.1.2.3 10.0.0.1 12345 443\r\n", other, "6.6.6.6, 10.1.2.3", "6.6.6.6", "443", "for=6.6.6.6" + host + ", for=10.1.2.3", "client",
		},
	} {
		for _, bytewise := range []bool{false, true} {
			before := g.metric("sidway_proxy_headers_total", c.outcome)
			client := introduce(t, g.addr, c.header, get("/", c.line), bytewise)
			if r := client.answer(); r.StatusCode != 200 {
				t.Errorf("%s: answered %d %q", name, r.StatusCode, r.Text)
				continue
			}
			h := <-heads
			hasOnly(t, h, "X-Forwarded-For", c.list)
			hasOnly(t, h, "X-Real-IP", c.ip)
			hasOnly(t, h, "X-Forwarded-Port", c.port)
			hasOnly(t, h, "Forwarded", c.forwarded)
			if got := g.metric("sidway_proxy_headers_total", c.outcome); got != before+1 {
				t.Errorf("%s: counted %v times", name, got-before)
			}
			client.kept()
			if h := <-heads; !strings.HasSuffix(c.list, h.Get("X-Real-IP")) {
				t.Errorf("%s: the next request comes from %s", name, h.Get("X-Real-IP"))
			}
			client.Close()
		}
	}
}

// A header may say that the client speaks TLS with the proxy. Then that is what nodes are told, whatever a stranger says, but for what a
// proxy says that is trusted.
func TestSchemeByProxyHeader(t *testing.T) {
	t.Parallel()
	_, send := echoed(t, withTrusted("127.0.0.0/8", "10.0.0.0/8"), introduced)
	trusted := strings.Replace(headerOfTLS, "\x09\x09\x09\x09", "\x0a\x00\x00\x07", 1)
	for name, c := range map[string]struct{ header, line, proto, port, forwarded string }{
		"TLS":              {headerOfTLS, "A: b", "https", "443", `for=9.9.9.9;host="chat.example.com";proto=https`},
		"a stranger's lie": {headerOfTLS, "X-Forwarded-Proto: http", "https", "443", `for=9.9.9.9;host="chat.example.com";proto=https`},
		"a proxy's word":   {trusted, "X-Forwarded-Proto: http", "http", "80", `for=10.0.0.7;host="chat.example.com";proto=http`},
		"a proxy's client": {
			trusted, "Forwarded: for=8.8.8.8;proto=http", "http", "80", `for=8.8.8.8;proto=http, for=10.0.0.7;host="chat.example.com";proto=https`,
		},
		"a proxy that does not say": {
			trusted, "X-Forwarded-For: 8.8.8.8", "https", "443", `for=8.8.8.8;host="chat.example.com";proto=https, for=10.0.0.7`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := send(get("/", c.line), c.header)
			hasOnly(t, h, "X-Forwarded-Proto", c.proto)
			hasOnly(t, h, "X-Forwarded-Port", c.port)
			hasOnly(t, h, "Forwarded", c.forwarded)
		})
	}
}

// WebSockets and the access log have the header's client, too.
func TestTunnelBehindProxyHeader(t *testing.T) {
	t.Parallel()
	g, _, lines := logged(t, engine(aSID), withTrusted("127.0.0.0/8"), introduced)
	c := introduce(t, g.addr, headerV1, get(upgradeTarget(aSID), asksWebSocket...)+masked("2probe"), false)
	if r := c.start("GET"); r.StatusCode != 101 {
		t.Fatalf("answered %d", r.StatusCode)
	}
	c.Close()
	for _, l := range lines(2) {
		if l.Client != "9.9.9.9" {
			t.Errorf("the log says %+v", l)
		}
	}
}

// What is no header, not from a trusted proxy, or late, ends the connection, and no byte of it reaches a node.
func TestProxyHeadersThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ trusted, begin, outcome string }{
		"from a stranger":   {"10.0.0.0/8", headerV1 + get("/"), "untrusted"},
		"none":              {"127.0.0.0/8", get("/"), "malformed"},
		"TLS":               {"127.0.0.0/8", "\x16\x03\x01\x02\x00\x01\x00", "malformed"},
		"a bad address":     {"127.0.0.0/8", "PROXY TCP4 9.9.9.999 10.0.0.1 1 2\r\n" + get("/"), "malformed"},
		"a bad command":     {"127.0.0.0/8", headerSign + "\x2f\x11\x00\x0cxxxxxxxxxxxx" + get("/"), "malformed"},
		"oversized":         {"127.0.0.0/8", headerSign + "\x21\x11\xff\xff", "malformed"},
		"without an end":    {"127.0.0.0/8", "PROXY TCP4 " + strings.Repeat("1", 100), "malformed"},
		"nothing in time":   {"127.0.0.0/8", "", "late"},
		"a part, in time":   {"127.0.0.0/8", headerV1[:20], "late"},
		"a part of another": {"127.0.0.0/8", headerOfSeven[:14], "late"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log syncBuffer
			n := startNode(t, "n1", func(*nodeConn, *nodeRequest) { t.Error("a request reached the node") })
			g := startGateway(t, withNodes(n), withTrusted(c.trusted), introduced, withLog(slog.New(slog.NewTextHandler(&log, nil))))
			began := time.Now()
			for range 3 {
				introduce(t, g.addr, c.begin, "", false).closed()
				if c.outcome == "late" {
					break
				}
			}
			if took := time.Since(began); c.outcome == "late" && took < time.Second {
				t.Errorf("a header had %v", took)
			}
			if got := g.metric("sidway_proxy_headers_total", c.outcome); got < 1 || got != g.metric("sidway_proxy_headers_total") {
				t.Errorf("%v are counted as %s", got, c.outcome)
			}
			reason := "no_proxy_header"
			if c.outcome == "untrusted" {
				reason = "untrusted_proxy"
			}
			if f := g.Figures()[""].Responses; f[reason] < 1 || len(f) != 1 {
				t.Errorf("the status has %v", f)
			}
			if got := strings.Count(log.String(), "level=WARN"); got != 1 {
				t.Errorf("told %d times:\n%s", got, log.String())
			}
		})
	}
}

// A proxy that leaves before the header is whole is nothing to tell of: that is how balancers see whether a port is open.
func TestProxyThatLeaves(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	g := startGateway(t, withNodes(startNode(t, "n1", nil)), withTrusted("127.0.0.0/8"), introduced, withLog(slog.New(slog.NewTextHandler(&log, nil))))
	for i, part := range []string{"", headerV1[:9], headerV1[:9]} {
		c := introduce(t, g.addr, part, "", false)
		if i == 2 { // a reset
			c.SetLinger(0)
		}
		c.Close()
	}
	eventually(t, "all are gone", func() bool {
		return g.metric("sidway_proxy_headers_total", "cut") == 3 && g.metric("sidway_connections") == 0
	})
	if log.String() != "" {
		t.Errorf("told: %s", log.String())
	}
}

// Whoever may open a Unix socket may say who the client is. The options of a listener may change; connections stay as they began.
func TestProxyHeaderByUnixSocket(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	addresses := make(chan string, 1)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		addresses <- r.Header.Get("X-Real-IP")
		c.send(answer(200, "ok"))
	})
	g := startGateway(t, withNodes(n), introduced, func(o *siteOptions) { o.listener = l })
	ask := func(header string) string {
		t.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, header+get("/", "Connection: close"))
		io.Copy(io.Discard, c)
		return <-addresses
	}
	if got := ask(headerV1); got != "9.9.9.9" {
		t.Errorf("the client is %s", got)
	}
	g.SetListenOptions(l, gateway.ListenOptions{})
	if got := ask(""); got != "unknown" {
		t.Errorf("without the protocol the client is %s", got)
	}
}

// joined writes first before and in one piece with what is written first.
type joined struct {
	net.Conn
	first string
}

func (j *joined) Write(b []byte) (int, error) {
	n := len(b)
	if j.first != "" {
		b, j.first = append([]byte(j.first), b...), ""
	}
	_, err := j.Conn.Write(b)
	return n, err
}

// TLS begins behind the header, be it in the same segment or later.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	t.Parallel()
	addresses := make(chan string, 1)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		addresses <- r.Header.Get("X-Real-IP")
		c.send(answer(200, "ok"))
	})
	g := startGateway(t, withNodes(n), withTrusted("127.0.0.0/8"), introduced, withTLS)
	for name, join := range map[string]bool{"in the same segment": true, "later": false} {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := &joined{conn, headerOfSeven}
		if !join {
			begin.Write(nil)
			eventually(t, "the header is read", func() bool { return g.metric("sidway_proxy_headers_total") >= 1 })
		}
		c := tls.Client(begin, clientTLS)
		io.WriteString(c, get("/", "Connection: close"))
		if said, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(said), "ok") {
			t.Errorf("%s: %q %v", name, said, err)
			continue
		}
		if got := <-addresses; got != "2001:db8::7" {
			t.Errorf("%s: the client is %s", name, got)
		}
	}
}
