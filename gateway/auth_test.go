package gateway_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/affinity"
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

// untilGate lets everybody in, for so many seconds.
type untilGate int64

func (u untilGate) Judge(*auth.Ask) (auth.Verdict, func() auth.Verdict) {
	return auth.Verdict{Ends: time.Now().Unix() + int64(u)}, nil
}

func (untilGate) Close() {}

// A session ends with its token, whatever it does then, and at each replica: the waiting poll gets the close packet, so do later
// ones, and a WebSocket ends as by a drain.
func TestASessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	store := affinity.NewMemory(100)
	replica := func(node *engineiotest.Node) *site {
		return startGateway(t, withEngines(node), withStore(store), withAuth(&gateway.Auth{Gate: untilGate(2)}))
	}
	node := engineiotest.Start(t, engineiotest.Options{})
	one, two := replica(node), replica(node)
	for version, packet := range map[string]string{"EIO=4": "1", "EIO=3": "1:1"} {
		polling, socket := "/socket.io/?"+version+"&transport=polling", "/socket.io/?"+version+"&transport=websocket"
		direct := dial(t, one.addr)
		direct.websocket(socket)
		direct.message()
		made := dial(t, one.addr)
		moved := made.handshake(polling)
		upgraded := dial(t, two.addr)
		upgraded.websocket(socket + "&sid=" + moved)
		upgraded.send(masked("2probe"))
		upgraded.message()
		sid := made.handshake(polling)
		began := time.Now()
		dial(t, two.addr).expect(get(polling+"&sid="+sid), 200, packet)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the poll was answered after %v", took)
		}
		node.WaitUntil("the node has ended the session", func() bool { return node.Ended(sid) != "" })
		direct.ended()
		upgraded.ended()
		eventually(t, "the binding is gone", func() bool {
			_, err := store.Lookup(t.Context(), sid)
			return err != nil
		})
		// of the session that moved, the binding is still there
		c := dial(t, one.addr)
		c.expect(request("OPTIONS", polling+"&sid="+moved, "", "Access-Control-Request-Method: GET", "Origin: https://a.example.com"), 204, "")
		w := dial(t, one.addr)
		w.send(get(socket+"&sid="+moved, asksWebSocket...))
		if r := w.answer(); r.StatusCode != 400 || r.Text != "Session ID unknown" {
			t.Errorf("an upgrade got %d %s", r.StatusCode, r.Text)
		}
	}
	eventually(t, "the tunnels are told of", func() bool {
		return one.metric("sidway_tunnels_ended_total", "token_expired") == 2 && two.metric("sidway_tunnels_ended_total", "token_expired") == 2
	})
	if n := two.metric("sidway_local_responses_total", "token_expired"); n != 2 {
		t.Errorf("%v polls were ended", n)
	}
}

// A POST after the end gets what nodes say of a session that is no more, and so does a poll after that.
func TestAPostAfterTheEnd(t *testing.T) {
	t.Parallel()
	node := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node))
	c := dial(t, s.addr)
	for _, ended := range []bool{false, true} {
		sid := c.handshake(handshakeTarget)
		b, err := s.store.Lookup(t.Context(), sid)
		if err != nil {
			t.Fatal(err)
		}
		if b.Ends = time.Now().Unix() + 3600; ended {
			b.Ends = time.Now().Unix()
		}
		s.bindAs(sid, b)
		if !ended {
			c.expect(post(sid, "4hi"), 200, "ok")
			c.expect(get(pollTarget(sid)), 200, "4hi")
			continue
		}
		before := len(node.Requests())
		c.expect(post(sid, "4hi"), 400, `{"code":1,"message":"Session ID unknown"}`)
		if n := len(node.Requests()); n != before {
			t.Error("the node got a POST of a session that is over")
		}
		if n := s.sessions()["n1"]; n != 1 {
			t.Errorf("%d sessions are counted, one lives", n)
		}
		c.expect(get(pollTarget(sid)), 400, `{"code":1,"message":"Session ID unknown"}`)
	}
}
