//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sidway/sidway/bench/frame"
)

// work is what one kind of job does on its connections.
type work struct {
	opening []byte                      // what each new connection sends first; nil: nothing
	ask     []byte                      // what each operation sends, unless opened makes a request of c's own
	opened  reader                      // reads the answer to opening
	reads   reader                      // reads the answer to ask
	brief   bool                        // each operation opens a connection of its own, and closes it
	vary    func(c *conn, serial int64) // makes each operation's request another one
}

// reader takes what it understands of b, and tells whether the answer is complete.
type reader func(c *conn, b []byte) (used int, done bool, err error)

// browser are the fields that Chromium sends with a request of the client library, after Host and Connection.
const browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\n"

// The key of every WebSocket handshake (RFC 6455, section 1.3) and the answer to it.
const (
	key    = "dGhlIHNhbXBsZSBub25jZQ=="
	accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func (j Job) work() work {
	upgrade := j.upgrade()
	handshake := j.request("GET", "transport=polling&t=PJ1kMs0", nil)
	switch j.Kind {
	case Poll:
		return work{opening: handshake, opened: j.session("GET", nil), reads: polled}
	case Post:
		return work{opening: handshake, opened: j.session("POST", frame.Message(j.Size)), reads: posted}
	case Handshake:
		return work{ask: handshake, reads: shaken}
	case Connect:
		return work{ask: upgrade, reads: tunnelled, brief: true}
	case Frame:
		return work{opening: upgrade, opened: j.echo(), reads: matched}
	case Fanout:
		return work{opening: upgrade, opened: j.audience(), reads: matched}
	case Page:
		return work{ask: j.page(), reads: paged}
	case Preflight:
		return work{opening: handshake, opened: j.session("OPTIONS", nil), reads: granted}
	case Misfit:
		return work{opening: handshake, opened: j.misfit(), reads: refused}
	case Malformed:
		return work{ask: j.malformed(), reads: closed400, brief: true}
	case Unknown:
		return work{ask: j.unknown(), reads: unknownSID, vary: renumber}
	default:
		return work{opening: upgrade, opened: j.tunnel()}
	}
}

// request returns a request as a browser sends it.
func (j Job) request(method, query string, body []byte) []byte {
	b := fmt.Appendf(nil, "%s /socket.io/?EIO=4&%s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n%s", method, query, j.Addr, browser)
	switch method {
	case "POST":
		b = fmt.Appendf(b, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(body))
	case "OPTIONS":
		b = append(b, "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n"...)
	}
	b = j.appendCookies(b)
	b = fmt.Appendf(b, "Origin: http://%s\r\nReferer: http://%s/\r\n\r\n", j.Addr, j.Addr)
	return append(b, body...)
}

// upgrade returns a direct connect.
func (j Job) upgrade() []byte {
	return fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"+
		"Pragma: no-cache\r\nCache-Control: no-cache\r\n%sUpgrade: websocket\r\nOrigin: http://%s\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", j.Addr, browser, j.Addr, key)
}

// session reads the answer to a handshake and makes the requests of its session.
func (j Job) session(method string, body []byte) reader {
	return func(c *conn, b []byte) (int, bool, error) {
		a, err := readOK(c, b)
		if err != nil || a.size == 0 {
			return 0, false, err
		}
		sid, err := sidOf(a.body)
		if err != nil {
			return 0, false, err
		}
		c.ask = j.request(method, "transport=polling&t=PJ1kMs1&sid="+sid, body)
		return a.size, true, nil
	}
}

// tunnel reads what comes until c's operations may begin: the answer to a direct connect, and to the CONNECT of a session.
func (j Job) tunnel() reader {
	if !j.Events {
		return tunnelled
	}
	connect := frame.Masked([]byte("40"), [4]byte{1, 2, 3, 4})
	return func(c *conn, b []byte) (int, bool, error) {
		if c.connecting {
			return connected(b)
		}
		used, done, err := tunnelled(c, b)
		if done {
			c.connecting = true
			err = c.send(connect)
		}
		return used, false, err
	}
}

// connected reads the answer to a CONNECT: the sid of the Socket.IO session, and the pid by which it can be recovered.
func connected(b []byte) (int, bool, error) {
	h, err := frame.Parse(b)
	used := h.Size + h.Payload
	if err != nil || h.Size == 0 || len(b) < used {
		return 0, false, err
	}
	if packet := b[h.Size:used]; !bytes.HasPrefix(packet, []byte(`40{"sid":"`)) || !bytes.Contains(packet, []byte(`"pid":"`)) {
		return 0, false, fmt.Errorf("not connected: %.100q", packet)
	}
	return used, true, nil
}

// echo reads what comes before c's operations and makes c's frame, which tells the tunnel's number if it is long enough.
func (j Job) echo() reader {
	before := j.tunnel()
	return func(c *conn, b []byte) (int, bool, error) {
		used, done, err := before(c, b)
		if done && c.want == nil {
			payload := j.message(c.slot)
			c.ask, c.want = frame.Masked(payload, [4]byte{byte(c.slot), byte(c.slot >> 8), 0x5a, 0xa5}), frame.Plain(payload)
		}
		return used, done, err
	}
}

// message is what a tunnel sends: an event ends with an offset, as the adapter's do that keep them in a stream.
func (j Job) message(slot int32) []byte {
	payload := frame.Message(j.Size)
	before, after := fmt.Appendf(nil, "4%08d", slot), ""
	if j.Events {
		before, after = fmt.Appendf(nil, `42["message","%08d`, slot), `","1700000000000-0"]`
	}
	if len(before)+len(after) <= len(payload) {
		copy(payload, before)
		copy(payload[len(payload)-len(after):], after)
	}
	return payload
}

// audience reads the answer to a direct connect; what comes to all of them is the same.
func (j Job) audience() reader {
	want := frame.Plain(frame.Message(j.Size))
	return func(c *conn, b []byte) (int, bool, error) {
		c.want = want
		return tunnelled(c, b)
	}
}

// readOK reads a complete answer 200.
func readOK(c *conn, b []byte) (answer, error) {
	a, err := readAnswer(b)
	if err != nil || a.size == 0 {
		return a, err
	}
	if a.status != 200 {
		return a, fmt.Errorf("status %d: %.400q", a.status, b)
	}
	c.foreign, c.last = a.foreign, a.last
	return a, nil
}

// polled reads the answer to a poll: a message.
func polled(c *conn, b []byte) (int, bool, error) {
	a, err := readOK(c, b)
	if err == nil && a.size > 0 && (len(a.body) == 0 || a.body[0] != '4') {
		err = fmt.Errorf("no message: %.40q", a.body)
	}
	return a.size, a.size > 0, err
}

// posted reads the answer to a POST: ok.
func posted(c *conn, b []byte) (int, bool, error) {
	a, err := readOK(c, b)
	if err == nil && a.size > 0 && string(a.body) != "ok" {
		err = fmt.Errorf("not ok: %.40q", a.body)
	}
	return a.size, a.size > 0, err
}

// shaken reads the answer to a handshake: an open packet.
func shaken(c *conn, b []byte) (int, bool, error) {
	a, err := readOK(c, b)
	if err == nil && a.size > 0 && !isOpen(a.body) {
		err = fmt.Errorf("no open packet: %.40q", a.body)
	}
	return a.size, a.size > 0, err
}

// tunnelled reads the answer to a direct connect: 101 and a frame with the open packet.
func tunnelled(_ *conn, b []byte) (int, bool, error) {
	a, err := readAnswer(b)
	if err != nil || a.size == 0 {
		return 0, false, err
	}
	if a.status != 101 || string(a.accept) != accept {
		return 0, false, fmt.Errorf("no upgrade: %.400q", b)
	}
	h, err := frame.Parse(b[a.size:])
	used := a.size + h.Size + h.Payload
	if err != nil || h.Size == 0 || len(b) < used {
		return 0, false, err
	}
	if packet := b[a.size+h.Size : used]; h.Masked || h.First != frame.Text || !isOpen(packet) {
		return 0, false, fmt.Errorf("no open packet: %.40q", packet)
	}
	return used, true, nil
}

// matched compares b with what c is owed, byte by byte.
func matched(c *conn, b []byte) (int, bool, error) {
	owed := c.want[c.got:]
	n := min(len(owed), len(b))
	if !bytes.Equal(b[:n], owed[:n]) {
		return 0, false, errors.New("another frame came than was sent")
	}
	if c.got += n; c.got < len(c.want) {
		return n, false, nil
	}
	c.got = 0
	return n, true, nil
}

// open is how an open packet begins, up to the sid's first character.
const open = `0{"sid":"`

func isOpen(packet []byte) bool {
	return bytes.HasPrefix(packet, []byte(open)) && packet[len(packet)-1] == '}'
}

func sidOf(packet []byte) (string, error) {
	if !isOpen(packet) {
		return "", fmt.Errorf("no open packet: %.40q", packet)
	}
	sid, _, _ := bytes.Cut(packet[len(open):], []byte(`"`))
	return string(sid), nil
}
