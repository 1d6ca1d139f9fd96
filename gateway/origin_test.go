package gateway_test

import (
	"log/slog"
	"strings"
	"testing"
)

// TestClientBehindTrustedProxies has what balancers in front say of where a request comes from, and what strangers behind
// them want to be believed. 127.0.0.1 is the balancer, 10.0.0.0/8 are others.
func TestClientBehindTrustedProxies(t *testing.T) {
	t.Parallel()
	g, send := echoed(t, withTrusted("127.0.0.0/8", "10.0.0.0/8", "fd00::/8"))
	const host = `host="chat.example.com"`
	hop := "for=127.0.0.1;" + host + ";proto=" + ownScheme // as it is appended
	for name, c := range map[string]struct {
		lines                            string
		ip, list, forwarded, proto, port string
	}{
		"the balancer says nothing": {"", "127.0.0.1", "127.0.0.1", hop, ownScheme, g.port},
		"one balancer":              {"X-Forwarded-For: 9.9.9.9", "9.9.9.9", "9.9.9.9, 127.0.0.1", "for=9.9.9.9;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port},
		"TLS at the balancer": {
			"X-Forwarded-For: 9.9.9.9\nX-Forwarded-Proto: https", "9.9.9.9", "9.9.9.9, 127.0.0.1",
			"for=9.9.9.9;" + host + ";proto=https, for=127.0.0.1", "https", "443",
		},
		"TLS, and no word of the client": {"X-Forwarded-Proto: https", "127.0.0.1", "127.0.0.1", "for=127.0.0.1;" + host + ";proto=https", "https", "443"},
		"another port": {
			"X-Forwarded-For: 9.9.9.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: a.example:8443", "9.9.9.9", "9.9.9.9, 127.0.0.1",
			`for=9.9.9.9;host="a.example:8443";proto=https, for=127.0.0.1`, "https", "8443",
		},
		"two balancers": {
			"X-Forwarded-For: 9.9.9.9, 10.1.2.3", "9.9.9.9", "9.9.9.9, 10.1.2.3, 127.0.0.1",
			"for=9.9.9.9;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port,
		},
		"a stranger's list in front": {
			"X-Forwarded-For: 6.6.6.6, 10.6.6.6\nX-Forwarded-For: 9.9.9.9", "9.9.9.9", "6.6.6.6, 10.6.6.6, 9.9.9.9, 127.0.0.1",
			"for=9.9.9.9;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port,
		},
		"all are trusted": {"X-Forwarded-For: 10.0.0.2, 10.0.0.1", "10.0.0.2", "10.0.0.2, 10.0.0.1, 127.0.0.1", "for=10.0.0.2;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port},
		"with a port":     {"X-Forwarded-For: 9.9.9.9:1234", "9.9.9.9", "9.9.9.9:1234, 127.0.0.1", "for=9.9.9.9;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port},
		"IPv6": {
			"X-Forwarded-For: 2001:db8::7, [fd00::1]:80", "2001:db8::7", "2001:db8::7, [fd00::1]:80, 127.0.0.1",
			`for="[2001:db8::7]";` + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port,
		},
		"nonsense":             {"X-Forwarded-For: 6.6.6.6, <script>, 10.0.0.1", "10.0.0.1", "6.6.6.6, <script>, 10.0.0.1, 127.0.0.1", "for=10.0.0.1;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port},
		"a stranger's real IP": {"X-Real-IP: 6.6.6.6", "127.0.0.1", "127.0.0.1", hop, ownScheme, g.port},
		"both, that agree": {
			"X-Forwarded-For: 9.9.9.9\nForwarded: for=9.9.9.9;proto=http", "9.9.9.9", "9.9.9.9, 127.0.0.1",
			"for=9.9.9.9;proto=http, " + hop, "http", "80",
		},
		"a stranger's Forwarded": {
			"X-Forwarded-For: 9.9.9.9\nForwarded: for=6.6.6.6;proto=https", "9.9.9.9", "9.9.9.9, 127.0.0.1",
			"for=9.9.9.9;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port,
		},
		"a stranger's Forwarded with another protocol": {
			"X-Forwarded-For: 9.9.9.9\nX-Forwarded-Proto: http\nForwarded: for=9.9.9.9;proto=https", "9.9.9.9", "9.9.9.9, 127.0.0.1",
			"for=9.9.9.9;" + host + ";proto=http, for=127.0.0.1", "http", "80",
		},
		"Forwarded alone": {
			`Forwarded: for=6.6.6.6, For="[2001:db8::7]:99" ; Proto=https; host="a,b;c", for=10.0.0.1`, "2001:db8::7", "2001:db8::7, 127.0.0.1",
			`for=6.6.6.6, For="[2001:db8::7]:99" ; Proto=https; host="a,b;c", for=10.0.0.1, ` + hop, "https", "443",
		},
		"Forwarded with an open quote": {
			`Forwarded: for="6.6.6.6, for=9.9.9.9;proto=https`, "9.9.9.9", "9.9.9.9, 127.0.0.1",
			"for=9.9.9.9;" + host + ";proto=" + ownScheme + ", for=127.0.0.1", ownScheme, g.port,
		},
		"a hidden client": {
			"Forwarded: for=_hidden;proto=https", "127.0.0.1", "127.0.0.1", "for=_hidden;proto=https, " + hop, "https", "443",
		},
	} {
		var lines []string
		if c.lines != "" {
			lines = strings.Split(c.lines, "\n")
		}
		h := send(get("/open", lines...))
		for field, want := range map[string]string{
			"X-Real-Ip": c.ip, "X-Forwarded-For": c.list, "Forwarded": c.forwarded, "X-Forwarded-Proto": c.proto, "X-Forwarded-Port": c.port,
		} {
			if got := h.Values(field); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q, not %q", name, field, got, want)
			}
		}
	}
}

func TestAccessLogTellsTheClientBehindTheBalancer(t *testing.T) {
	t.Parallel()
	var lines syncBuffer
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n), withTrusted("127.0.0.0/8"), withAccessLog(slog.New(slog.NewJSONHandler(&lines, nil))))
	for _, target := range []string{handshakeTarget, "/open", "/socket.io/?EIO=9"} {
		c := raw(t, g.addr, get(target, "X-Forwarded-For: 6.6.6.6, 9.9.9.9"))
		c.answer()
		c.Close()
	}
	eventually(t, "three lines", func() bool { return strings.Count(lines.String(), `"client":"9.9.9.9"`) == 3 })
}
