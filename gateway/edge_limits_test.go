package gateway_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

const short = 100 * time.Millisecond

// A head that does not come to its end in time is answered with 408, from its first byte on, however slowly it comes.
func TestHeaderTime(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.HeaderTime = short }))
	for name, part := range map[string]string{
		"a byte": "G", "half a line": "GET /open HT", "no end": "GET /open HTTP/1.1\r\n" + host, "half an end": "GET /open HTTP/1.1\r\n" + host + "\r",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := raw(t, g.addr, part)
			r := c.answer()
			if r.StatusCode != 408 {
				t.Errorf("answered %d %q", r.StatusCode, r.Text)
			}
			c.refused(r)
		})
	}
	t.Run("drop by drop", func(t *testing.T) {
		t.Parallel()
		c := dial(t, g.addr)
		drip(c, "GET /open HTTP/1.1\r\nHost: chat.example.com\r\nX: ")
		r := c.answer()
		if r.StatusCode != 408 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
	})
	t.Run("second request", func(t *testing.T) {
		t.Parallel()
		c := raw(t, g.addr, get("/open")+"GET /open")
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
		if r := c.answer(); r.StatusCode != 408 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
	})
	t.Cleanup(func() {
		if got := n.received(); strings.Count(got, "GET") != 1 {
			t.Errorf("the node received …%q", tail([]byte(got)))
		}
	})
}

// drip sends a prefix and then a byte now and then until the gateway closes.
func drip(c *rawClient, prefix string) {
	c.send(prefix)
	go func() {
		tick := time.NewTicker(short / 10)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(c, "a"); err != nil {
				return
			}
		}
	}()
}

// A body that is too slow is answered with 408, and a node that has got a part of it is cut off.
func TestBodyTime(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	for name, rate := range map[string]int64{"with a rate": 1_000_000, "without": 0} {
		g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.BodyTime, l.BodyRate = short, rate }))
		g.bind(aSID, n)
		for what, head := range map[string]string{
			"POST, length":     request("POST", pollTarget(aSID), "hell", "Content-Length: 500"),
			"POST, chunks":     request("POST", pollTarget(aSID), "5\r\nhel", chunked),
			"POST, nothing":    request("POST", pollTarget(aSID), "", "Content-Length: 500"),
			"PUT, short":       request("PUT", "/open", "hell", "Content-Length: 500"),
			"PUT, chunks":      request("PUT", "/open", "5\r\nhel", chunked),
			"PUT, long":        request("PUT", "/open", "hell", "Content-Length: 500000"),
			"PUT, none of 100": request("PUT", "/open", "", "Content-Length: 500000", "Expect: 100-continue"),
		} {
			t.Run(what+" "+name, func(t *testing.T) {
				t.Parallel()
				c := raw(t, g.addr, head)
				r := c.answerTo("POST")
				if r.StatusCode == 100 {
					r = c.answerTo("POST")
				}
				if r.StatusCode != 408 {
					t.Errorf("answered %d %q", r.StatusCode, r.Text)
				}
				c.refused(r)
			})
		}
	}
	t.Run("drop by drop", func(t *testing.T) {
		t.Parallel()
		g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.BodyTime, l.BodyRate = short, 1_000_000 }))
		c := dial(t, g.addr)
		drip(c, request("PUT", "/open", "", "Content-Length: 500000"))
		r := c.answer()
		if r.StatusCode != 408 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
	})
	t.Run("as fast as it must be", func(t *testing.T) {
		t.Parallel()
		// Fifteen pieces take longer than BodyTime; the rate that they keep up allows it.
		g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.BodyTime, l.BodyRate = 2*time.Second, 10 }))
		c := raw(t, g.addr, request("PUT", "/open", "", "Content-Length: 1500"))
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for range 15 {
			c.send(strings.Repeat("a", 100))
			<-tick.C
		}
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
	})
	t.Cleanup(func() {
		eventually(t, "the node's connections are cut", func() bool {
			for _, c := range n.all() {
				if c.open() && c.wholeRequests() == 0 {
					return false
				}
			}
			return true
		})
		if n.wholeRequests() != 1 {
			t.Errorf("the node took a part for the whole: …%q", tail([]byte(n.received())))
		}
	})
}

// A kept connection without a request is closed in order, and says nothing.
func TestIdleTime(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.IdleTime = short }))
	if dial(t, g.addr).closed() {
		t.Error("a connection without a request was reset")
	}
	c := raw(t, g.addr, get("/open"))
	if r := c.answer(); r.StatusCode != 200 {
		t.Errorf("answered %d", r.StatusCode)
	}
	if c.closed() {
		t.Error("a kept connection was reset")
	}
}

// A client that does not read its answer is given up, and the node's connection with it.
func TestWriteTime(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
		c.send(head(200, "Content-Length: 1000000000"))
		io.Copy(c, noise())
		io.Copy(c, noise())
		<-c.gone
	})
	g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.WriteTime = short }))
	c := dial(t, g.addr)
	c.SetReadBuffer(4 << 10)
	c.send(get("/endless"))
	n.conn(0).awaitEnd()
	eventually(t, "the client is given up", func() bool { return g.metric("sidway_connections") == 0 })
}

// Above the limit of connections requests are answered with 503 and when to come again, so that a client knows; far
// above it nothing is read. When there is room again new ones are served, and those in place never notice.
func TestConnections(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.Connections = 3 }))
	g.bind(aSID, n)
	var held []*rawClient
	for range 3 {
		c := raw(t, g.addr, get("/open"))
		c.answer()
		held = append(held, c)
	}
	const origin = "Origin: https://page.example"
	for name, k := range map[string]struct{ head, text string }{
		"handshake": {get(handshakeTarget, origin), `{"message":"No room"}`},
		"poll":      {get(pollTarget(aSID), origin), `{"message":"No room"}`},
		"POST":      {request("POST", pollTarget(aSID), "4hi", origin, "Content-Length: 3"), `{"message":"No room"}`},
		"upgrade":   {get(upgradeTarget(aSID), append(asks(), origin)...), "No room"},
		"direct":    {get(directTarget, append(asks(), origin)...), "No room"},
		"ordinary":  {get("/open", origin), "Service Unavailable\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := raw(t, g.addr, k.head+hidden)
			r := c.answer()
			if r.StatusCode != 503 || r.Text != k.text || r.Header.Get("Retry-After") == "" ||
				r.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
				t.Errorf("answered %d %q %v", r.StatusCode, r.Text, r.Header)
			}
			c.refused(r)
		})
	}
	for _, c := range held {
		c.kept()
	}
	if got := n.received(); strings.Contains(got, "/socket.io/") || strings.Contains(got, "/hidden") {
		t.Errorf("the node received %q", tail([]byte(got)))
	}
	t.Run("far above", func(t *testing.T) {
		eventually(t, "the refused ones are gone", func() bool { return g.metric("sidway_connections") == 3 })
		for range 64 {
			dial(t, g.addr)
		}
		eventually(t, "64 wait", func() bool { return g.metric("sidway_connections") == 67 })
		dial(t, g.addr).closed()
	})
	held[0].Close()
	eventually(t, "there is room", func() bool { return g.metric("sidway_connections") == 2 })
	c := raw(t, g.addr, get(handshakeTarget))
	if r := c.answer(); r.StatusCode != 200 {
		t.Errorf("with room again: answered %d %q", r.StatusCode, r.Text)
	}
	c.kept()
}
