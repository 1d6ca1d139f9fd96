package gateway_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway"
	road "github.com/sidway/sidway/gateway/request"
)

// withHeaders changes what the nodes of the cluster that was added last are sent.
func withHeaders(t testing.TB, set []gateway.Header, remove ...string) siteOption {
	t.Helper()
	h, err := gateway.NewHeaders(set, remove)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *siteOptions) { o.routes[len(o.routes)-1].Headers = h }
}

// someHeaders replace what the client and the gateway write, add one, and take two out.
var someHeaders = []gateway.Header{{Name: "X-Env", Value: "prod"}, {Name: "x-forwarded-proto", Value: "https"}, {Name: "X-Empty", Value: ""}, {Name: "X_Blanks", Value: " b \t"}}

// Every request of the route is changed, tunnels' handshakes too, and nothing of what frames it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	heads := make(chan string, 1)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		heads <- r.Head
		engine(aSID)(c, r)
	})
	g := startGateway(t, withNodes(n), withHeaders(t, someHeaders, "X-Debug", "forwarded"))
	g.bind(aSID, n)
	lines := []string{"X-ENV: forged", "x-debug: 1", "X-Debug: 2", "X-Debugger: stays", "X-Env-2: stays", "Cookie: a=X-Env: b"}
	for name, r := range map[string]string{
		"ordinary":  request("PUT", "/x", inChunks("hello", 2), append(lines, chunked)...),
		"handshake": get(handshakeTarget, lines...),
		"poll":      get(pollTarget(aSID), lines...),
		"post":      request("POST", pollTarget(aSID), "4hello", append(lines, lengthOf("4hello"))...),
		"upgrade":   get(upgradeTarget(aSID), append(lines, asksWebSocket...)...),
		"direct":    get(directTarget, append(lines, asksWebSocket...)...),
		"websocket": get("/ws", append(lines, asksWebSocket...)...),
	} {
		c := raw(t, g.addr, r)
		if a := c.start("GET"); a.StatusCode != 200 && a.StatusCode != 101 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
		c.Close()
		head := <-heads
		for line, count := range map[string]int{
			"X-Env: prod": 1, "x-forwarded-proto: https": 1, "X-Empty: ": 1, "X_Blanks: b": 1, "X-Debugger: stays": 1, "X-Env-2: stays": 1, "Cookie: a=X-Env: b": 1,
			"Host: chat.example.com": 1, "X-Forwarded-For: 127.0.0.1": 1, "CDN-Loop: sidway": 1, "X-Forwarded-Proto: http": 0,
		} {
			if strings.Count(head, "\r\n"+line+"\r\n") != count {
				t.Errorf("%s: %q is not there %d times in\n%s", name, line, count, head)
			}
		}
		for _, gone := range []string{"forged", "debug:", "forwarded:"} {
			if strings.Contains(strings.ToLower(head), "\r\n"+gone) || strings.Contains(head, gone) {
				t.Errorf("%s: %q is in\n%s", name, gone, head)
			}
		}
	}
	raw(t, g.addr, request("PUT", "/x", inChunks("hello", 2), chunked)).expect("", 200, "n1 PUT /x hello")
}

// What the gateway itself writes, or what is no header, can be neither set nor removed.
func TestRefusedHeaders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Host", "content-length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect", "Proxy-Connection",
		"HTTP2-Settings", "CDN-Loop", "Sec-WebSocket-Key", "sec-websocket-version", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol",
		"", "X Env", "X-Env:", "X-Env\r\nX-Other", "Content_Length", "Überschrift", ":path",
	} {
		if h, err := gateway.NewHeaders([]gateway.Header{{Name: name, Value: "1"}}, nil); err == nil || h != nil {
			t.Errorf("%q can be set", name)
		}
		if h, err := gateway.NewHeaders(nil, []string{name}); err == nil || h != nil {
			t.Errorf("%q can be removed", name)
		}
	}
	for _, end := range []string{"\r\nX-Other: b", "\nb", "\rb", "\x00b", "\x7f", "\r\n\r\nGET / HTTP/1.1"} {
		_, err := gateway.NewHeaders([]gateway.Header{{Name: "X-Key", Value: "password" + end}}, nil)
		if err == nil || strings.Contains(err.Error(), "password") {
			t.Errorf("a value with %q is taken, or told: %v", end, err)
		}
	}
	if _, err := gateway.NewHeaders([]gateway.Header{{Name: "Accept-Encoding", Value: "gzip"}}, nil); err == nil {
		t.Error("nodes may be asked to compress what has to be read")
	}
	if h, err := gateway.NewHeaders([]gateway.Header{{Name: "X-Umlaut", Value: "ü, \"quoted\"\t1"}}, []string{"Accept-Encoding", "Cookie"}); err != nil || h == nil {
		t.Errorf("refused: %v", err)
	}
	if h, err := gateway.NewHeaders(nil, nil); h != nil || err != nil {
		t.Errorf("of nothing: %v %v", h, err)
	}
}

// Changes cost no allocation; where there are none they cost a comparison.
func TestHeadersAllocateNothing(t *testing.T) {
	h, err := gateway.NewHeaders(someHeaders, []string{"User-Agent", "X-A-Name-Of-More-Than-Thirty-Two-Bytes"})
	if err != nil {
		t.Fatal(err)
	}
	client := road.NewClient(netip.MustParseAddr("127.0.0.1"), 80, nil)
	var x road.Request
	x.Reset(&client)
	if err := x.Req.Parse([]byte(benchPoll)); err != nil {
		t.Fatal(err)
	}
	routes := road.Routes{{Path: "/socket.io/", Headers: h}}
	if _, ok := x.Decode(routes); !ok {
		t.Fatal("refused")
	}
	out := make([]byte, 0, 4<<10)
	if n := testing.AllocsPerRun(100, func() { out = x.AppendRequest(out[:0], "n1") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if strings.Contains(string(out), "User-Agent") || !strings.HasSuffix(string(out), "X-Empty: \r\nX_Blanks: b\r\n\r\n") {
		t.Errorf("the node gets %q", out)
	}
}
