package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rawClient is a client of the gateway that sends what it is told.
type rawClient struct {
	*wire
	t  testing.TB
	br *bufio.Reader
}

// reply is an answer that was read as far as it came. Err is nil where it came to its announced end.
type reply struct {
	*http.Response
	Text string
	Err  error
}

// dial connects to the gateway at addr until the test ends.
func dial(t testing.TB, addr string) *rawClient {
	t.Helper()
	conn, err := connect(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	if encrypted {
		_ = conn.tls.Handshake() // of its failure a read tells
	}
	return &rawClient{wire: conn, t: t, br: bufio.NewReader(conn)}
}

// raw connects and sends bytes as they are.
func raw(t testing.TB, addr, bytes string) *rawClient {
	t.Helper()
	c := dial(t, addr)
	c.send(bytes)
	return c
}

// rawBytewise connects and sends each byte in a segment of its own.
func rawBytewise(t testing.TB, addr, bytes string) *rawClient {
	t.Helper()
	c := dial(t, addr)
	for i := range len(bytes) {
		if _, err := io.WriteString(c, bytes[i:i+1]); err != nil {
			break // the gateway has refused what came before; its answer tells
		}
	}
	return c
}

// send writes bytes; a gateway that has refused what came before may have closed.
func (c *rawClient) send(bytes string) { io.WriteString(c, bytes) }

// answer reads the answer to a GET, answerTo that to another method.
func (c *rawClient) answer() reply { c.t.Helper(); return c.answerTo("GET") }

func (c *rawClient) answerTo(method string) reply {
	c.t.Helper()
	r := c.start(method)
	text, err := io.ReadAll(r.Body)
	r.Text, r.Err = string(text), err
	return r
}

// start reads the head of an answer and leaves its body to be read.
func (c *rawClient) start(method string) reply {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	r, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return reply{Response: r}
}

// line reads one line, read the next n bytes.
func (c *rawClient) line() string {
	c.t.Helper()
	s, err := c.br.ReadString('\n')
	if err != nil {
		c.t.Fatalf("no line but %q: %v", s, err)
	}
	return s
}

func (c *rawClient) read(n int) string {
	c.t.Helper()
	b := make([]byte, n)
	if m, err := io.ReadFull(c.br, b); err != nil {
		c.t.Fatalf("no %d bytes but %q: %v", n, b[:m], err)
	}
	return string(b)
}

// refused checks that an answer announces the end of the connection and that it came to its end.
func (c *rawClient) refused(r reply) {
	c.t.Helper()
	if !r.Close || r.Err != nil {
		c.t.Errorf("the answer does not say Connection: close, or was cut: %v", r.Err)
		return
	}
	c.closed()
}

// closed checks that the gateway has closed the connection without another byte. It reports whether by a reset.
func (c *rawClient) closed() (reset bool) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(c.br)
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		c.t.Error("the connection was not closed")
	case len(rest) > 0:
		c.t.Errorf("before the connection was closed there came %q", tail(rest))
	}
	return err != nil
}

// kept checks that the gateway has kept the connection: another request is answered.
func (c *rawClient) kept() {
	c.t.Helper()
	c.send(get("/kept"))
	if r := c.answer(); r.StatusCode != 200 || !strings.Contains(r.Text, "/kept") {
		c.t.Errorf("the kept connection's next request got %d %q", r.StatusCode, r.Text)
	}
}
