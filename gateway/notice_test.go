package gateway_test

import (
	"strings"
	"testing"
)

// TestWhatIsNotHTTPIsTold has what else than HTTP comes to a plain port: many times, and told once.
func TestWhatIsNotHTTPIsTold(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"TLS":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP/2":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"PROXY":          "PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n" + get("/open"),
		"PROXY in bytes": "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + get("/open"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := warned(t, withNodes(startNode(t, "n1", nil)))
			for range 3 {
				raw(t, s.addr, sent).answer()
			}
			raw(t, s.addr, get("/open")).expect("", 200, "n1 GET /open ")
			const words = "does something in front speak TLS, HTTP/2 or the PROXY protocol here?"
			if said := log.String(); strings.Count(said, words) != 1 || !strings.Contains(said, "client=127.0.0.1") || strings.Contains(said, `reason=""`) {
				t.Errorf("the log says\n%s", said)
			}
			if got := s.metric("sidway_local_responses_total", "bad_head"); got != 3 {
				t.Errorf("%v are counted", got)
			}
		})
	}
}

// TestANodeThatRefusesOnAndOnIsTold has a node refuse handshakes, by a rule that a client may have met and no other would. Ten in
// a row are no client's doing.
func TestANodeThatRefusesOnAndOnIsTold(t *testing.T) {
	t.Parallel()
	refusal := "{\"code\":5,\r\n\x1b[1m" + strings.Repeat("a", 200)
	refuses := func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "good=1") {
			engine(aSID)(c, r)
			return
		}
		c.send(answer(403, refusal))
	}
	s, log := warned(t, withNodes(startNode(t, "n1", refuses)))
	c := dial(t, s.addr)
	refused := func(times int) {
		for range times {
			c.expect(get(handshakeTarget), 403, refusal)
		}
	}
	const words = "a node refuses one handshake after the other"
	refused(9)
	c.handshake(handshakeTarget + "&good=1")
	refused(9)
	if strings.Contains(log.String(), words) {
		t.Errorf("told after nine in a row\n%s", log.String())
	}
	refused(3)
	s.once(log, words+", for the reason in body: either its rules are wrong, or these clients are\" cluster=c1 node=n1 status=403 eio=4 "+
		"transport=polling body=\"{\\\"code\\\":5,   [1m"+strings.Repeat("a", 84)+"…\" client=127.0.0.1 origin=\"\"", "refusals", 3)
	if f := s.Metrics().Faults(); len(f) != 1 || !strings.HasPrefix(f[0].Text, words+`: it says {"code":5,   [1m`) {
		t.Errorf("the status says %+v", f)
	}
}

// A node that does not know a version serves the clients of the other one meanwhile.
func TestRefusalsOfOneVersionAreTold(t *testing.T) {
	t.Parallel()
	s, log := warned(t, withNodes(startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.URL.Query().Get("EIO") == "3" {
			c.send(answer(400, "Unsupported protocol version"))
			return
		}
		engine(aSID)(c, r)
	})))
	c := dial(t, s.addr)
	for range 10 {
		c.expect(get("/socket.io/?EIO=3&transport=polling"), 400, "Unsupported protocol version")
		c.handshake(handshakeTarget)
	}
	s.once(log, `a node refuses one handshake after the other, for the reason in body: either its rules are wrong, or these clients are" cluster=c1 node=n1 status=400 eio=3`, "refusals", 1)
}

func TestRefusedWebSocketsAreToldWithTheReason(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { c.send(answer(400, "Unsupported protocol version")) })
	s, log := warned(t, withNodes(n))
	for range 10 {
		raw(t, s.addr, get("/socket.io/?EIO=3&transport=websocket", append(asksWebSocket, "Origin: https://page.example")...)).answer()
	}
	s.once(log, `eio=3 transport=websocket body="Unsupported protocol version" client=127.0.0.1 origin=https://page.example`, "refusals", 1)
}
