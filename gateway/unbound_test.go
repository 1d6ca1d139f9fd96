package gateway_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// A session that cannot be bound is lost with its first poll, so the log says which node makes such sessions and why, and
// the figures say how many. A flood of them is no flood in the log.
func TestSessionsThatCannotBeBound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ answer, reason, says string }{
		"a page":               {answer(200, "<html>", "Content-Type: text/html"), "no_open_packet", "no open packet"},
		"a page in chunks":     {head(200, chunked) + "3\r\n<ht\r\n3\r\nml>\r\n0\r\n\r\n", "no_open_packet", "no open packet"},
		"nothing":              {answer(200, ""), "no_open_packet", "not complete"},
		"half a packet":        {answer(200, `0{"sid":"a"`), "no_open_packet", "not complete"},
		"compressed":           {answer(200, "\x1f\x8b\x08\x00", "Content-Encoding: gzip"), "no_open_packet", "no open packet"},
		"a sid that is none":   {answer(200, openPacket("a/b")), "bad_sid", "unreserved"},
		"an inherited name":    {answer(200, openPacket("__proto__")), "bad_sid", "unreserved"},
		"such a sid in chunks": {head(200, chunked) + inChunks(openPacket("a/b"), 10), "bad_sid", "unreserved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines syncBuffer
			n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { c.send(tt.answer) })
			s := startGateway(t, withNodes(n), withLog(slog.New(slog.NewTextHandler(&lines, nil))))
			c := dial(t, s.addr)
			for range 20 {
				c.send(get(handshakeTarget))
				if r := c.answer(); r.StatusCode != 200 {
					t.Fatalf("answered %d %q", r.StatusCode, r.Text)
				}
			}
			if got := s.metric("sidway_unbound_sessions_total", "c1", "n1", tt.reason); got != 20 {
				t.Errorf("%v are counted, want 20", got)
			}
			got := lines.String()
			if strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "cluster=c1 node=n1") || !strings.Contains(got, tt.says) {
				t.Errorf("the log says %q", got)
			}
		})
	}
}

// Other answers to a handshake are no fault of the node.
func TestNoWarningWithoutCause(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ target, answer string }{
		"a session":              {handshakeTarget, answer(200, openPacket(aSID))},
		"go-socket.io's session": {"/socket.io/?EIO=3&transport=polling&b64=1", answer(200, "13:0{\"sid\":\"1\"}\n")},
		"a refusal":              {handshakeTarget, answer(403, `{"code":4,"message":"Forbidden"}`)},
		"the client's script":    {"/socket.io/socket.io.js?EIO=4&transport=polling", answer(200, "/*! Socket.IO */")},
		"a poll":                 {pollTarget(aSID), answer(200, "<html>")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines syncBuffer
			n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { c.send(tt.answer) })
			s := startGateway(t, withNodes(n), withLog(slog.New(slog.NewTextHandler(&lines, nil))))
			s.bind(aSID, n)
			dial(t, s.addr).ask(get(tt.target))
			if got := s.metric("sidway_unbound_sessions_total"); got != 0 || lines.String() != "" {
				t.Errorf("%v are counted, and the log says %q", got, lines.String())
			}
		})
	}
}

// The session of a server made with encoding/json's Encoder is bound like any other.
func TestSessionOfGosEncoder(t *testing.T) {
	t.Parallel()
	const object = `0{"sid":"1","upgrades":["websocket"],"pingInterval":20000,"pingTimeout":60000}` + "\n"
	for query, payload := range map[string]string{
		"EIO=3&transport=polling&b64=1": fmt.Sprintf("%d:%s", len(object), object),
		"EIO=3&transport=polling":       "\x00\x07\x09\xff" + object,
		"EIO=3&transport=polling&j=7":   `___eio[7]("79:` + strings.NewReplacer(`"`, `\"`, "\n", `\u000A`).Replace(object) + `");`,
	} {
		n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
			if !strings.Contains(r.Head, "sid=") {
				c.send(answer(200, payload))
				return
			}
			c.send(answer(200, "1:6"))
		})
		s := startGateway(t, withNodes(n))
		c := dial(t, s.addr)
		c.expect(get("/socket.io/?"+query), 200, payload)
		c.expect(get("/socket.io/?"+query+"&sid=1"), 200, "1:6")
		if got := s.sessions()["n1"]; got != 1 {
			t.Errorf("%s: %d sessions", query, got)
		}
	}
}
