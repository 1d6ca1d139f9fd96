package gateway_test

import (
	"strings"
	"testing"
)

// asks are the lines of an opening handshake with some of them replaced: by name, "" leaves one out.
func asks(changes ...string) []string {
	var lines []string
	for _, l := range asksWebSocket {
		name, _, _ := strings.Cut(l, ":")
		keep := true
		for _, c := range changes {
			changed, _, _ := strings.Cut(c, ":")
			keep = keep && changed != name
		}
		if keep {
			lines = append(lines, l)
		}
	}
	for _, c := range changes {
		if strings.Contains(c, ":") {
			lines = append(lines, c)
		}
	}
	return lines
}

// badUpgrades ask for a WebSocket in a way that nodes and gateways disagree on.
var badUpgrades = map[string]string{
	"by POST":            "POST %s HTTP/1.1\r\n" + host + strings.Join(asks(), "\r\n") + "\r\nContent-Length: 0\r\n\r\n",
	"by HEAD":            "HEAD %s HTTP/1.1\r\n" + host + strings.Join(asks(), "\r\n") + "\r\n\r\n",
	"version 12":         get("%s", asks("Sec-WebSocket-Version: 12")...),
	"two versions":       get("%s", asks("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13")...),
	"no version":         get("%s", asks("Sec-WebSocket-Version")...),
	"no key":             get("%s", asks("Sec-WebSocket-Key")...),
	"key empty":          get("%s", asks("Sec-WebSocket-Key:")...),
	"key of 15 bytes":    get("%s", asks("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA")...),
	"key of 17 bytes":    get("%s", asks("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=")...),
	"key not base64":     get("%s", asks("Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==")...),
	"two keys":           get("%s", asks("Sec-WebSocket-Key: "+socketKey, "Sec-WebSocket-Key: "+socketKey)...),
	"body by length":     get("%s", asks("Content-Length: 5")...) + "hello",
	"body in chunks":     get("%s", asks(chunked)...) + "5\r\nhello\r\n0\r\n\r\n",
	"length of nothing+": get("%s", asks("Content-Length: 1")...) + "h",
}

// A WebSocket that is asked for wrongly reaches no node, on whatever path, and nothing behind it is a request.
func TestBadUpgrade(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	for name, head := range badUpgrades {
		for _, target := range []string{upgradeTarget(aSID), directTarget, "/open"} {
			t.Run(name+" "+target, func(t *testing.T) {
				c := raw(t, g.addr, strings.Replace(head, "%s", target, 1)+hidden)
				method, _, _ := strings.Cut(head, " ")
				r := c.answerTo(method)
				if r.StatusCode != 400 {
					t.Errorf("answered %d %q", r.StatusCode, r.Text)
				}
				if method == "GET" && target != "/open" && r.Text != "Bad request" {
					t.Errorf("answered %q", r.Text)
				}
				if method != "HEAD" { // an answer to HEAD has no body
					c.refused(r)
				}
				if got := n.received(); got != "" {
					t.Errorf("the node received …%q", tail([]byte(got)))
				}
			})
		}
	}
	for name, head := range map[string]string{
		"no Connection":      get("%s", asks("Connection")...),
		"Connection for h2c": get("%s", asks("Connection: HTTP2-Settings")...),
		"no Upgrade":         get("%s", asks("Upgrade")...),
		"HTTP/1.0":           strings.Replace(get("%s", asks()...), "HTTP/1.1", "HTTP/1.0", 1),
		"websocket and h2c":  get("%s", asks("Upgrade: websocket, h2c")...),
		"two Upgrades":       get("%s", asks("Upgrade: h2c", "Upgrade: websocket")...),
		"h2c":                get("%s", asks("Upgrade: h2c")...),
	} {
		for _, target := range []string{upgradeTarget(aSID), directTarget} {
			t.Run(name+" "+target, func(t *testing.T) {
				c := raw(t, g.addr, strings.Replace(head, "%s", target, 1)+hidden)
				r := c.answer()
				if r.StatusCode != 400 {
					t.Errorf("answered %d %q", r.StatusCode, r.Text)
				}
				c.refused(r)
				if got := n.received(); got != "" {
					t.Errorf("the node received …%q", tail([]byte(got)))
				}
			})
		}
	}
}

// An answer to HEAD has no body, whoever makes it: its bytes would be taken for the next answer.
func TestRefusedHEAD(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	g := startGateway(t, withCluster("chat.example.com", "/socket.io/", n))
	for name, head := range map[string]string{
		"query":     request("HEAD", handshakeTarget, ""),
		"path":      request("HEAD", "/%73ocket.io/", ""),
		"WebSocket": request("HEAD", "/open", "", asks()...),
		"host":      "HEAD /open HTTP/1.1\r\nHost: other.example.com\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := raw(t, g.addr, head)
			r := c.answerTo("HEAD")
			if r.StatusCode != 400 && r.StatusCode != 404 {
				t.Errorf("answered %d", r.StatusCode)
			}
			c.refused(r)
		})
	}
}

// Upgrades to other protocols are not asked for on: the request goes on as an ordinary one.
func TestOtherUpgradesAreDropped(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	g.bind(aSID, n)
	for _, target := range []string{"/open", handshakeTarget, pollTarget(aSID)} {
		for _, lines := range [][]string{
			{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"},
			{"Connection: Upgrade", "Upgrade: TLS/1.0, HTTP/1.1"},
			{"Upgrade: h2c"},
			{"Connection: Upgrade", "Upgrade: websocket, h2c"},
		} {
			c := raw(t, g.addr, get(target, lines...))
			if r := c.answer(); r.StatusCode != 200 {
				t.Errorf("%q: answered %d %q", lines, r.StatusCode, r.Text)
			}
			c.kept()
		}
	}
	got := strings.ToLower(n.received())
	for _, gone := range []string{"upgrade", "h2c", "http2-settings", "connection"} {
		if strings.Contains(got, gone) {
			t.Errorf("%q went on to the node", gone)
		}
	}
}

// A node that refuses an upgrade may keep its connection; it is not used again, since what the node thinks was sent on
// it is unknown. The same with a 101 that does not fit.
func TestRefusedUpgradeIsNotPooled(t *testing.T) {
	t.Parallel()
	wrongAccept := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
	for name, c := range map[string]struct {
		answer string
		status int
	}{
		"426":               {answer(426, "no", "Connection: keep-alive", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), 426},
		"400":               {answer(400, `{"code":1,"message":"Session ID unknown"}`, "Connection: keep-alive"), 400},
		"200":               {answer(200, "ok"), 200},
		"401 in chunks":     {head(401, chunked) + "2\r\nno\r\n0\r\n\r\n", 401},
		"wrong accept":      {wrongAccept, 502},
		"no accept":         {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502},
		"another protocol":  {strings.Replace(switchingTo(socketAccept), "websocket", "h2c", 1), 502},
		"two protocols":     {strings.Replace(switchingTo(socketAccept), "websocket", "websocket, h2c", 1), 502},
		"no Connection":     {strings.Replace(switchingTo(socketAccept), "Connection: Upgrade\r\n", "", 1), 502},
		"101 with a length": {strings.Replace(switchingTo(socketAccept), "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", 1), 502},
		"101 in HTTP/1.0":   {strings.Replace(switchingTo(socketAccept), "HTTP/1.1", "HTTP/1.0", 1), 502},
	} {
		for _, target := range []string{upgradeTarget(aSID), directTarget, "/open"} {
			t.Run(name+" "+target, func(t *testing.T) {
				t.Parallel()
				n := startNode(t, "n1", func(nc *nodeConn, r *nodeRequest) {
					if r.Header.Get("Upgrade") != "" {
						nc.send(c.answer)
						return
					}
					engine(aSID)(nc, r)
				})
				g := startGateway(t, withNodes(n))
				g.bind(aSID, n)
				ws := raw(t, g.addr, get(target, asksWebSocket...)+hidden)
				r := ws.answer()
				if r.StatusCode != c.status || r.Err != nil {
					t.Errorf("answered %d %q, %v", r.StatusCode, r.Text, r.Err)
				}
				ws.refused(r)
				first := n.conn(0)
				first.awaitEnd()
				if strings.Contains(n.received(), "/hidden") {
					t.Error("the bytes behind the refused upgrade went on")
				}
				raw(t, g.addr, get("/kept")).answer()
				if got := len(n.all()); got != 2 || first.wholeRequests() != 1 {
					t.Errorf("%d connections, %d requests on the first", got, first.wholeRequests())
				}
			})
		}
	}
}

// switchingTo is a 101 with this accept key.
func switchingTo(accept string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n"
}

// What a client sends before it was let in reaches the node behind the 101, as the tunnel's first bytes.
func TestEarlyBytesWait(t *testing.T) {
	t.Parallel()
	for _, target := range []string{upgradeTarget(aSID), directTarget, "/open"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				<-release
				c.send(switching(r) + frame(openPacket(aSID)))
			})
			g := startGateway(t, withNodes(n))
			g.bind(aSID, n)
			ws := raw(t, g.addr, get(target, asksWebSocket...)+"early")
			n.conn(0).await("\r\n\r\n")
			ws.send(" and earlier")
			if got := string(n.conn(0).bytes()); !strings.HasSuffix(got, "\r\n\r\n") {
				t.Errorf("early bytes went on before the 101: %q", got)
			}
			close(release)
			if r := ws.start("GET"); r.StatusCode != 101 || r.Header.Get("Sec-WebSocket-Accept") != socketAccept {
				t.Fatalf("answered %d", r.StatusCode)
			}
			ws.read(len(frame(openPacket(aSID))))
			ws.send(", late")
			n.conn(0).await("\r\n\r\nearly and earlier, late")
		})
	}
}

// The node is asked for a WebSocket in one form, however the client put it; offers of subprotocols and extensions pass.
func TestUpgradeAsForwarded(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n))
	ws := raw(t, g.addr, get(directTarget, "Connection: keep-alive, UPGRADE , X-Hop", "Upgrade: WebSocket", "X-Hop: a",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+socketKey, "Sec-WebSocket-Protocol: chat",
		"Sec-WebSocket-Extensions: permessage-deflate", "Cookie: a=b", "Origin: https://page.example"))
	if r := ws.start("GET"); r.StatusCode != 101 {
		t.Fatalf("answered %d", r.StatusCode)
	}
	got := string(n.conn(0).bytes())
	for _, want := range []string{
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n", "\r\nCookie: a=b\r\n",
		"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n", "\r\nOrigin: https://page.example\r\n", "\r\nSec-WebSocket-Key: " + socketKey + "\r\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is not once in %q", want, got)
		}
	}
	if strings.Contains(got, "X-Hop") || strings.Count(strings.ToLower(got), "upgrade:") != 1 {
		t.Errorf("the node received %q", got)
	}
}
