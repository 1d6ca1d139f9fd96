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

// Above the limit of connections live sessions are served; strangers are answered with 503 and when to come again, so that
// a client knows. That is so far above it, too. When there is room again new ones are served, and those in place never notice.
func TestConnections(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "hold") {
			select {
			case <-release:
			case <-c.gone:
			}
		}
		engine(aSID)(c, r)
	})
	const limit = 3
	g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.Connections = limit }))
	g.bind(aSID, n)
	var held []*rawClient
	hold := func(upTo int) {
		for len(held) < upTo {
			held = append(held, raw(t, g.addr, get(pollTarget(aSID)+"&hold=1")))
		}
		eventually(t, "all are with the node", func() bool { return g.metric("sidway_leases") == float64(upTo) })
	}
	hold(limit)
	const origin = "Origin: https://page.example"
	requests := map[string]struct {
		status     int
		head, text string
	}{
		"handshake": {503, get(handshakeTarget, origin), `{"message":"No room"}`},
		"direct":    {503, get(directTarget, append(asks(), origin)...), "No room"},
		"ordinary":  {503, get("/open", origin), "Service Unavailable\n"},
		"poll":      {200, get(pollTarget(aSID), origin), "6"},
		"POST":      {200, request("POST", pollTarget(aSID), "4hi", origin, "Content-Length: 3"), "ok"},
		"upgrade":   {101, get(upgradeTarget(aSID), append(asks(), origin)...), ""},
	}
	for name, k := range requests {
		t.Run(name, func(t *testing.T) {
			c := raw(t, g.addr, k.head)
			r := c.answer()
			if r.StatusCode != k.status || r.Text != k.text {
				t.Errorf("answered %d %q", r.StatusCode, r.Text)
			}
			if k.status == 503 && (r.Header.Get("Retry-After") == "" || r.Header.Get("Access-Control-Allow-Origin") != "https://page.example") {
				t.Errorf("answered %v", r.Header)
			}
			if k.status != 101 && !r.Close {
				t.Error("the connection above the limit goes on")
			}
			c.Close()
		})
	}
	if got := n.received(); strings.Contains(got, "GET "+handshakeTarget+" ") || strings.Contains(got, "/open") {
		t.Errorf("a stranger's request came to the node: %q", tail([]byte(got)))
	}
	eventually(t, "the others are gone", func() bool { return g.metric("sidway_connections") == limit })
	hold(limit + gateway.Overflow(limit))
	for name, k := range requests {
		t.Run("far above, "+name, func(t *testing.T) {
			c := raw(t, g.addr, k.head)
			if r := c.answer(); r.StatusCode != k.status || k.status == 503 && (r.Header.Get("Retry-After") == "" || !r.Close) {
				t.Errorf("answered %d %v", r.StatusCode, r.Header)
			}
			c.Close()
		})
	}
	t.Run("far above, a poll byte by byte", func(t *testing.T) {
		c := rawBytewise(t, g.addr, get(pollTarget(aSID), origin))
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("answered %d %v", r.StatusCode, r.Header)
		}
		c.Close()
	})
	close(release)
	for _, c := range held {
		c.expect("", 200, "6")
	}
	held[0].Close()
	eventually(t, "there is room", func() bool { return g.metric("sidway_connections") < limit })
	c := raw(t, g.addr, get(handshakeTarget))
	if r := c.answer(); r.StatusCode != 200 {
		t.Errorf("with room again: answered %d %q", r.StatusCode, r.Text)
	}
	c.kept()
}

// At the limit of connections those that have waited longest for their client give way, and never one whose request is with a node.
func TestIdleConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"nothing":          "",
		"half a head":      "GET /open HT",
		"half a body":      request("POST", pollTarget(aSID), "4h", "Content-Length: 3"),
		"half a chunk":     request("POST", pollTarget(aSID), "3\r\n4", chunked),
		"between requests": get("/open"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if r.URL.Query().Get("hold") != "" {
					<-c.gone
				}
				engine(aSID)(c, r)
			})
			g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.Connections = 3 }))
			g.bind(aSID, n)
			poll := raw(t, g.addr, get(pollTarget(aSID)+"&hold=1"))
			n.conn(0).await("hold")
			for range 2 {
				if c := raw(t, g.addr, sent); name == "between requests" {
					c.answer()
				}
			}
			eventually(t, "all are there", func() bool { return g.metric("sidway_connections") == 3 })
			var c *rawClient
			eventually(t, "a stranger is served", func() bool {
				c = raw(t, g.addr, get(handshakeTarget))
				return c.answer().StatusCode == 200
			})
			c.kept()
			eventually(t, "one gave way", func() bool { return g.metric("sidway_connections") == 3 })
			select {
			case <-n.conn(0).gone:
				t.Error("the poll has ended")
			default:
			}
			poll.Close()
		})
	}
}

// A connection that has sent nothing has the time of a head, and one that is kept has its own.
func TestFirstRequestHasTheTimeOfAHead(t *testing.T) {
	t.Parallel()
	g := startGateway(t, withNodes(startNode(t, "n1", nil)), withLimits(func(l *gateway.Limits) { l.HeaderTime = short }))
	kept := raw(t, g.addr, get("/open"))
	kept.answer()
	if dial(t, g.addr).closed() {
		t.Error("a connection without a request was reset")
	}
	kept.kept()
}

// A client that sends requests one behind the other and closes its side waits for their answers, but not for ever: most such
// clients are gone, and their polls would hold a connection and a lease for as long as a node holds a poll.
func TestHalfClosedClientIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	for name, requests := range map[string]string{
		"polls":                         get(pollTarget(aSID)) + get(pollTarget(aSID)),
		"behind a page":                 get("/open") + get(pollTarget(aSID)),
		"behind an answered poll":       get(pollTarget("other")) + get(pollTarget(aSID)),
		"a page behind a poll":          get(pollTarget("other")) + get("/hold"),
		"a page behind a poll and more": get(pollTarget("other")) + get("/hold") + get("/hold"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if strings.Contains(r.Head, "sid="+aSID) || strings.Contains(r.Head, "/hold") {
					<-c.gone
					return
				}
				engine("other")(c, r)
			})
			g := startGateway(t, withNodes(n))
			g.bind(aSID, n)
			g.bind("other", n)
			c := raw(t, g.addr, requests)
			c.CloseWrite()
			began := time.Now()
			eventually(t, "the client counts as gone", func() bool {
				return g.metric("sidway_connections") == 0 && g.metric("sidway_leases") == 0
			})
			t.Logf("gone after %v", time.Since(began))
		})
	}
}
