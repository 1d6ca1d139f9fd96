package gateway_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// accessLine is what one line of the access log may say.
type accessLine struct {
	Msg, Client, Method, Host, Path, Kind, Cluster, Node, SID, Took, Overhead, Cause, Referer, Protocol string
	RequestID                                                                                           string `json:"request_id"`
	UserAgent                                                                                           string `json:"user_agent"`
	Status, Bytes                                                                                       int
	FromClient                                                                                          int `json:"bytes_from_client"`
	ToClient                                                                                            int `json:"bytes_to_client"`
}

// logged serves a node that answers like this and returns a function that waits for a number of lines.
func logged(t *testing.T, a answerer, options ...siteOption) (g *site, n *scriptedNode, lines func(int) []accessLine) {
	t.Helper()
	var b syncBuffer
	n = startNode(t, "n1", a)
	g = startGateway(t, append(options, withNodes(n), withAccessLog(slog.New(slog.NewJSONHandler(&b, nil))))...)
	g.bind(aSID, n)
	return g, n, func(count int) []accessLine {
		t.Helper()
		eventually(t, "lines of the access log", func() bool { return strings.Count(b.String(), "\n") >= count })
		var all []accessLine
		for line := range strings.Lines(b.String()) {
			var l accessLine
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			all = append(all, l)
		}
		if len(all) != count || strings.Contains(b.String(), aSID) {
			t.Fatalf("%d lines, or a whole sid in\n%s", len(all), b.String())
		}
		return all
	}
}

// hasUnit checks that a duration is written so that its unit can be read.
func hasUnit(t *testing.T, d string) {
	t.Helper()
	if _, err := time.ParseDuration(d); err != nil || !strings.HasSuffix(d, "s") {
		t.Errorf("%q is no duration with a unit", d)
	}
}

func TestAccessLogOfRequests(t *testing.T) {
	t.Parallel()
	g, n, lines := logged(t, engine(aSID))
	long := strings.Repeat("x", 5000)
	for i, head := range []string{
		get(handshakeTarget, "User-Agent: test/1", "X-Request-ID: not plain", "Referer: https://example.com/p?token=secret"), get(pollTarget(aSID), "User-Agent: "+long, "X-Request-ID: "+long),
		get("/open", "X-Request-ID: one", "X-Request-ID: two"),
		get(pollTarget("ab")),
	} {
		c := raw(t, g.addr, head)
		r := c.answer()
		c.Close()
		l := lines(i + 1)[i]
		if l.Msg != "request" || l.Host != "chat.example.com" || l.Client != "127.0.0.1" || l.Status != r.StatusCode || l.Bytes <= len(r.Text) {
			t.Errorf("%+v for %q", l, r.Text)
		}
		hasUnit(t, l.Took)
		hasUnit(t, l.Overhead)
		if got := strings.Contains(n.received(), "X-Request-ID: "+l.RequestID+"\r\n"); len(l.RequestID) != 32 || got != (i < 3) {
			t.Errorf("the node did not get the id %q", l.RequestID)
		}
	}
	if got := n.received(); strings.Contains(got, "not plain") || strings.Contains(got, "X-Request-ID: x") || strings.Contains(got, "X-Request-ID: one") {
		t.Error("what is no id was passed on")
	}
	all := lines(4)
	if h := all[0]; h.Kind != "handshake" || h.SID != aSID[:4]+"…" || h.UserAgent != "test/1" || h.Referer != "https://example.com/p" || h.Protocol != "HTTP/1.1" || h.Node != "n1" || h.Cluster != "c1" {
		t.Errorf("the handshake: %+v", h)
	}
	if p := all[1]; p.Kind != "poll" || p.SID != aSID[:4]+"…" || len(p.UserAgent) > 300 {
		t.Errorf("the poll: %+v", p)
	}
	if s := all[3]; s.SID != "…" {
		t.Errorf("a short sid is told as %q", s.SID)
	}
}

// An id that a request has is kept, whoever gave it. The client is not told of any, as with nginx and HAProxy: nodes can do that.
func TestAccessLogKeepsIDs(t *testing.T) {
	t.Parallel()
	g, n, lines := logged(t, engine(aSID))
	parent := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := raw(t, g.addr, get(pollTarget(aSID), "X-Request-ID: Proxy-1/a=b", "Traceparent: "+parent, "tracestate: a=1,b=2")).answer()
	l, got := lines(1)[0], n.received()
	if l.RequestID != "Proxy-1/a=b" || strings.Count(got, "X-Request-ID: Proxy-1/a=b\r\n") != 1 || r.Header.Get("X-Request-ID") != "" {
		t.Errorf("%+v, and the node got %q, the client %v", l, got, r.Header)
	}
	if !strings.Contains(got, "\r\nTraceparent: "+parent+"\r\ntracestate: a=1,b=2\r\n") {
		t.Errorf("the trace has changed: %q", got)
	}
}

func TestAccessLogOfClientsThatLeave(t *testing.T) {
	t.Parallel()
	g, n, lines := logged(t, silent)
	for i, target := range []string{pollTarget(aSID), "/open"} {
		c := raw(t, g.addr, get(target))
		n.conn(i).await("GET ")
		c.Close()
		if l := lines(i + 1)[i]; l.Status != 499 || l.Bytes != 0 {
			t.Errorf("%+v", l)
		}
	}
}

func TestAccessLogOfWebSockets(t *testing.T) {
	t.Parallel()
	g, _, lines := logged(t, func(c *nodeConn, r *nodeRequest) {
		engine(aSID)(c, r)
		<-c.gone
		c.cut()
	})
	for i, target := range []string{upgradeTarget(aSID), directTarget} {
		c := raw(t, g.addr, get(target, append(asksWebSocket, "User-Agent: test/1")...))
		if r := c.start("GET"); r.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(r.StatusCode)
		}
		if i == 1 {
			c.message()
		}
		said := masked(strings.Repeat("4", 40))
		c.send(said)
		c.Close()
		all := lines(2*i + 2)
		began, ended := all[2*i], all[2*i+1]
		if began.Msg != "request" || began.Status != 101 || began.SID != aSID[:4]+"…" {
			t.Errorf("began: %+v", began)
		}
		if ended.Msg != "websocket ended" || ended.Cause != "client_closed" || ended.RequestID != began.RequestID || ended.SID != began.SID ||
			ended.Client != "127.0.0.1" || ended.Path != "/socket.io/" || ended.Kind != began.Kind || ended.Node != "n1" || ended.UserAgent != "test/1" {
			t.Errorf("ended: %+v", ended)
		}
		if ended.FromClient != len(said) || ended.ToClient < len(switchingHead) {
			t.Errorf("%d bytes from the client, which sent %d, and %d to it", ended.FromClient, len(said), ended.ToClient)
		}
		hasUnit(t, ended.Took)
	}
}

// switchingHead is the least that a client gets before a WebSocket's first frame.
const switchingHead = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
