package gateway_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/auth"
)

// connectRule has tokens looked for in CONNECT too.
func (i *issuer) connectRule(places ...string) *gateway.Auth {
	i.t.Helper()
	a := i.rule(places...)
	a.Connect = "token"
	return a
}

// withProofTime changes how long polls wait for a proof.
func withProofTime(d time.Duration) siteOption { return func(o *siteOptions) { o.proofTime = d } }

// connectBy is a CONNECT with a token.
func connectBy(token string) string { return fmt.Sprintf(`40{"token":"%s"}`, token) }

const forbiddenConnect = `44{"message":"Forbidden","data":{"code":4}}`

// polls answers a poll that is sent now, and returns its answer later.
func polls(t *testing.T, s *site, target string) (answer func() (status int, text string)) {
	t.Helper()
	c := dial(t, s.addr)
	c.send(get(target))
	return func() (int, string) {
		t.Helper()
		r := c.answer()
		return r.StatusCode, r.Text
	}
}

// saw returns how many polls, POSTs and upgrades a node was asked, handshakes apart.
func saw(node *engineiotest.Node) (n int) {
	for _, r := range node.Requests() {
		if strings.Contains(r.Target, "sid=") {
			n++
		}
	}
	return n
}

// A session that begins without a token is kept from its node until a CONNECT brings one, whichever replicas its requests come to.
func TestACONNECTLetsIn(t *testing.T) {
	t.Parallel()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, log, node := newIssuer(t), &syncBuffer{}, engineiotest.Start(t, engineiotest.Options{})
			server := affinitytest.StartRedis(t)
			replica := func() *site {
				return startGateway(t, withEngines(node), withStore(shareStore(t, server)), withAuth(i.connectRule("query:token")),
					withAccessLog(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
			}
			one, two := replica(), replica()
			good, bad := i.token(method, "me", time.Now().Add(time.Hour)), i.token(method, "me", time.Now().Add(-time.Hour))
			c := dial(t, one.addr)
			sid := c.handshake(handshakeTarget)
			poll := polls(t, two, pollTarget(sid))
			c.expect(post(sid, connectBy(bad)), 200, "ok")
			if status, text := poll(); status != 200 || text != forbiddenConnect {
				t.Errorf("the poll got %d %s", status, text)
			}
			poll = polls(t, two, pollTarget(sid))
			upgrade := dial(t, two.addr)
			upgrade.send(get(upgradeTarget(sid), asksWebSocket...))
			if n := saw(node); n != 0 {
				t.Errorf("the node got %d requests of an unproven session", n)
			}
			c.expect(post(sid, connectBy("Bearer "+good)), 200, "ok")
			if status, text := poll(); status != 200 || text != connectBy("Bearer "+good) {
				t.Errorf("the poll got %d %s", status, text)
			}
			if r := upgrade.start("GET"); r.StatusCode != 101 {
				t.Errorf("the upgrade got %d", r.StatusCode)
			}
			upgrade.Close()
			dial(t, two.addr).expect(post(sid, `42["x"]`), 200, "ok")
			c.expect(get(pollTarget(sid)), 200, `42["x"]`)
			dial(t, two.addr).expect(post(sid, `40/admin,{"token":"of its own"}`), 200, "ok")
			for outcome, want := range map[string]float64{"granted": 1, "expired": 1, "missing": 0} {
				if n := one.metric("sidway_auth_verdicts_total", "c1", outcome) + two.metric("sidway_auth_verdicts_total", "c1", outcome); n != want {
					t.Errorf("%v %s, want %v", n, outcome, want)
				}
			}
			if n := strings.Count(log.String(), "reason=expired"); n != 1 {
				t.Errorf("told %d times: %s", n, log)
			}
			one.Close()
			two.Close()
			for secret := range strings.SplitSeq(good, ".") {
				if strings.Contains(log.String(), secret) {
					t.Errorf("the log has a token: %s", log)
				}
			}
		})
	}
}

// What an unproven session may not send, no node gets.
func TestAnUnprovenSessionSaysNothingElse(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule()))
	good := i.token(jwt.SigningMethodHS256, "me", time.Time{})
	long := connectBy(good) + strings.Repeat(" ", 64<<10)
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	for _, body := range []string{`42["x"]`, connectBy(good) + "\x1e" + `42["x"]`, "4hi", "bAAAA", "2probe", "", long} {
		other := dial(t, s.addr)
		if status, text := other.ask(post(sid, body)); status != 403 || text != `{"code":4,"message":"Forbidden"}` {
			t.Errorf("%.40q got %d %s", body, status, text)
		}
	}
	dial(t, s.addr).expect(request("POST", pollTarget(sid)+"&j=1", "d=40", lengthOf("d=40")), 403, `{"code":4,"message":"Forbidden"}`)
	dial(t, s.addr).expect(request("OPTIONS", pollTarget(sid), "", "Origin: https://a.example", "Access-Control-Request-Method: POST"), 204, "")
	if n := saw(node); n > 1 {
		t.Errorf("the node got %d requests of an unproven session", n)
	}
	c.expect(post(sid, "3"), 200, "ok")
	c.expect(post(sid, connectBy(good)), 200, "ok")
	c.expect(get(pollTarget(sid)), 200, connectBy(good))
	sid = c.handshake(handshakeTarget)
	c.expect(post(sid, "1"), 200, "ok")
	node.WaitUntil("the node has ended the session", func() bool { return node.Ended(sid) != "" })
}

// A poll that is held for long is answered so that its client polls again; an upgrade is refused.
func TestAnUnprovenPollIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule()), withProofTime(100*time.Millisecond))
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	c.expect(get(pollTarget(sid)), 200, engineio.PacketNoop)
	w := dial(t, s.addr)
	w.send(get(upgradeTarget(sid), asksWebSocket...))
	if r := w.answer(); r.StatusCode != 400 || r.Text != "Forbidden" {
		t.Errorf("the upgrade got %d %s", r.StatusCode, r.Text)
	}
	if n := saw(node); n != 0 {
		t.Errorf("the node got %d requests", n)
	}
}

// A poll that waits is answered when the gateway stops, so that its client goes elsewhere.
func TestAnUnprovenPollAtTheEnd(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule()))
	sid := dial(t, s.addr).handshake(handshakeTarget)
	poll := polls(t, s, pollTarget(sid))
	eventually(t, "the poll is here", func() bool { return s.metric("sidway_requests_total", "c1", "poll") == 1 })
	s.Stop()
	if status, text := poll(); status != 200 || text != engineio.PacketNoop {
		t.Errorf("the poll got %d %s", status, text)
	}
}

// Of several CONNECTs in one POST the node gets those that are granted, and the client hears of the others first.
func TestSomeCONNECTsOfAPOSTAreRefused(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule()))
	soon, late := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	one, two := i.token(jwt.SigningMethodHS256, "me", late), i.token(jwt.SigningMethodEdDSA, "me", soon)
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	var work sync.WaitGroup
	var first, second string
	work.Go(func() {
		p := dial(t, s.addr)
		_, first = p.ask(get(pollTarget(sid)))
		_, second = p.ask(get(pollTarget(sid)))
	})
	granted := connectBy(one) + "\x1e" + `40/b,{"token":"` + two + `"}`
	c.expect(post(sid, `40/a,{"token":"x"}`+"\x1e"+granted+"\x1e"+`40/c,{"token":["x"]}`), 200, "ok")
	work.Wait()
	refused := `44/a,{"message":"Forbidden","data":{"code":4}}` + "\x1e" + `44/c,{"message":"Forbidden","data":{"code":4}}`
	if first != refused || second != granted {
		t.Errorf("the polls got %q and %q", first, second)
	}
	b, err := s.store.Lookup(t.Context(), sid)
	if err != nil || b.Unproven || b.Ends != soon.Unix() {
		t.Errorf("bound as %+v, %v", b, err)
	}
	if _, err := s.store.Lookup(t.Context(), affinity.RefusalOf(sid)); err == nil {
		t.Error("the refusal is still bound")
	}
}

// A client that does not poll hears of a refusal no more when another CONNECT is granted; and only so much waits for a poll.
func TestARefusalThatNobodyTakes(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule()))
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	c.expect(post(sid, "40/a"), 200, "ok")
	c.expect(post(sid, "40/"+strings.Repeat("b", 3000)), 403, `{"code":4,"message":"Forbidden"}`)
	if b, err := s.store.Lookup(t.Context(), affinity.RefusalOf(sid)); err != nil || b.Refusal != `44/a,{"message":"Forbidden","data":{"code":4}}` {
		t.Errorf("what waits is %q, %v", b.Refusal, err)
	}
	good := connectBy(i.token(jwt.SigningMethodHS256, "me", time.Time{}))
	c.expect(post(sid, good), 200, "ok")
	c.expect(get(pollTarget(sid)), 200, good)
}

// A session that was let in by a CONNECT ends with its token.
func TestASessionEndsWithTheTokenOfItsCONNECT(t *testing.T) {
	t.Parallel()
	node := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(&gateway.Auth{Gate: untilGate(2), Connect: "token"}))
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	c.expect(post(sid, "40"), 200, "ok")
	c.expect(get(pollTarget(sid)), 200, "40")
	c.expect(get(pollTarget(sid)), 200, "1")
	node.WaitUntil("the node has ended the session", func() bool { return node.Ended(sid) != "" })
	w := dial(t, s.addr)
	w.websocket(directTarget)
	w.message()
	w.send(masked("40"))
	if got := w.message(); got != "40" {
		t.Errorf("got %s", got)
	}
	w.ended()
	w.Close()
	eventually(t, "the tunnel is told of", func() bool { return s.metric("sidway_tunnels_ended_total", "token_expired") == 1 })
}

// A token of the handshake is judged there; clients that can bring none later need one.
func TestWhoMustBringATokenAtOnce(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule("query:token")))
	bad, good := i.token(jwt.SigningMethodHS256, "me", time.Now().Add(-time.Hour)), i.token(jwt.SigningMethodHS256, "me", time.Time{})
	for _, target := range []string{handshakeTarget + "&token=" + bad, "/socket.io/?EIO=3&transport=polling", handshakeTarget + "&j=0"} {
		dial(t, s.addr).expect(get(target), 403, `{"code":4,"message":"Forbidden"}`)
	}
	w := dial(t, s.addr)
	w.send(get("/socket.io/?EIO=3&transport=websocket", asksWebSocket...))
	if r := w.answer(); r.StatusCode != 400 {
		t.Errorf("a WebSocket of revision 3 got %d", r.StatusCode)
	}
	if n := len(node.Requests()); n != 0 {
		t.Errorf("the node got %d requests", n)
	}
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget + "&token=" + good)
	c.expect(post(sid, `42["x"]`), 200, "ok")
	c.expect(get(pollTarget(sid)), 200, `42["x"]`)
}

// Where no token is required, a CONNECT without one lets in, and one with a bad one does not.
func TestACONNECTWhereNoTokenIsRequired(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	rule := i.connectRule()
	rule.Gate = auth.NewJWT(auth.JWTOptions{Keys: i.keys})
	s := startGateway(t, withEngines(node), withAuth(rule))
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	c.expect(post(sid, connectBy("bad")), 200, "ok")
	c.expect(get(pollTarget(sid)), 200, forbiddenConnect)
	c.expect(post(sid, "40"), 200, "ok")
	c.expect(get(pollTarget(sid)), 200, "40")
}

// What is left of a rule that is no more in force keeps an unproven session out.
func TestAnUnprovenSessionWhoseRuleIsGone(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule()))
	c := dial(t, s.addr)
	sid := c.handshake(handshakeTarget)
	own := s.settings.Routes[0]
	own.Auth = nil
	s.reroute(own)
	for _, q := range []string{get(pollTarget(sid)), post(sid, "40")} {
		c.expect(q, 403, `{"code":4,"message":"Forbidden"}`)
	}
}

// Sessions that a CONNECT has let in go to other nodes as others do, by polling and on WebSockets, and keep their end.
func TestProvenSessionsMove(t *testing.T) {
	t.Parallel()
	s, server, nodes := startRestorers(t, 2, func(r *gateway.Route) { r.Auth = &gateway.Auth{Gate: untilGate(3600), Connect: "token"} })
	first := s.clusters[0].Nodes()[0]
	p, m := s.joinPolled(), s.join()
	if _, outcome := s.move(m, "n2"); outcome != "moved" {
		t.Errorf("the WebSocket: %s", outcome)
	}
	s.drain(first)
	for _, to := range []*member{&p.member, m} {
		to.emit(server.Client(), "e0")
		to.gotAll(1)
		if !nodes[1].has(to.sid) {
			t.Errorf("%s is not on the other node", to.sid)
		}
	}
	b, err := s.store.Lookup(t.Context(), p.eio)
	if err != nil || b.Unproven || b.Node != "n2" || b.Ends < time.Now().Unix()+3000 {
		t.Errorf("bound as %+v, %v", b, err)
	}
}

// A replica that has known a session as unproven for long writes that over no proof, but writes the proof again.
func TestAStaleReplicaRenewsTheProof(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	server := affinitytest.StartRedis(t)
	stale := dueStore{shareStore(t, server), affinity.NewRedis(server.Client(), "bindings:")}
	one := startGateway(t, withEngines(node), withStore(stale), withAuth(i.connectRule()))
	two := startGateway(t, withEngines(node), withStore(shareStore(t, server)), withAuth(i.connectRule()))
	good := i.token(jwt.SigningMethodHS256, "me", time.Now().Add(time.Hour))
	c := dial(t, one.addr)
	sid := c.handshake(handshakeTarget)
	dial(t, two.addr).expect(post(sid, connectBy(good)), 200, "ok")
	c.expect(post(sid, `42["x"]`), 200, "ok")
	c.expect(get(pollTarget(sid)), 200, connectBy(good)+"\x1e"+`42["x"]`)
	c.expect(post(sid, `42["y"]`), 200, "ok") // which renews
	b, err := two.store.(*affinity.Cached).Refresh(t.Context(), sid)
	if err != nil || b.Unproven || b.Ends == 0 {
		t.Errorf("bound as %+v, %v", b, err)
	}
	dial(t, two.addr).expect(get(pollTarget(sid)), 200, `42["y"]`)
}
