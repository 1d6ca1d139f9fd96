package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
)

// engines starts n nodes.
func engines(t testing.TB, n int, o engineiotest.Options) []*engineiotest.Node {
	t.Helper()
	var all []*engineiotest.Node
	for range n {
		all = append(all, engineiotest.Start(t, o))
	}
	return all
}

func TestSessionStaysOnItsNodeThroughAnyReplica(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ query, hello, echo, wrap string }{
		"EIO 4":       {"EIO=4&transport=polling", "4hello", "4hello", "%s"},
		"EIO 3":       {"EIO=3&transport=polling&b64=1", "6:4hello", "6:4hello", "%s"},
		"no EIO":      {"transport=polling&b64=1", "6:4hello", "6:4hello", "%s"},
		"JSONP EIO 4": {"EIO=4&transport=polling&j=7", "d=4hello", "4hello", `___eio[7]("%s");`},
		"JSONP EIO 3": {"EIO=3&transport=polling&j=0", "d=6%3A4hello", "6:4hello", `___eio[0]("%s");`},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, store := engines(t, 3, engineiotest.Options{}), affinity.NewMemory(100)
			a := startGateway(t, withStore(store), withEngines(nodes...))
			b := startGateway(t, withStore(store), withEngines(nodes...))
			for range 9 {
				target := "/socket.io/?" + tt.query
				sid := dial(t, a.addr).handshake(target)
				form := "Content-Type: text/plain"
				if strings.HasPrefix(tt.hello, "d=") {
					form = "Content-Type: application/x-www-form-urlencoded"
				}
				through := dial(t, b.addr)
				through.expect(request("POST", target+"&sid="+sid, tt.hello, form, fmt.Sprintf("Content-Length: %d", len(tt.hello))), 200, "ok")
				through.expect(get(target+"&sid="+sid), 200, fmt.Sprintf(tt.wrap, tt.echo))
			}
			if got := a.sessions(); got["n1"] != 3 || got["n2"] != 3 || got["n3"] != 3 {
				t.Errorf("sessions: %v", got)
			}
		})
	}
}

func TestUpgradeReachesTheSessionsNode(t *testing.T) {
	t.Parallel()
	nodes, store := engines(t, 3, engineiotest.Options{}), affinity.NewMemory(100)
	a := startGateway(t, withStore(store), withEngines(nodes...))
	b := startGateway(t, withStore(store), withEngines(nodes...))
	for range 6 {
		sid := dial(t, a.addr).handshake(handshakeTarget)
		ws := dial(t, b.addr)
		ws.send(get(upgradeTarget(sid), asksWebSocket...) + masked("2probe")) // sent early: it waits for the 101
		if r := ws.start("GET"); r.StatusCode != 101 || r.Header.Get("Sec-WebSocket-Accept") != socketAccept {
			t.Fatalf("%d %v", r.StatusCode, r.Header)
		}
		if got := ws.message(); got != "3probe" {
			t.Fatalf("%q", got)
		}
		ws.send(masked("5") + masked("4over the tunnel"))
		if got := ws.message(); got != "4over the tunnel" {
			t.Fatalf("%q", got)
		}
	}
}

func TestDirectConnect(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withEngines(engines(t, 2, engineiotest.Options{})...))
	var open []*rawClient
	for range 10 {
		c := dial(t, s.addr)
		c.websocket(directTarget)
		if got := c.message(); !strings.HasPrefix(got, `0{"sid":"`) {
			t.Fatalf("%q", got)
		}
		c.send(masked("4hello"))
		if got := c.message(); got != "4hello" {
			t.Fatalf("%q", got)
		}
		open = append(open, c)
	}
	if got := s.sessions(); got["n1"] != 5 || got["n2"] != 5 {
		t.Errorf("sessions: %v", got)
	}
	for _, c := range open {
		c.Close()
	}
	eventually(t, "sessions end with their tunnels", func() bool { return s.sessions()["n1"]+s.sessions()["n2"] == 0 })
}

func TestSharesOfAThousandSessions(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withEngines(engines(t, 4, engineiotest.Options{})...))
	c := dial(t, s.addr)
	for range 1000 {
		c.handshake(handshakeTarget)
	}
	for name, n := range s.sessions() {
		if n != 250 {
			t.Errorf("%s has %d of 1,000 sessions", name, n)
		}
	}
}

func TestAnswersForSessionsWithoutANode(t *testing.T) {
	t.Parallel()
	gone := startNode(t, "gone", nil)
	s := startGateway(t, withNodes(gone))
	gone.stop()
	const sid, unknown = "AAAAAAAAAAAAAAAAAAAA", `{"code":1,"message":"Session ID unknown"}`
	s.bind(sid, gone)
	b := sessionOn(gone)
	b.Version = 3
	s.bindAs("old", b)
	ws := asksWebSocket
	for _, tt := range []struct {
		name, request string
		status        int
		body          string
	}{
		{"poll, gone", get(pollTarget(sid), "Origin: http://a.example"), 200, "1"},
		{"poll, gone, EIO 3", get("/socket.io/?EIO=3&transport=polling&sid=old", "Origin: http://a.example"), 200, "1:1"},
		{"poll, gone, JSONP", get("/socket.io/?EIO=4&transport=polling&j=3&sid="+sid, "Origin: http://a.example"), 200, `___eio[3]("1");`},
		{"POST, gone", request("POST", pollTarget(sid), "4x", "Origin: http://a.example", "Content-Length: 2"), 400, unknown},
		{"upgrade, gone", get(upgradeTarget(sid), append(ws, "Origin: http://a.example")...), 400, "Session ID unknown"},
		{"preflight, gone", request("OPTIONS", pollTarget(sid), "", "Origin: http://a.example", "Access-Control-Request-Method: POST"), 204, ""},
		{"poll, unknown", get(pollTarget("nobody"), "Origin: http://a.example"), 400, unknown},
		{"POST, unknown", request("POST", pollTarget("nobody"), "4x", "Origin: http://a.example", "Content-Length: 2"), 400, unknown},
		{"upgrade, unknown", get(upgradeTarget("nobody"), append(ws, "Origin: http://a.example")...), 400, "Session ID unknown"},
		{"preflight, unknown", request("OPTIONS", pollTarget("nobody"), "", "Origin: http://a.example", "Access-Control-Request-Method: POST"), 204, ""},
	} {
		c := raw(t, s.addr, tt.request)
		method, _, _ := strings.Cut(tt.request, " ")
		r := c.answerTo(method)
		if r.StatusCode != tt.status || r.Text != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.name, r.StatusCode, r.Text, tt.status, tt.body)
		}
		if r.Header.Get("Access-Control-Allow-Origin") != "http://a.example" || r.Header.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s: a browser would hide the answer: %v", tt.name, r.Header)
		}
	}
	if n := s.metric("sidway_local_responses_total", "session_gone"); n != 6 {
		t.Errorf("%v answers for want of the session's node", n)
	}
}

func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	// The node reads the request and dies: whether it acted on it, nobody knows.
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) { c.reset() })
	other := startNode(t, "n2", nil)
	s := startGateway(t, withNodes(n, other))
	s.bind("sid1", n)
	raw(t, s.addr, get(pollTarget("sid1"))).expect("", 200, "1")
	status, _ := raw(t, s.addr, post("sid1", "4x")).ask("")
	if status != 400 {
		t.Errorf("the POST got %d", status)
	}
	status, _ = raw(t, s.addr, get("/page")).ask("")
	if status != 502 && status != 200 { // an ordinary request may have gone to the other node first
		t.Errorf("the page got %d", status)
	}
	if got := strings.Count(n.received(), "sid=sid1"); got != 2 {
		t.Errorf("the node received %d requests of the session, want 2", got)
	}
	if got := strings.Count(other.received(), "sid=sid1"); got != 0 {
		t.Errorf("another node received %d requests of the session", got)
	}
	if got := strings.Count(n.received()+other.received(), "GET /page"); got != 1 {
		t.Errorf("the nodes received the page's request %d times", got)
	}
}

func TestPostTakesNoDoubtfulConnection(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine("sid1"))
	s := startGateway(t, withNodes(n))
	s.bind("sid1", n)
	c := raw(t, s.addr, get(pollTarget("sid1")))
	c.expect("", 200, "6")
	n.conn(0).cut() // the node closes its kept connection; the gateway has not looked at it since
	<-n.conn(0).gone
	for i := range 20 {
		c.expect(post("sid1", fmt.Sprintf("4message %d", i)), 200, "ok")
	}
	if got := strings.Count(n.received(), "POST "); got != 20 {
		t.Errorf("the node received %d POSTs, want 20", got)
	}
}

func TestBindingIsRenewedWhenDue(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine("sid1"))
	w := &wrapStore{Store: affinity.NewMemory(10)}
	s := startGateway(t, withStore(w), withNodes(n))
	s.bind("sid1", n)
	c := dial(t, s.addr)
	c.expect(get(pollTarget("sid1")), 200, "6")
	if binds, _ := w.counts(); binds != 1 {
		t.Fatalf("%d writes for a fresh binding, want the first alone", binds)
	}
	w.onLookup = func(b *affinity.Binding) { b.Expires = time.Now().Add(b.TTL() / 2) }
	c.expect(get(pollTarget("sid1")), 200, "6")
	if binds, _ := w.counts(); binds != 2 {
		t.Errorf("%d writes for a binding in its second half, want one more", binds)
	}
	up := dial(t, s.addr)
	up.websocket(upgradeTarget("sid1"))
	if binds, _ := w.counts(); binds != 2 {
		t.Errorf("an upgrade wrote the binding")
	}
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine("sid1"))
	w := &wrapStore{Store: affinity.NewMemory(10)}
	s := startGateway(t, withStore(w), withNodes(n), withLimits(func(l *gateway.Limits) { l.QueueTime = time.Second }))
	w.set(true)

	if sid := dial(t, s.addr).handshake(handshakeTarget); sid != "sid1" {
		t.Errorf("a handshake without the store made %q", sid)
	}
	r := raw(t, s.addr, get(pollTarget("unlike"), "Origin: http://a.example")).answer()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || r.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("after the hold: %d %v", r.StatusCode, r.Header)
	}

	if err := w.Store.Bind(t.Context(), "another", sessionOn(n)); err != nil {
		t.Fatal(err)
	}
	held := raw(t, s.addr, get(pollTarget("another")))
	_, before := w.counts()
	eventually(t, "the request looks again", func() bool { _, n := w.counts(); return n > before+2 })
	w.set(false)
	held.expect("", 200, "6")
	if n := s.metric("sidway_local_responses_total", "store_away"); n != 1 {
		t.Errorf("%v answers for want of the store, want 1", n)
	}
}

func TestBodyLimitIsLearned(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine("sid1"))
	s := startGateway(t, withNodes(n))
	b := sessionOn(n)
	for _, tt := range []struct {
		name, query string
		announced   int64
		length      int
		status      int
	}{
		{"announced, fits", "EIO=4&transport=polling", 200_000, 200_000, 200},
		{"announced, too long", "EIO=4&transport=polling", 200_000, 200_001, 413},
		{"not announced", "EIO=4&transport=polling", 0, 1_000_001, 413},
		{"EIO 3 fits", "EIO=3&transport=polling", 0, 5_000_000, 200},
		{"EIO 3 too long", "EIO=3&transport=polling", 0, 10_000_001, 413},
		{"JSONP is encoded", "EIO=4&transport=polling&j=1", 100_000, 300_000, 200},
	} {
		b.Version, b.MaxPayload = 4, tt.announced
		if strings.HasPrefix(tt.query, "EIO=3") {
			b.Version = 3
		}
		s.bindAs("sid1", b)
		head := map[bool]string{true: fmt.Sprint(tt.length-8, ":"), false: "d="}[b.Version == 3] // of the packet, or JSONP's one field
		body := head + strings.Repeat("4", tt.length-len(head))
		target := "/socket.io/?" + tt.query + "&sid=sid1"
		if status, text := dial(t, s.addr).ask(request("POST", target, body, fmt.Sprintf("Content-Length: %d", tt.length))); status != tt.status {
			t.Errorf("%s: %d %q, want %d", tt.name, status, text, tt.status)
		}
		chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", tt.length, body)
		if status, text := dial(t, s.addr).ask(request("POST", target, chunked, "Transfer-Encoding: chunked")); status != tt.status {
			t.Errorf("%s, chunked: %d %q, want %d", tt.name, status, text, tt.status)
		}
	}
}
