package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
)

// longMasked is a text frame of a client, of 126 to 65,535 bytes.
func longMasked(text string) string {
	return string([]byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}) + text
}

// unproven opens a WebSocket without a token.
func unproven(t *testing.T, s *site) (w *rawClient, sid string) {
	t.Helper()
	w = dial(t, s.addr)
	w.websocket(directTarget)
	return w, sidInPacket.FindStringSubmatch(w.message())[1]
}

// longMessage reads one server frame of 126 to 65,535 bytes.
func (c *rawClient) longMessage() string {
	c.t.Helper()
	head := c.read(4)
	return c.read(int(head[2])<<8 | int(head[3]))
}

func TestACONNECTLetsAWebSocketIn(t *testing.T) {
	t.Parallel()
	for name, method := range methods {
		for _, heartbeat := range []bool{false, true} {
			t.Run(fmt.Sprint(name, heartbeat), func(t *testing.T) {
				t.Parallel()
				i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
				s := startGateway(t, withEngines(node), withAuth(i.connectRule("query:token")), withRoute(func(r *gateway.Route) { r.Heartbeat = heartbeat }))
				good, bad := i.token(method, "me", time.Now().Add(time.Hour)), i.token(method, "me", time.Now().Add(-time.Hour))
				w, _ := unproven(t, s)
				w.send(longMasked(connectBy(bad)))
				if got := w.message(); got != forbiddenConnect {
					t.Fatalf("got %s", got)
				}
				frame := longMasked(connectBy(good)) + masked(`42["x"]`) + masked(`40/b`)
				for at := 0; at < len(frame); at += 50 {
					w.send(frame[at:min(at+50, len(frame))])
					time.Sleep(time.Millisecond) // so that it comes in pieces
				}
				if got := w.longMessage(); got != connectBy(good) {
					t.Errorf("got %s", got)
				}
				for _, want := range []string{`42["x"]`, "40/b"} {
					if got := w.message(); got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				}
				for outcome, want := range map[string]float64{"granted": 1, "expired": 1} {
					if n := s.metric("sidway_auth_verdicts_total", "c1", outcome); n != want {
						t.Errorf("%v %s, want %v", n, outcome, want)
					}
				}
			})
		}
	}
}

// Behind what an unproven client may not send its tunnel ends, and the node has got nothing.
func TestAWebSocketThatIsNotLetIn(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule()))
	good := i.token(jwt.SigningMethodEdDSA, "me", time.Time{})
	fragment := []byte(longMasked(connectBy(good)))
	fragment[0] = 1
	for name, sent := range map[string]string{
		"an event":         masked(`42["x"]`) + longMasked(connectBy(good)),
		"a fragment":       string(fragment),
		"too long a frame": "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00" + strings.Repeat("4", 1000),
		"behind a bad one": masked(`40{"token":"x"}`) + masked(`42["x"]`),
	} {
		before := s.metric("sidway_tunnels_ended_total", "guard")
		w, sid := unproven(t, s)
		w.send(sent)
		w.ended()
		w.Close()
		eventually(t, name+" ends the tunnel", func() bool { return s.metric("sidway_tunnels_ended_total", "guard") == before+1 })
		if got := node.Messages(sid); len(got) > 0 {
			t.Errorf("behind %s the node got %q", name, got)
		}
	}
	w, _ := unproven(t, s) // a client that only answers pings is left alone
	w.send(masked("3"))
	w.Close()
	eventually(t, "the tunnels have ended", func() bool { return s.metric("sidway_tunnels", "c1") == 0 })
}

// A client that may have its WebSocket at once keeps its compression; one that is to be looked at does not.
func TestOnlyUnprovenWebSocketsAreRead(t *testing.T) {
	t.Parallel()
	i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node), withAuth(i.connectRule("query:token")))
	good := i.token(jwt.SigningMethodHS256, "me", time.Time{})
	for _, target := range []string{directTarget, directTarget + "&token=" + good} {
		w := dial(t, s.addr)
		w.send(get(target, append([]string{"Sec-WebSocket-Extensions: permessage-deflate"}, asksWebSocket...)...))
		if r := w.start("GET"); r.StatusCode != 101 {
			t.Fatalf("got %d", r.StatusCode)
		}
		w.message()
	}
	var offers []string
	for _, r := range node.Requests() {
		offers = append(offers, r.Header.Get("Sec-WebSocket-Extensions"))
	}
	if fmt.Sprint(offers) != "[ permessage-deflate]" {
		t.Errorf("the node is offered %q", offers)
	}
}
