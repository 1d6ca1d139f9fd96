package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"
)

// By TLS nodes are told https, and browsers to come by that alone: in nodes' answers, unless they say so themselves, and in those made
// here. A plain listener tells neither.
func TestSchemeAndStrictTransport(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	heads := make(chan http.Header, 1)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		heads <- r.Header.Clone()
		if r.URL.Path == "/own" {
			c.send(answer(200, "ok", "strict-transport-security: max-age=1"))
			return
		}
		c.send(answer(200, "ok"))
	})
	for _, secure := range []bool{false, true} {
		options := []siteOption{withCluster("chat.example.com", "/socket.io/", n)}
		proto, strict, own := "http", "", "max-age=1"
		if secure {
			options = append(options, withTLS)
			proto, strict = "https", "max-age=86400"
		}
		g := startGateway(t, options...)
		g.settings.HSTS = 24 * time.Hour
		g.Update(g.settings)
		ask := func(head string) *http.Response {
			t.Helper()
			var conn io.ReadWriter = dial(t, g.addr)
			if secure {
				conn = secureClient(t, g.addr, clientTLS)
			}
			io.WriteString(conn, head)
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		for path, want := range map[string]string{"/": strict, "/own": own} {
			hasOnly(t, ask(get(path, "X-Forwarded-Proto: gopher")).Header, "Strict-Transport-Security", one(want)...)
			h := <-heads
			hasOnly(t, h, "X-Forwarded-Proto", proto)
			hasOnly(t, h, "X-Forwarded-Port", g.port)
			hasOnly(t, h, "Forwarded", `for=127.0.0.1;host="chat.example.com";proto=`+proto)
		}
		for _, head := range []string{get(pollTarget("unknown")), "GET / HTTP/1.1\r\nHost: other.example.com\r\n\r\n"} {
			hasOnly(t, ask(head).Header, "Strict-Transport-Security", one(strict)...)
		}
		g.settings.HSTS = 0
		g.Update(g.settings)
		hasOnly(t, ask(get(pollTarget("unknown"))).Header, "Strict-Transport-Security")
	}
}

// one is a list of s, or of nothing where s is empty.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
