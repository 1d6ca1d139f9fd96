package gateway_test

import (
	"io"
	"strings"
	"testing"
)

// A node may answer before it has the body. The client gets the answer, whether it goes on sending or waits, and both
// connections end: where the body's rest begins is nobody's to guess.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		switch r.URL.Path {
		case "/closes":
			c.send(answer(413, "too large", "Connection: close"))
			c.cut()
		case "/reads":
			c.send(answer(413, "too large"))
			readAll(r)
		case "/piecewise":
			c.send(head(413, chunked) + "9\r\ntoo large\r\n")
			c.send("0\r\n\r\n")
			<-c.gone
		case "/kept":
			plainly(c, r)
		default:
			c.send(answer(413, "too large"))
			<-c.gone
		}
	})
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	for _, target := range []string{"/waits", "/closes", "/reads", "/piecewise", pollTarget(aSID)} {
		for name, framing := range map[string]string{"length": "Content-Length: 20000000", "chunks": chunked} {
			t.Run(target[:4]+" "+name+" stalled", func(t *testing.T) {
				for range 20 {
					stall(t, g, target, framing)
				}
			})
			t.Run(target[:4]+" "+name+" on and on", func(t *testing.T) {
				c := raw(t, g.addr, request("PUT", strings.Replace(target, handshakeTarget, "/open", 1), "", framing))
				go func() {
					piece := strings.Repeat("a", 1000)
					for i := 0; i < 10_000; i++ {
						if framing == chunked {
							piece = "3e8\r\n" + strings.Repeat("a", 1000) + "\r\n"
						}
						if _, err := io.WriteString(c, piece); err != nil {
							return
						}
					}
				}()
				if r := c.answerTo("PUT"); r.StatusCode != 413 || r.Text != "too large" || r.Err != nil {
					t.Errorf("answered %d %q, %v", r.StatusCode, r.Text, r.Err)
				}
			})
		}
	}
	if out := g.metric("sidway_node_ejected"); out != 0 {
		t.Error("an early answer has put the node out of the choice")
	}
}

// stall sends a part of a body and waits for the answer and for the end of the connection.
func stall(t *testing.T, g *site, target, framing string) {
	t.Helper()
	method, part := "PUT", strings.Repeat("a", 100_000)
	if strings.HasPrefix(target, "/socket.io/") {
		method = "POST"
		if framing != chunked {
			framing = "Content-Length: 900000"
		}
	}
	if framing == chunked {
		part = "186a0\r\n" + part + "\r\n"
	}
	c := raw(t, g.addr, request(method, target, part, framing))
	r := c.answerTo(method)
	if r.StatusCode != 413 || r.Text != "too large" {
		t.Errorf("answered %d %q, %v", r.StatusCode, r.Text, r.Err)
	}
	c.closed()
}

// A node may answer a long POST with success before it has read it; what became of the rest is settled before the
// connection goes on, and nobody reads the upload while it runs.
func TestEarlySuccess(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		c.send(answer(200, "ok"))
		readAll(r)
	})
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	long := strings.Repeat("a", 200_000)
	for range 30 {
		for _, h := range []string{
			request("POST", pollTarget(aSID), long, lengthOf(long)), request("POST", pollTarget(aSID), inChunks(long, 50_000), chunked),
		} {
			c := dial(t, g.addr)
			go c.send(h)
			r := c.answer()
			if r.StatusCode != 200 || r.Text != "ok" || r.Err != nil {
				t.Errorf("answered %d %q, %v", r.StatusCode, r.Text, r.Err)
			}
			if r.Close {
				c.closed()
			}
		}
	}
}

// A node that answers before it has the whole body gets no other request on that connection: it would be read as the rest of the
// body.
func TestConnectionOfAnEarlyAnswerIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"length": request("PUT", "/early", strings.Repeat("a", 70_000), "Content-Length: 100000"),
		"chunks": request("PUT", "/early", "5\r\nhello\r\n", chunked),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if r.URL.Path == "/early" {
					c.send(answer(200, "enough"))
					return
				}
				plainly(c, r)
			})
			g := startGateway(t, withNodes(n))
			c := raw(t, g.addr, head)
			if r := c.answer(); r.Text != "enough" || !r.Close {
				t.Errorf("got %d %q, close %v", r.StatusCode, r.Text, r.Close)
			}
			for range 4 {
				raw(t, g.addr, get("/page")).expect("", 200, "n1 GET /page ")
			}
			<-n.conn(0).gone
		})
	}
}
