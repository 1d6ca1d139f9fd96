package gateway_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// Each event of a stream reaches the client when the node has sent it.
func TestEventsAreFlushed(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"chunks":      head(200, chunked, "Content-Type: text/event-stream"),
		"until close": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
		"length":      head(200, "Content-Length: 200"),
	} {
		for _, version := range []string{"1.0", "1.1"} {
			t.Run(name+" for HTTP/"+version, func(t *testing.T) {
				t.Parallel()
				next := make(chan struct{})
				n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
					c.send(begin)
					for i := range 20 {
						<-next
						event := fmt.Sprintf("data: %02d\n\n", i)
						if name == "chunks" {
							event = inChunks(event, 100)
							event = event[:len(event)-len("0\r\n\r\n")]
						}
						c.send(event)
					}
					<-next
					if name == "chunks" {
						c.send("0\r\n\r\n")
					}
					c.cut()
				})
				g := startGateway(t, withNodes(n))
				c := raw(t, g.addr, "GET /events HTTP/"+version+"\r\n"+host+"\r\n")
				r := c.start("GET") // before the first event
				br := bufio.NewReader(r.Body)
				for i := range 20 {
					next <- struct{}{}
					line, err := br.ReadString('\n')
					if err != nil || line != fmt.Sprintf("data: %02d\n", i) {
						t.Fatalf("event %d: %q, %v", i, line, err)
					}
					br.ReadString('\n')
				}
				close(next)
				if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
					t.Errorf("behind the last event: %q, %v", rest, err)
				}
			})
		}
	}
}

// A request's body and its answer's may run side by side, piece by piece.
func TestBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		c.send(head(200, chunked))
		b := make([]byte, 100)
		for {
			m, err := r.Body.Read(b)
			if m > 0 {
				c.send(fmt.Sprintf("%x\r\n%s\r\n", m, b[:m]))
			}
			if err != nil {
				break
			}
		}
		c.send("0\r\n\r\n")
	})
	g := startGateway(t, withNodes(n))
	for range 5 {
		c := raw(t, g.addr, request("POST", "/echo", "", chunked))
		r := c.start("POST")
		for i := range 50 {
			said := fmt.Sprintf("piece %02d", i)
			c.send(fmt.Sprintf("%x\r\n%s\r\n", len(said), said))
			b := make([]byte, len(said))
			if _, err := io.ReadFull(r.Body, b); err != nil || string(b) != said {
				t.Fatalf("%q came back as %q, %v", said, b, err)
			}
		}
		c.send("0\r\n\r\n")
		if rest, err := io.ReadAll(r.Body); len(rest) > 0 || err != nil {
			t.Errorf("at the end: %q, %v", rest, err)
		}
	}
}

const large = 10 << 20

// noise is large and the same in each call.
func noise() io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), large)
}

func sumOf(r io.Reader) string {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fmt.Sprintf("%d %x %v", n, h.Sum(nil)[:4], err)
}

// chunkWriter writes in chunks of whatever size it is given.
type chunkWriter struct{ w io.Writer }

func (c chunkWriter) Write(p []byte) (int, error) {
	if _, err := fmt.Fprintf(c.w, "%x\r\n%s\r\n", len(p), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Large bodies come through in both directions as they were, in each framing.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	want := sumOf(noise())
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.Method == "PUT" {
			c.send(answer(200, sumOf(r.Body)))
			return
		}
		switch r.URL.Path {
		case "/length":
			c.send(head(200, fmt.Sprintf("Content-Length: %d", large)))
			io.Copy(c, noise())
		case "/chunks":
			c.send(head(200, chunked))
			io.Copy(chunkWriter{c}, noise())
			c.send("0\r\n\r\n")
		case "/close":
			c.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
			io.Copy(c, noise())
			c.cut()
		}
	})
	g := startGateway(t, withNodes(n))
	for _, framing := range []string{"length", "chunks", "close"} {
		for _, version := range []string{"1.0", "1.1"} {
			t.Run("down, "+framing+", HTTP/"+version, func(t *testing.T) {
				t.Parallel()
				c := raw(t, g.addr, "GET /"+framing+" HTTP/"+version+"\r\n"+host+"\r\n")
				if got := sumOf(c.start("GET").Body); got != want {
					t.Errorf("the client read %s, not %s", got, want)
				}
			})
		}
	}
	t.Run("up, length", func(t *testing.T) {
		t.Parallel()
		c := raw(t, g.addr, request("PUT", "/", "", fmt.Sprintf("Content-Length: %d", large)))
		io.Copy(c, noise())
		if r := c.answer(); r.Text != want {
			t.Errorf("the node read %s, not %s", r.Text, want)
		}
		c.send(request("PUT", "/", "hello", "Content-Length: 5"))
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("the next request got %d", r.StatusCode)
		}
	})
	t.Run("up, chunks", func(t *testing.T) {
		t.Parallel()
		c := raw(t, g.addr, request("PUT", "/", "", chunked))
		io.Copy(chunkWriter{c}, noise())
		c.send("0\r\n\r\n")
		if r := c.answer(); r.Text != want {
			t.Errorf("the node read %s, not %s", r.Text, want)
		}
	})
}

// A client that does not read holds the node back: what is under way is bounded by the kernel's buffers and one piece.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent, full := 0, make(chan struct{})
	n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
		c.SetWriteBuffer(64 << 10)
		c.send(head(200, "Content-Length: 1000000000"))
		piece := []byte(strings.Repeat("a", 64<<10))
		for {
			m, err := c.Write(piece)
			mu.Lock()
			sent += m
			mu.Unlock()
			if err != nil {
				close(full)
				return
			}
		}
	})
	g := startGateway(t, withNodes(n))
	c := dial(t, g.addr)
	c.SetReadBuffer(64 << 10)
	c.send(get("/endless"))
	c.start("GET")
	last := -1
	eventually(t, "the node is held back", func() bool {
		mu.Lock()
		defer mu.Unlock()
		still := sent == last && sent > 0
		last = sent
		return still
	})
	if last > 64<<20 {
		t.Errorf("%d bytes are under way", last)
	}
	c.Close()
	<-full // the node learns that nobody reads
}
