package gateway_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/jwk"
)

// issuer makes tokens, by a secret whose verdict is there at once and by a key whose signatures are verified off the loop.
type issuer struct {
	t       testing.TB
	secret  []byte
	private ed25519.PrivateKey
	keys    []jwk.Key
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(public)
	i := &issuer{t: t, secret: []byte("a-shared-secret-of-32-bytes-or-more"), private: private}
	if i.keys, err = jwk.Parse(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))); err != nil {
		t.Fatal(err)
	}
	k, err := jwk.Secret(string(i.secret))
	if err != nil {
		t.Fatal(err)
	}
	i.keys = append(i.keys, k)
	return i
}

// token is one for sub that ends at a time, if that is not zero.
func (i *issuer) token(method jwt.SigningMethod, sub string, ends time.Time) string {
	i.t.Helper()
	claims := jwt.MapClaims{"sub": sub}
	if !ends.IsZero() {
		claims["exp"] = ends.Unix()
	}
	var key any = i.secret
	if method == jwt.SigningMethodEdDSA {
		key = i.private
	}
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// rule has tokens looked for in these places; X-User is the claim sub.
func (i *issuer) rule(places ...string) *gateway.Auth {
	i.t.Helper()
	a := &gateway.Auth{Strip: true, Fields: []string{"X-User"}, Gate: auth.NewJWT(auth.JWTOptions{
		Keys: i.keys, Required: true, Claims: []auth.Claim{{Name: "sub", Header: "X-User"}},
	})}
	for _, text := range places {
		p, err := gateway.ParseTokenPlace(text)
		if err != nil {
			i.t.Fatal(err)
		}
		a.From = append(a.From, p)
	}
	return a
}

// withAuth gives the clusters that were added so far this rule.
func withAuth(a *gateway.Auth) siteOption {
	return func(o *siteOptions) {
		for n := range o.routes {
			o.routes[n].Auth = a
		}
	}
}

var methods = map[string]jwt.SigningMethod{"at once": jwt.SigningMethodHS256, "off the loop": jwt.SigningMethodEdDSA}

func TestATokenLetsIn(t *testing.T) {
	t.Parallel()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, log, node := newIssuer(t), &syncBuffer{}, engineiotest.Start(t, engineiotest.Options{})
			s := startGateway(t, withEngines(node), withAuth(i.rule("header:Authorization", "query:token", "cookie:jwt", "protocol")),
				withAccessLog(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
			token := i.token(method, "me", time.Now().Add(time.Hour))
			for _, version := range []string{"EIO=4", "EIO=3"} {
				polling, direct := "/socket.io/?"+version+"&transport=polling", "/socket.io/?"+version+"&transport=websocket"
				for _, way := range []struct{ query, line string }{
					{"", "Authorization: Bearer " + token}, {"&token=" + token, "X-User: root"}, {"", "Cookie: a=b; jwt=" + token},
				} {
					c := dial(t, s.addr)
					c.send(get(polling+way.query, way.line, "X-USER: root"))
					r := c.answer()
					if r.StatusCode != 200 {
						t.Fatalf("%v: %d %s", way, r.StatusCode, r.Text)
					}
					w := dial(t, s.addr)
					w.send(get(direct+way.query, append([]string{way.line, "x-user: root"}, asksWebSocket...)...))
					if r := w.start("GET"); r.StatusCode != 101 {
						t.Fatalf("%v: the WebSocket got %d", way, r.StatusCode)
					}
				}
				w := dial(t, s.addr)
				w.send(get(direct, append([]string{"Sec-WebSocket-Protocol: " + token}, asksWebSocket...)...))
				if r := w.start("GET"); r.StatusCode != 101 || r.Header.Get("Sec-WebSocket-Protocol") != token {
					t.Fatalf("a browser that offers the token alone got %d %q", r.StatusCode, r.Header.Get("Sec-WebSocket-Protocol"))
				}
			}
			requests := node.Requests()
			if len(requests) != 14 {
				t.Errorf("the node got %d requests", len(requests))
			}
			for _, r := range requests {
				if strings.Contains(r.Target, "token") || r.Header.Get("Sec-WebSocket-Protocol") != "" {
					t.Errorf("the node got a token: %s %v", r.Target, r.Header)
				}
				if got := r.Header.Values("X-User"); len(got) != 1 || got[0] != "me" {
					t.Errorf("the node got %q", got)
				}
			}
			if n := s.metric("sidway_auth_verdicts_total", "c1", "granted"); n != 14 {
				t.Errorf("%v were let in", n)
			}
			s.Close()
			for secret := range strings.SplitSeq(token, ".") {
				if strings.Contains(log.String(), secret) {
					t.Errorf("the log has a token: %s", log)
				}
			}
		})
	}
}

func TestWithoutATokenNothingReachesTheNode(t *testing.T) {
	t.Parallel()
	i, log, node := newIssuer(t), &syncBuffer{}, engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.rule("header:Authorization", "query:token")), withLog(slog.New(slog.NewTextHandler(log, nil))))
	good := i.token(jwt.SigningMethodEdDSA, "me", time.Time{})
	for reason, token := range map[string]string{
		"missing":   "",
		"expired":   i.token(jwt.SigningMethodEdDSA, "me", time.Now().Add(-time.Minute)),
		"signature": good[:len(good)-4] + "AAAA",
		"claims":    i.token(jwt.SigningMethodHS256, "me\r\nX-Admin: 1", time.Time{}),
	} {
		line := "Authorization: Bearer " + token
		for _, version := range []string{"EIO=4", "EIO=3"} {
			for range 2 { // the connection goes on
				c := dial(t, s.addr)
				c.send(get("/socket.io/?"+version+"&transport=polling", line, "Origin: https://page.example.com"))
				r := c.answer()
				if r.StatusCode != 403 || r.Text != `{"code":4,"message":"Forbidden"}` || r.Header.Get("Access-Control-Allow-Origin") != "https://page.example.com" || r.Close {
					t.Errorf("%s: %d %s %v", reason, r.StatusCode, r.Text, r.Header)
				}
			}
			w := dial(t, s.addr)
			w.send(get("/socket.io/?"+version+"&transport=websocket&token="+token, asksWebSocket...))
			if r := w.answer(); r.StatusCode != 400 || r.Text != "Forbidden" {
				t.Errorf("%s: the WebSocket got %d %s", reason, r.StatusCode, r.Text)
			}
		}
		if n := s.metric("sidway_auth_verdicts_total", "c1", reason); n != 6 {
			t.Errorf("%v were refused as %s", n, reason)
		}
		if n := strings.Count(log.String(), "reason="+reason); n != 1 {
			t.Errorf("%s is told %d times: %s", reason, n, log)
		}
		if token != "" && strings.Contains(log.String(), token[strings.IndexByte(token, '.'):]) {
			t.Errorf("the log has a token: %s", log)
		}
	}
	if n := s.metric("sidway_local_responses_total", "c1", "forbidden"); n != 24 {
		t.Errorf("%v were answered here", n)
	}
	if n := len(node.Requests()); n != 0 {
		t.Errorf("the node got %d requests", n)
	}
	// A preflight has no token, and other paths need none; yet nobody is somebody there.
	dial(t, s.addr).ask(request("OPTIONS", handshakeTarget, "", "Origin: https://page.example.com", "Access-Control-Request-Method: GET"))
	dial(t, s.addr).ask(get("/profile?token=x", "X-User: root", "Authorization: Basic x"))
	requests := node.Requests()
	if len(requests) != 2 || requests[1].Target != "/profile?token=x" || requests[1].Header.Get("X-User") != "" || requests[1].Header.Get("Authorization") == "" {
		t.Errorf("the node got %+v", requests)
	}
}

// Of two lines that say who asks, this process and a node could each believe another.
func TestWhoAsksStandsThereOnce(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.rule("header:Authorization", "header:X-Token")), withRoute(func(r *gateway.Route) {
		r.Origins = []string{"https://a.example"}
	}))
	token := i.token(jwt.SigningMethodHS256, "me", time.Time{})
	good := "Authorization: Bearer " + token
	for _, lines := range [][]string{
		{good, good},
		{good, "authorization: Bearer x"},
		{"Authorization: Basic x", good},
		{"X-Token: " + token, "x-token: x"},
		{good, "Origin: https://a.example", "Origin: https://b.example"},
	} {
		dial(t, s.addr).expect(get(handshakeTarget, lines...), 400, `{"code":3,"message":"Bad request"}`)
		w := dial(t, s.addr)
		w.send(get(directTarget, append(lines, asksWebSocket...)...))
		if r := w.answer(); r.StatusCode != 400 {
			t.Errorf("%v: the WebSocket got %d", lines, r.StatusCode)
		}
	}
	w := dial(t, s.addr)
	w.send(get("/other", append([]string{"Origin: https://a.example", "Origin: https://b.example"}, asksWebSocket...)...))
	if r := w.answer(); r.StatusCode != 403 {
		t.Errorf("another WebSocket with two origins got %d %s", r.StatusCode, r.Text)
	}
	if n := len(node.Requests()); n != 0 {
		t.Errorf("the node got %d requests", n)
	}
	dial(t, s.addr).ask(get(handshakeTarget, good, "Origin: https://a.example"))
	if n := len(node.Requests()); n != 1 {
		t.Errorf("the node got %d requests", n)
	}
}

// A session that was let in polls on without its token, and upgrades so; a token that an upgrade brings must be good.
func TestASessionIsNotJudgedAgain(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.rule("query:token")))
	good, bad := i.token(jwt.SigningMethodEdDSA, "me", time.Time{}), i.token(jwt.SigningMethodHS256, "me", time.Now().Add(-time.Minute))
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget + "&token=" + good)
	c.expect(post(sid, "4hi"), 200, "ok")
	c.expect(get(pollTarget(sid)+"&token="+bad, "X-User: root"), 200, "4hi")
	w := dial(t, s.addr)
	w.send(get(upgradeTarget(sid)+"&token="+bad, asksWebSocket...))
	if r := w.answer(); r.StatusCode != 400 || r.Text != "Forbidden" {
		t.Errorf("an upgrade with a bad token got %d %s", r.StatusCode, r.Text)
	}
	for _, more := range []string{"", "&token=" + good} {
		w := dial(t, s.addr)
		w.websocket(upgradeTarget(sid) + more)
		w.send(masked("2probe"))
		if got := w.message(); got != "3probe" {
			t.Errorf("the probe got %q", got)
		}
		w.Close()
		eventually(t, "the tunnel has ended", func() bool { return s.metric("sidway_tunnels", "c1") == 0 })
	}
	for _, r := range node.Requests() {
		if strings.Contains(r.Target, "token") || r.Header.Get("X-User") == "root" {
			t.Errorf("the node got %s %v", r.Target, r.Header)
		}
	}
	if n := s.metric("sidway_auth_verdicts_total"); n != 3 {
		t.Errorf("judged %v times", n)
	}
}

// A server that is asked decides, and what it says of a client goes to the node. Sessions go on while it hangs.
func TestAServerDecides(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.Header.Get("Authorization") {
		case "Bearer good":
			w.Header().Set("X-User", "me")
		case "Bearer slow":
			<-hang
			w.WriteHeader(500)
		default:
			w.WriteHeader(401)
		}
	}))
	t.Cleanup(server.Close)
	gate := auth.NewForward(auth.ForwardOptions{URL: server.URL, Headers: []string{"Authorization"}, Copy: []string{"X-User"}, Timeout: patience})
	t.Cleanup(gate.Close)
	node := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(&gateway.Auth{Gate: gate, Fields: []string{"X-User"}}))
	c := dial(t, s.addr)
	c.send(get(handshakeTarget, "Authorization: Bearer good", "X-User: root"))
	r := c.answer()
	sid := sidInPacket.FindStringSubmatch(r.Text)
	if sid == nil {
		t.Fatalf("%d %s", r.StatusCode, r.Text)
	}
	direct := dial(t, s.addr)
	direct.send(get(directTarget, append([]string{"Authorization: Bearer good"}, asksWebSocket...)...))
	if r := direct.start("GET"); r.StatusCode != 101 {
		t.Fatalf("the WebSocket got %d", r.StatusCode)
	}
	direct.message()
	for _, q := range node.Requests() {
		if got := q.Header.Values("X-User"); len(got) != 1 || got[0] != "me" {
			t.Errorf("the node got %q", got)
		}
	}
	dial(t, s.addr).expect(get(handshakeTarget, "Authorization: Bearer bad"), 403, `{"code":4,"message":"Forbidden"}`)
	var waiting []*rawClient
	for n := range 100 {
		w := dial(t, s.addr)
		w.send(get(handshakeTarget+"&n="+strconv.Itoa(n), "Authorization: Bearer slow", "Origin: https://page.example.com"))
		waiting = append(waiting, w)
	}
	dial(t, s.addr).expect(get("/profile", "Authorization: Bearer slow"), 200, "GET /profile\n")
	c.expect(post(sid[1], "4hi"), 200, "ok")
	c.expect(get(pollTarget(sid[1])), 200, "4hi")
	direct.send(masked("4hi"))
	if got := direct.message(); got != "4hi" {
		t.Errorf("a WebSocket: %q", got)
	}
	upgrade := dial(t, s.addr)
	upgrade.websocket(upgradeTarget(sid[1])) // with no credentials
	upgrade.send(masked("2probe"))
	if got := upgrade.message(); got != "3probe" {
		t.Errorf("the probe got %q", got)
	}
	close(hang)
	for _, w := range waiting {
		r := w.answer()
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || r.Header.Get("Access-Control-Allow-Origin") == "" {
			t.Fatalf("got %d %v", r.StatusCode, r.Header)
		}
	}
	for outcome, want := range map[string]float64{"granted": 2, "denied": 1, "unreachable": 100} {
		if n := s.metric("sidway_auth_verdicts_total", "c1", outcome); n != want {
			t.Errorf("%v %s, want %v", n, outcome, want)
		}
	}
}

// The server judges all lines of a field, as the node reads them, and its verdict holds for no other lines.
func TestAServerIsToldAllLines(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Cookie") != "theme=dark; session=mine" || len(q.Header["Cookie"]) != 1 || q.Header.Get("X-Tenant") != "mine" {
			w.WriteHeader(403)
		}
	}))
	t.Cleanup(server.Close)
	gate := auth.NewForward(auth.ForwardOptions{URL: server.URL, Headers: []string{"Cookie", "X-Tenant"}, Timeout: patience, Cache: time.Hour})
	t.Cleanup(gate.Close)
	s := startGateway(t, withEngines(engineiotest.Start(t, engineiotest.Options{})), withAuth(&gateway.Auth{Gate: gate}))
	for _, c := range []struct {
		status int
		lines  []string
	}{
		{200, []string{"Cookie: theme=dark", "Cookie: session=mine", "X-Tenant: mine"}},
		{403, []string{"Cookie: theme=dark", "Cookie: session=mine", "Cookie: session=theirs", "X-Tenant: mine"}},
		{403, []string{"Cookie: theme=dark", "Cookie: session=mine", "X-Tenant: mine", "X-Tenant: theirs"}},
	} {
		if status, body := dial(t, s.addr).ask(get(handshakeTarget, c.lines...)); status != c.status {
			t.Errorf("%q: %d %s", c.lines, status, body)
		}
	}
}

// A client that leaves while it is judged leaves nothing behind.
func TestAClientLeavesWhileItIsJudged(t *testing.T) {
	t.Parallel()
	asked, hang := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-hang }))
	t.Cleanup(server.Close)
	gate := auth.NewForward(auth.ForwardOptions{URL: server.URL, Timeout: patience})
	t.Cleanup(gate.Close)
	node := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(&gateway.Auth{Gate: gate}))
	c := raw(t, s.addr, get(handshakeTarget))
	<-asked
	c.Close()
	eventually(t, "the connection is gone", func() bool { return s.metric("sidway_connections") == 0 })
	close(hang)
	s.Close()
	if n := len(node.Requests()); n != 0 {
		t.Errorf("the node got %d requests", n)
	}
}
