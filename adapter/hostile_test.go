package adapter_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// maskedFrame is a frame as a client sends it, with a mask of zeros.
func maskedFrame(opcode byte, payload string) []byte {
	b := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

const upgradeHead = "GET /socket.io/?EIO=%d&transport=websocket%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// rawUpgrade opens a WebSocket and sends frames as soon as the 101 has begun.
func rawUpgrade(server *proc, query string, eio int, frames ...[]byte) error {
	c, err := net.Dial("tcp", strings.TrimPrefix(server.url(), "http://"))
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patienceLimit / 10))
	if _, err := fmt.Fprintf(c, upgradeHead, eio, query); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	if _, err := r.Peek(1); err != nil {
		return nil // refused: fine
	}
	for _, f := range frames {
		if _, err := c.Write(f); err != nil {
			return nil
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, _ = io.Copy(io.Discard, r)
	return nil
}

func earlyPong(t *testing.T, server *proc) error {
	for range 100 {
		if err := rawUpgrade(server, "", 4, maskedFrame(1, "3")); err != nil {
			return fmt.Errorf("the server is gone: %w", err)
		}
	}
	return alive(t, server)
}

// hostile are inputs that no client of good will sends.
var hostile = []struct {
	name string
	send func(t *testing.T, server *proc)
}{
	{"event without payload", frames("42")},
	{"event with empty list", frames("42[]")},
	{"event with number as name", frames("42[1]")},
	{"event with null as name", frames("42[null]")},
	{"event with an object", frames(`42{"a":1}`)},
	{"event with a reserved name", frames(`42["connection"]`, `42["disconnect"]`, `42["newListener"]`, `42["error"]`)},
	{"event of another namespace", frames(`42/other,["x"]`)},
	{"event with id only", frames("4212")},
	{"event with huge id", frames(`4299999999999999999999["x"]`)},
	{"event with broken JSON", frames(`42["x"`, `42["x",]`, `42[\u0000`)},
	{"event nested deeply", frames(`42["x",` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "]")},
	{"event nested too deeply", frames(`42["x",` + strings.Repeat("[", 200_000))},
	{"event with empty name", frames(`42[""]`)},
	{"binary event without payload", frames("450-")},
	{"binary event without count", frames("45-", "45", "45a-")},
	{"binary event with huge count", frames(`4599999999999-["x",{"_placeholder":true,"num":0}]`)},
	{"binary event whose attachment is text", frames(`451-["x",{"_placeholder":true,"num":0}]`, "text")},
	{"binary event with wrong number", frames(`451-["x",{"_placeholder":true,"num":7}]`, "\x00bin")},
	{"binary event with negative number", frames(`451-["x",{"_placeholder":true,"num":-1}]`, "\x00bin")},
	{"binary event with fraction", frames(`451-["x",{"_placeholder":true,"num":1e300}]`, "\x00bin")},
	{"binary event as its own name", frames(`451-[{"_placeholder":true,"num":0}]`, "\x00bin")},
	{"binary event left incomplete", frames(`452-["x",{"_placeholder":true,"num":0}]`, "\x00bin")},
	{"attachment out of nowhere", frames("\x00bin")},
	{"acknowledgement without payload", frames("430", "43")},
	{"acknowledgement of nothing", frames(`43999["x"]`)},
	{"acknowledgement without id", frames(`43["x"]`)},
	{"acknowledgement with an object", frames(`431{"a":1}`)},
	{"binary acknowledgement without payload", frames("460-1")},
	{"connect twice", frames("40", "40", "40")},
	{"connect with a list", frames(`40["x"]`)},
	{"connect with text", frames(`40"x"`)},
	{"connect to many namespaces", frames(`40/a,`, `40/b,`, "40/dynamic-1,", "40/dynamic-2,{}", "40/"+strings.Repeat("n", 5000)+",")},
	{"connect to strange namespaces", frames(`40/../..,`, "40/\x00,", "40//,", `40/*,`, "40/[a,")},
	{"recovery of nothing", frames(`40/chat,{"pid":"x","offset":"y"}`, `40/chat,{"pid":{},"offset":[1]}`)},
	{"connect error from the client", frames(`44{"message":"x"}`, "44")},
	{"disconnect twice", frames("41", "41")},
	{"unknown packet types", frames("47", "48[]", "4z", "4", "")},
	{"unknown engine packets", frames("9", "z", "\xff\xfe")},
	{"engine open, upgrade and noop from the client", frames("0", "5", "6", "2probe", "3probe")},
	{"pings of the wrong direction", frames("2", "2", "3", "3", "3")},
	{"engine close", frames("1", "42[\"x\"]")},
	{"frame with the request", func(_ *testing.T, s *proc) {
		for range 20 {
			_ = rawUpgrade(s, "", 4, maskedFrame(1, "3"), maskedFrame(1, "40"), maskedFrame(1, "42"))
		}
	}},
	{"EIO 3 frames", func(_ *testing.T, s *proc) {
		_ = rawUpgrade(s, "", 3, maskedFrame(1, "2"), maskedFrame(1, "42"), maskedFrame(1, "40/a?x=1"), maskedFrame(2, "\x04\x32"), maskedFrame(2, ""))
	}},
	{"broken WebSocket frames", func(_ *testing.T, s *proc) {
		_ = rawUpgrade(s, "", 4, []byte{0xff, 0xff, 1, 2, 3}, []byte{0x81, 0x05, 'p', 'l', 'a', 'i', 'n'})
		_ = rawUpgrade(s, "", 4, maskedFrame(8, "\x03\xe8bye"), maskedFrame(1, "40"))
		_ = rawUpgrade(s, "", 4, maskedFrame(8, "x"), maskedFrame(9, "ping"), maskedFrame(10, "pong"), maskedFrame(0, "lone"))
		_ = rawUpgrade(s, "", 4, append([]byte{0x81, 0xff}, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0))
	}},
	{"frame above the limit", frames("4" + strings.Repeat("x", 2_000_000))},
	{"upgrades that do not fit", func(_ *testing.T, s *proc) {
		_ = rawUpgrade(s, "&sid=unknown", 4)
		url, _, err := handshake(s, nil)
		if err == nil {
			_, sid, _ := strings.Cut(url, "&sid=")
			for range 3 {
				_ = rawUpgrade(s, "&sid="+sid, 4, maskedFrame(1, "2probe"), maskedFrame(1, "42[\"x\"]"), maskedFrame(1, "5"), maskedFrame(1, "5"))
			}
		}
	}},
	{"requests that do not fit", requests(
		"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=webtransport HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=polling&sid=%00 HTTP/1.1\r\nHost: x\r\nOrigin: \x01\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=polling&j=%3Cscript HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/?EIO=99999999999999999999&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
	)},
	{"polling payloads", posts("", "4", "42", "\x1e", "\x1e\x1e", "42\x1e42", "b!!!", "bAAA", "9", "1", "\xff\xfe", "40\x1e42[\"x\"]\x1e450-",
		strings.Repeat("\x1e", 100_000), strings.Repeat("2\x1e", 10_000))},
	{"JSONP payloads", jsonpPosts("d=", "d=42", "x=1", "d=%", "d=1%3A2", "d=99999999%3A4")},
	{"EIO 3 payloads", eio3Posts("", ":", "1:", "-1:4", "99999999999999999999:4", "2:42", "3:4é", "1:2", "5:450-", "0:", "1000000:x")},
	{"poll twice and leave", func(t *testing.T, s *proc) {
		url, _, err := handshake(s, nil)
		if err != nil {
			return
		}
		path := strings.TrimPrefix(url, s.url())
		for range 3 {
			rawRequest(s, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		rawRequest(s, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4")
	}},
}

// frames sends frames on a connected WebSocket; one that begins with a zero byte is binary.
func frames(list ...string) func(*testing.T, *proc) {
	return func(t *testing.T, server *proc) {
		c, err := dialSocket(t, server)
		if err != nil {
			t.Errorf("no connection: %v", err)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), patienceLimit/100)
		defer cancel()
		for _, f := range list {
			kind := websocket.MessageText
			if strings.HasPrefix(f, "\x00") {
				kind = websocket.MessageBinary
			}
			if c.Write(ctx, kind, []byte(f)) != nil {
				break
			}
		}
		_, _, _ = c.Read(ctx)
		_ = c.CloseNow()
	}
}

func rawRequest(server *proc, text string) {
	c, err := net.Dial("tcp", strings.TrimPrefix(server.url(), "http://"))
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, text)
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	_, _ = io.Copy(io.Discard, c)
}

func requests(list ...string) func(*testing.T, *proc) {
	return func(_ *testing.T, server *proc) {
		for _, text := range list {
			rawRequest(server, text)
		}
	}
}

func posts(list ...string) func(*testing.T, *proc)      { return postsTo("", list) }
func jsonpPosts(list ...string) func(*testing.T, *proc) { return postsTo("&j=0", list) }

func postsTo(query string, list []string) func(*testing.T, *proc) {
	return func(_ *testing.T, server *proc) {
		for _, body := range list {
			if url, _, err := handshake(server, nil); err == nil {
				_, _, _ = post(url+query, strings.NewReader(body))
			}
		}
	}
}

func eio3Posts(list ...string) func(*testing.T, *proc) {
	return func(_ *testing.T, server *proc) {
		for _, body := range list {
			if url, err := handshake3(server); err == nil {
				_, _, _ = post(url, strings.NewReader(body))
				_, _, _ = postBinary(url, body)
			}
		}
	}
}

// handshake3 begins a polling session of EIO 3.
func handshake3(server *proc) (url string, err error) {
	url = server.url() + "/socket.io/?EIO=3&transport=polling&b64=1"
	a, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	_, rest, _ := strings.Cut(string(b), `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	return url + "&sid=" + sid, err
}

func postBinary(url, body string) (int, string, error) {
	a, err := http.Post(url, "application/octet-stream", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	return a.StatusCode, "", a.Body.Close()
}

// TestHostile sends the hostile inputs to a hardened server and looks, after each, whether it serves on.
func TestHostile(t *testing.T) {
	server, err := launchServer(t, "{}")
	if err != nil {
		t.Fatal(err)
	}
	if len(hostile) < 50 {
		t.Errorf("only %d inputs", len(hostile))
	}
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			h.send(t, server)
			if err := alive(t, server); err != nil {
				t.Fatal(err)
			}
		})
	}
}
