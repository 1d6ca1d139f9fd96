//go:build linux

package node

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"strconv"

	"github.com/sidway/sidway/bench/frame"
)

const (
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// portAt is which character of a sid tells the node's place among the addresses.
	portAt = 2

	text = "text/plain; charset=UTF-8"
	html = "text/html"

	guid    = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	refusal = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 34\r\nConnection: close\r\n\r\n" +
		`{"code":3,"message":"Bad request"}`
)

// polled is what every poll brings.
const polled = `42["message","hello"]`

// noSession begins the sids that no node has made.
var noSession = []byte("unknown")

// What stands in the answers besides 200.
const (
	unknown = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 41\r\nConnection: keep-alive\r\n\r\n" +
		`{"code":1,"message":"Session ID unknown"}`
	granted = "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET,POST\r\n" +
		"Access-Control-Allow-Headers: authorization\r\nVary: Access-Control-Request-Headers\r\nContent-Length: 0\r\n" +
		"Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n"
)

// pageBody is an ordinary answer's.
var pageBody = bytes.Repeat([]byte("<p>It is a page.</p>............"), 64)

// refuse answers a request that is none, and closes.
func (n *Node) refuse(c *conn) error {
	c.last = true
	n.stats.Refused++
	return n.write(c, []byte(refusal))
}

// reply answers r as engine.io does.
func (n *Node) reply(c *conn, r *request, body []byte) error {
	foreign := r.sid != nil && !bytes.HasPrefix(r.sid, noSession) && (len(r.sid) <= portAt || r.sid[portAt] != alphabet[c.port])
	if foreign {
		n.stats.Foreign++
	}
	var open [128]byte
	switch {
	case r.page:
		n.stats.Pages++
		return n.ok(c, html, pageBody, false)
	case r.options:
		n.stats.Preflights++
		return n.fixed(c, granted)
	case bytes.HasPrefix(r.sid, noSession):
		n.stats.Unknown++
		return n.fixed(c, unknown)
	case r.websocket != r.upgrade, r.upgrade && (r.key == nil || !r.get), r.post && (r.sid == nil || len(body) == 0):
		return n.refuse(c)
	case r.upgrade:
		return n.upgrade(c, r)
	case r.sid == nil:
		n.stats.Handshakes++
		return n.ok(c, text, n.open(open[:0], c.port, `["websocket"]`), false)
	case r.post:
		n.stats.Posts++
		return n.ok(c, html, append(open[:0], "ok"...), foreign)
	default:
		n.stats.Polls++
		return n.ok(c, text, append(open[:0], polled...), foreign)
	}
}

// fixed gives an answer that is the same for everybody.
func (n *Node) fixed(c *conn, answer string) error {
	n.answer = append(n.answer[:0], answer...)
	return n.write(c, n.answer)
}

// ok answers 200, with the fields of Node's engine.io in their order.
func (n *Node) ok(c *conn, contentType string, body []byte, foreign bool) error {
	b := append(n.answer[:0], "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: "...)
	b = append(b, contentType...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\ncache-control: no-store\r\nDate: "...)
	b = append(b, n.date[:]...)
	if foreign {
		b = append(b, "\r\nX-Foreign: 1"...)
	}
	if c.last {
		b = append(b, "\r\nConnection: close\r\n\r\n"...)
	} else {
		b = append(b, "\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n"...)
	}
	n.answer = append(b, body...)
	return n.write(c, n.answer)
}

// upgrade answers 101; a direct connect gets its open packet in the same write.
func (n *Node) upgrade(c *conn, r *request) error {
	c.speaks, c.last = frames, false
	n.stats.Connects++
	n.stats.Tunnels++
	b := append(n.answer[:0], r.key...)
	sum := sha1.Sum(append(b, guid...))
	b = append(b[:0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	b = append(b, "\r\n\r\n"...)
	if r.sid == nil {
		var open [128]byte
		packet := n.open(open[:0], c.port, "[]")
		b = append(frame.AppendHead(b, frame.Text, len(packet)), packet...)
	}
	n.answer = b
	return n.write(c, n.answer)
}

// open appends an open packet with a new sid.
func (n *Node) open(b []byte, port int, upgrades string) []byte {
	b = append(b, `0{"sid":"`...)
	from := len(b)
	b = n.appendID(b)
	b[from+portAt] = alphabet[port]
	b = append(b, `","upgrades":`...)
	b = append(b, upgrades...)
	return append(b, `,"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`...)
}

// appendID appends 20 characters by chance.
func (n *Node) appendID(b []byte) []byte {
	for range 2 {
		for r, i := n.random.Uint64(), 0; i < 10; i++ {
			b = append(b, alphabet[r&63])
			r >>= 6
		}
	}
	return b
}
