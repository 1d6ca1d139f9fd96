package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
)

// Whoever may open a Unix socket is trusted to say where requests come from. It is no hop of a network, so that the addresses which
// nodes see are those that they would see without it.
func TestClientBehindUnixSocket(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	heads := make(chan http.Header, 1)
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		heads <- r.Header.Clone()
		c.send(answer(200, "ok"))
	})
	startGateway(t, withNodes(n), func(o *siteOptions) { o.listener = l })
	for lines, want := range map[string]struct{ list, ip, proto, forwarded string }{
		"": {"unknown", "unknown", "http", `for=unknown;host="h";proto=http`},
		"X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\nX-Forwarded-Proto: https\r\n": {
			"6.6.6.6, 9.9.9.9", "9.9.9.9", "https", `for=9.9.9.9;host="h";proto=https, for=unknown`,
		},
	} {
		c, err := (&net.Dialer{}).DialContext(context.Background(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+lines+"\r\n")
		io.Copy(io.Discard, c)
		c.Close()
		h := <-heads
		hasOnly(t, h, "X-Forwarded-For", want.list)
		hasOnly(t, h, "X-Real-IP", want.ip)
		hasOnly(t, h, "X-Forwarded-Proto", want.proto)
		hasOnly(t, h, "Forwarded", want.forwarded)
	}
}
