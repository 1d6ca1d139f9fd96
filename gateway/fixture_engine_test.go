package gateway_test

import (
	"fmt"
	"io"
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// answer is an answer with its length, these further lines and a body.
func answer(status int, body string, lines ...string) string {
	return head(status, append(lines, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
}

// head is the head of an answer, with a kept connection announced as Node's servers do it.
func head(status int, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d Whatever\r\nKeep-Alive: timeout=5\r\n", status)
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	return b.String() + "\r\n"
}

// plainly answers every request with its node's name, its method and path, and the body that it had.
func plainly(c *nodeConn, r *nodeRequest) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the request was cut
	}
	said := fmt.Sprintf("%s %s %s %s", c.node.name, r.Method, r.URL.Path, body)
	if r.Method == "HEAD" {
		c.send(head(200, fmt.Sprintf("Content-Length: %d", len(said))))
		return
	}
	c.send(answer(200, said))
}

// openPacket is an EIO 4 open packet with the default timers.
func openPacket(sid string) string {
	return `0{"sid":"` + sid + `","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
}

// switching is a 101 that accepts the request's key.
func switching(r *nodeRequest) string {
	accept := http1.AcceptKey(r.Header.Get("Sec-WebSocket-Key"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		string(accept[:]) + "\r\n\r\n"
}

// frame is an unmasked text frame of up to 65535 bytes, as a server sends it.
func frame(text string) string {
	if len(text) < 126 {
		return "\x81" + string(rune(len(text))) + text
	}
	return string([]byte{0x81, 126, byte(len(text) >> 8), byte(len(text))}) + text
}

// engine answers as an Engine.IO node does that gives every session this sid: handshake, poll (a noop at once), POST,
// preflight, upgrade and direct connect; and plainly whatever is not Engine.IO's.
func engine(sid string) answerer {
	return func(c *nodeConn, r *nodeRequest) {
		q := r.URL.Query()
		switch {
		case !strings.HasPrefix(r.URL.Path, "/socket.io/"):
			plainly(c, r)
		case r.Method == "OPTIONS":
			c.send(head(204, "Access-Control-Allow-Origin: "+r.Header.Get("Origin")))
		case q.Get("transport") == "websocket" && q.Get("sid") != "":
			c.send(switching(r))
		case q.Get("transport") == "websocket":
			c.send(switching(r) + frame(openPacket(sid)))
		case q.Get("sid") == "":
			c.send(answer(200, openPacket(sid), "Content-Type: text/plain; charset=UTF-8"))
		case r.Method == "POST":
			if _, err := io.ReadAll(r.Body); err == nil {
				c.send(answer(200, "ok", "Content-Type: text/html"))
			}
		default:
			c.send(answer(200, "6", "Content-Type: text/plain; charset=UTF-8"))
		}
	}
}

// holding is engine, but for requests of sessions, which are answered when release is closed.
func holding(release <-chan struct{}, sid string) answerer {
	return func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "sid=") {
			<-release
		}
		engine(sid)(c, r)
	}
}

// readAll reads what came of a request's body.
func readAll(r *nodeRequest) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// silent never answers; it reads whatever comes until the gateway ends the connection.
func silent(c *nodeConn, _ *nodeRequest) { <-c.gone }
