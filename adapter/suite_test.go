package adapter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/sidway/sidway/adapter/internal/redistest"
)

// suiteOptions are the timings of the public protocol suites, with more patience for a busy machine.
const suiteOptions = `{"server":{"pingInterval":300,"pingTimeout":2000,"allowEIO3":true,"connectTimeout":1000}}`

// differs lists the scenarios in which a hardened Go server does not behave as Node's does, and why that is left.
// docs/adapter.md tells the same to users.
var differs = map[string]string{
	"socket.io v5: event without payload": "ends the connection; Node ignores the packet",
}

// scenario is one of the public suites' (engine.io-protocol v3 and v4, socket.io-protocol v5), written anew as what a
// client does; what it returns is compared between a Node server and a hardened Go one.
type scenario struct {
	name string
	run  func(*peer)
}

// peer is one client of one server that notes what it sees.
type peer struct {
	t      *testing.T
	server *proc
	seen   []string
	eio    int
	sid    string
}

func (p *peer) note(format string, args ...any) {
	p.seen = append(p.seen, fmt.Sprintf(format, args...))
}

var secret = regexp.MustCompile(`"(sid|pid|id)":"[^"]*"`)

func (p *peer) text(b []byte) string {
	if _, open, ok := strings.Cut(string(b), `0{"`); ok && strings.Contains(open, "pingInterval") {
		return "open" // the order of its keys is free
	}
	s := secret.ReplaceAllString(string(b), `"$1":"…"`)
	if p.sid != "" {
		s = strings.ReplaceAll(s, p.sid, "…")
	}
	return s
}

func (p *peer) request(method, query, kind, body string) string {
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.server.url()+"/socket.io/?"+query, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return "no answer"
	}
	defer a.Body.Close()
	b, _ := io.ReadAll(a.Body)
	if _, rest, ok := strings.Cut(strings.ReplaceAll(string(b), `\"`, `"`), `"sid":"`); ok && p.sid == "" {
		p.sid, _, _ = strings.Cut(rest, `"`)
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Sprint(a.StatusCode)
	}
	return p.text(b)
}

// open begins a polling session.
func (p *peer) open() {
	p.request("GET", fmt.Sprintf("EIO=%d&transport=polling", p.eio), "", "")
}

func (p *peer) session() string { return fmt.Sprintf("EIO=%d&transport=polling&sid=%s", p.eio, p.sid) }

func (p *peer) poll() string            { return p.request("GET", p.session(), "", "") }
func (p *peer) post(body string) string { return p.request("POST", p.session(), "text/plain", body) }

// socketFrames opens a WebSocket, sends frames one by one, and notes what comes behind each until it is quiet or closed.
// Pings are answered and left out. A frame that begins with a zero byte is binary.
func (p *peer) socketFrames(query string, list ...string) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patienceLimit)
	defer cancel()
	c, _, err := websocket.Dial(ctx, p.server.url()+"/socket.io/?"+query, nil)
	if err != nil {
		p.note("refused")
		return
	}
	frames := make(chan string)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(frames)
		for {
			_, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			frames <- string(b)
		}
	}()
	defer func() {
		_ = c.CloseNow()
		for range frames { //nolint:revive // until the reader has seen the end
		}
		<-ended
	}()
	for _, f := range append([]string{""}, list...) {
		if f != "" {
			kind := websocket.MessageText
			if strings.HasPrefix(f, "\x00") {
				kind, f = websocket.MessageBinary, f[1:]
			}
			if c.Write(ctx, kind, []byte(f)) != nil {
				p.note("closed")
				return
			}
		}
		if !p.hear(ctx, c, frames) {
			return
		}
	}
}

// hear notes frames until it is quiet; it returns false when the connection is closed.
func (p *peer) hear(ctx context.Context, c *websocket.Conn, frames <-chan string) bool {
	for {
		select {
		case f, ok := <-frames:
			switch {
			case !ok:
				p.note("closed")
				return false
			case f == "2" && p.eio == 4:
				_ = c.Write(ctx, websocket.MessageText, []byte("3"))
			default:
				p.note("%s", p.text([]byte(f)))
			}
		case <-time.After(250 * time.Millisecond):
			return true
		}
	}
}

const ws4, ws3 = "EIO=4&transport=websocket", "EIO=3&transport=websocket"

// requested are scenarios of single requests.
func requested(method, query string) func(*peer) {
	return func(p *peer) { p.note("%s", p.request(method, query, "", "")) }
}

// framed are scenarios of frames on one WebSocket.
func framed(query string, list ...string) func(*peer) {
	return func(p *peer) {
		if strings.Contains(query, "EIO=3") {
			p.eio = 3
		}
		p.socketFrames(query, list...)
	}
}

// polled are scenarios of posts and polls in turn: "" is a poll, anything else a body to post.
func polled(eio int, list ...string) func(*peer) {
	return func(p *peer) {
		p.eio = eio
		p.open()
		for _, body := range list {
			if body == "" {
				p.note("%s", p.poll())
			} else {
				p.note("%s", p.post(body))
			}
		}
	}
}

// parted are scenarios of a disconnection by the server, with a poll under way, while it handles the POST that asks for it.
func parted(eio int, query, bye string) func(*peer) {
	return func(p *peer) {
		p.eio = eio
		p.request("GET", p.session()+query, "", "")
		post := func(body string) string {
			if query != "" {
				return p.request("POST", p.session()+query, "application/x-www-form-urlencoded", "d="+url.QueryEscape(body))
			}
			return p.post(body)
		}
		if eio == 4 {
			post("40")
		}
		p.request("GET", p.session()+query, "", "")
		first := make(chan string, 1)
		go func() { first <- p.request("GET", p.session()+query, "", "") }()
		p.note("%s", post(bye))
		p.note("%s", <-first)
		p.note("%s", p.request("GET", p.session()+query, "", ""))
		p.note("%s", p.request("GET", p.session()+query, "", ""))
	}
}

var scenarios = []scenario{
	{"engine.io v4: open by polling", requested("GET", "EIO=4&transport=polling")},
	{"engine.io v4: open by WebSocket", framed(ws4)},
	{"engine.io v4: EIO is missing", requested("GET", "transport=polling")},
	{"engine.io v4: EIO is unknown", requested("GET", "EIO=abc&transport=polling")},
	{"engine.io v4: transport is missing", requested("GET", "EIO=4")},
	{"engine.io v4: transport is unknown", requested("GET", "EIO=4&transport=abc")},
	{"engine.io v4: handshake by POST", requested("POST", "EIO=4&transport=polling")},
	{"engine.io v4: handshake by PUT", requested("PUT", "EIO=4&transport=polling")},
	{"engine.io v4: WebSocket with unknown transport", framed("EIO=4&transport=abc")},
	{"engine.io v4: WebSocket without EIO", framed("transport=websocket")},
	{"engine.io v4: one text packet by polling", polled(4, "40", "", `42["message","test1"]`, "")},
	{"engine.io v4: several packets by polling", polled(4, "40", "", "42[\"message\",1]\x1e42[\"message\",2]\x1e42[\"message\",3]", "")},
	{"engine.io v4: binary packet by polling", polled(4, "40", "", "451-[\"message\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==", "")},
	{"engine.io v4: invalid packet by polling", polled(4, "abc", "")},
	{"engine.io v4: two polls at once", func(p *peer) {
		p.eio = 4
		p.open()
		p.post("40")
		p.poll()
		first := make(chan string, 1)
		go func() { first <- p.poll() }()
		time.Sleep(60 * time.Millisecond)
		p.note("second %s", p.poll())
		<-first
		p.note("later %s", p.poll())
	}},
	{"engine.io v4: binary content type", func(p *peer) {
		p.eio = 4
		p.open()
		p.note("%s", p.request("POST", p.session(), "application/octet-stream", "4"))
	}},
	{"engine.io v4: text by WebSocket", framed(ws4, "40", `42["message","test1"]`)},
	{"engine.io v4: binary by WebSocket", framed(ws4, "40", `451-["message",{"_placeholder":true,"num":0}]`, "\x00\x01\x02")},
	{"engine.io v4: invalid packet by WebSocket", framed(ws4, "abc")},
	{"engine.io v4: close by polling", polled(4, "40", "", "1", "")},
	{"engine.io v4: close by WebSocket", framed(ws4, "1")},
	{"engine.io v4: ping by polling", polled(4, "40", "", "")},
	{"engine.io v4: no pong by polling", func(p *peer) {
		polled(4, "40", "", "")(p)
		time.Sleep(2500 * time.Millisecond)
		p.note("%s", p.poll())
	}},
	{"engine.io v4: upgrade", func(p *peer) {
		p.eio = 4
		p.open()
		p.post("40")
		p.poll()
		p.socketFrames(ws4+"&sid="+p.sid, "2probe", "5", `42["message","x"]`)
	}},
	{"engine.io v4: request behind the upgrade", func(p *peer) {
		p.eio = 4
		p.open()
		p.post("40")
		p.poll()
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&peer{t: p.t, server: p.server, eio: 4}).socketFrames(ws4+"&sid="+p.sid, "2probe", "5", "6", "6", "6", "6")
		}()
		time.Sleep(700 * time.Millisecond)
		p.note("%s", p.poll())
		<-done
	}},
	{"engine.io v3: open by polling", polled(3, "")},
	{"engine.io v3: open by WebSocket", framed(ws3)},
	{"engine.io v3: message by polling", polled(3, "", `23:42["message","test1",1]`, "")},
	{"engine.io v3: several packets by polling", polled(3, "", `15:42["message",1]15:42["message",2]`, "")},
	{"engine.io v3: characters beyond ASCII", polled(3, "", `19:42["message","é🎉"]`, "")},
	{"engine.io v3: invalid payload", polled(3, "", "abc", "")},
	{"engine.io v3: binary payload", func(p *peer) {
		p.eio = 3
		p.open()
		p.poll()
		body := "\x00\x02\x04\xff42[\"message\",\"é🎉\",1]"
		p.note("%s", p.request("POST", p.session(), "application/octet-stream", body))
		p.note("%s", p.poll())
	}},
	{"engine.io v3: ping by polling", polled(3, "", "1:2", "")},
	{"engine.io v3: ping by WebSocket", framed(ws3, "2", "2")},
	{"engine.io v3: binary by WebSocket", framed(ws3, `451-["message",{"_placeholder":true,"num":0}]`, "\x00\x04\x01\x02")},
	{"engine.io v3: close by polling", polled(3, "", "1:1", "")},
	{"engine.io v3: invalid packet by WebSocket", framed(ws3, "abc")},
	{"socket.io v5: connect", framed(ws4, "40")},
	{"socket.io v5: connect with a payload", framed(ws4, `40{"token":"123"}`, `421["auth"]`)},
	{"socket.io v5: connect without a payload", framed(ws4, "40", `421["auth"]`)},
	{"socket.io v5: connect to a namespace", framed(ws4, "40/chat,")},
	{"socket.io v5: connect to a namespace with a payload", framed(ws4, `40/chat,{"token":"abc"}`, `42/chat,1["auth"]`)},
	{"socket.io v5: connect to an unknown namespace", framed(ws4, "40/random")},
	{"socket.io v5: invalid handshake", framed(ws4, "4abc")},
	{"socket.io v5: no handshake in time", framed(ws4, "3", "3", "3", "3", "3", "3")},
	{"socket.io v5: disconnect", framed(ws4, "40", "41", `42["message",1]`)},
	{"socket.io v5: disconnect from a namespace only", framed(ws4, "40", "40/chat,", "41/chat,", `42["message",1]`)},
	{"socket.io v5: disconnected by the server", framed(ws4, "40", `42["bye"]`)},
	{"socket.io v5: disconnected by the server, polling", parted(4, "", `42["bye"]`)},
	{"socket.io v5: disconnected by the server, JSONP", parted(4, "&j=0", `42["bye"]`)},
	{"socket.io v4: disconnected by the server", framed(ws3, `42["bye"]`)},
	{"socket.io v4: disconnected by the server, polling", parted(3, "", `9:42["bye"]`)},
	{"socket.io v4: disconnected by the server, JSONP", parted(3, "&j=0", `9:42["bye"]`)},
	{"socket.io v5: message", framed(ws4, "40", `42["message",1,"2",{"3":[true]}]`)},
	{"socket.io v5: message with acknowledgement", framed(ws4, "40", `42456["message-with-ack",1,"2",{"3":[false]}]`)},
	{"socket.io v5: binary message", framed(ws4, "40", `452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "\x00\x01\x02\x03", "\x00\x04\x05\x06")},
	{"socket.io v5: binary message with acknowledgement", framed(ws4, "40", `452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "\x00\x01\x02\x03", "\x00\x04\x05\x06")},
	{"socket.io v5: unknown packet type", framed(ws4, "40", "4abc")},
	{"socket.io v5: payload that is no list", framed(ws4, "40", "42{}")},
	{"socket.io v5: acknowledgement id that is no number", framed(ws4, "40", `42abc["message-with-ack",1]`)},
	{"socket.io v5: event without payload", framed(ws4, "40", "42")},
	{"socket.io v5: message before the connection", framed(ws4, `42["message",1]`)},
}

// TestSuites runs the scenarios against a Node server and a hardened Go one; they differ where docs/adapter.md says so.
func TestSuites(t *testing.T) {
	redis := redistest.Start(t)
	servers := map[string]*proc{}
	for _, language := range []string{"go", "node"} {
		servers[language] = startServer(t, serverSpec{language, "pubsub", redis.Port(), "suite-" + language, suiteOptions})
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			saw := map[string][]string{}
			for language, server := range servers {
				p := &peer{t: t, server: server, eio: 4}
				s.run(p)
				saw[language] = p.seen
			}
			same := slices.Equal(saw["go"], saw["node"])
			if _, listed := differs[s.name]; same == listed {
				t.Errorf("listed as different: %v\n  go:   %q\n  node: %q", listed, saw["go"], saw["node"])
			}
		})
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
}
