//go:build linux

package node_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/bench/frame"
	"github.com/sidway/sidway/bench/node"
)

// packet is an open packet.
type packet struct {
	SID          string
	Upgrades     []string
	PingInterval int
	PingTimeout  int
	MaxPayload   int
}

func readPacket(t *testing.T, text string) packet {
	t.Helper()
	var p packet
	if !strings.HasPrefix(text, "0") || json.Unmarshal([]byte(text[1:]), &p) != nil {
		t.Fatalf("no open packet: %q", text)
	}
	if len(p.SID) != 20 || p.PingInterval != 25000 || p.PingTimeout != 20000 || p.MaxPayload != 1000000 {
		t.Fatalf("another open packet: %q", text)
	}
	return p
}

// ask makes a request on a connection of its own and returns the answer and its body.
func ask(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestSessionsBelongToOneNode(t *testing.T) {
	addrs, control := start(t, 3)
	polling := func(i int) string { return "http://" + addrs[i] + "/socket.io/?EIO=4&transport=polling" }
	_, body := ask(t, "GET", polling(1), "")
	p := readPacket(t, body)
	if len(p.Upgrades) != 1 || p.Upgrades[0] != "websocket" {
		t.Fatalf("upgrades %v", p.Upgrades)
	}
	for i := range addrs {
		foreign := ""
		if i != 1 {
			foreign = "1"
		}
		answer, body := ask(t, "GET", polling(i)+"&sid="+p.SID, "")
		if answer.StatusCode != 200 || body[0] != '4' || answer.Header.Get("X-Foreign") != foreign {
			t.Errorf("poll at %d: %v %q", i, answer, body)
		}
		answer, body = ask(t, "POST", polling(i)+"&sid="+p.SID, "40")
		if answer.StatusCode != 200 || body != "ok" || answer.Header.Get("X-Foreign") != foreign {
			t.Errorf("POST at %d: %v %q", i, answer, body)
		}
	}
	var stats node.Stats
	if err := json.Unmarshal([]byte(command(t, control, "stats")), &stats); err != nil {
		t.Fatal(err)
	}
	if want := (node.Stats{Handshakes: 1, Polls: 3, Posts: 3, Foreign: 4}); stats != want {
		t.Errorf("stats %+v, want %+v", stats, want)
	}
}

func TestTunnelsEchoAndClose(t *testing.T) {
	addrs, control := start(t, 1)
	ws, _, err := websocket.Dial(t.Context(), "ws://"+addrs[0]+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(frame.MaxPayload)
	read := func() string {
		_, text, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if p := readPacket(t, read()); len(p.Upgrades) != 0 {
		t.Errorf("upgrades %v", p.Upgrades)
	}
	for _, size := range []int{0, 1, 60, 125, 126, 16 << 10, 65536, frame.MaxPayload} {
		sent := frame.Message(size)
		if err := ws.Write(t.Context(), websocket.MessageText, sent); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != string(sent) {
			t.Fatalf("%d bytes came back as %d", size, len(got))
		}
	}
	if got := command(t, control, "fanout 70000"); got != "1" {
		t.Errorf("sent to %s tunnels", got)
	}
	if got := read(); got != string(frame.Message(70000)) {
		t.Errorf("%d bytes came instead of 70000", len(got))
	}
	if err := ws.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
}

// A tunnel that does not read must neither hold the others up nor lose anything.
func TestSlowTunnelsGetEverything(t *testing.T) {
	addrs, _ := start(t, 1)
	c := dial(t, addrs[0])
	upgrade := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(c, upgrade); err != nil {
		t.Fatal(err)
	}
	const count, size = 200, 60_000
	sent := make(chan error, 1)
	go func() {
		for range count {
			if _, err := c.Write(frame.Masked(frame.Message(size), [4]byte{9, 8, 7, 6})); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%v %v", answer, err)
	}
	ask(t, "GET", "http://"+addrs[0]+"/socket.io/?EIO=4&transport=polling", "") // answered meanwhile
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Discard(int(head[1])); err != nil { // the open packet
		t.Fatal(err)
	}
	want := string(frame.Plain(frame.Message(size)))
	got := make([]byte, len(want))
	for i := range count {
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestRequestsInPiecesAndTogether(t *testing.T) {
	addrs, _ := start(t, 1)
	c := dial(t, addrs[0])
	in := bufio.NewReader(c)
	expect := func(body string) {
		t.Helper()
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 || string(text) != body {
			t.Fatalf("%v %q %v", answer, text, err)
		}
	}
	post := "POST /socket.io/?EIO=4&transport=polling&sid=abAdefghijklmnopqrst HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 3\r\n\r\n4hi"
	poll := "GET /socket.io/?EIO=4&transport=polling&sid=abAdefghijklmnopqrst HTTP/1.1\r\nHost: x\r\n\r\n"
	for i := range post {
		if _, err := io.WriteString(c, post[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	expect("ok")
	if _, err := io.WriteString(c, post+poll+post[:50]); err != nil {
		t.Fatal(err)
	}
	expect("ok")
	expect(`42["message","hello"]`)
	if _, err := io.WriteString(c, post[50:]); err != nil {
		t.Fatal(err)
	}
	expect("ok")
}

func TestBadRequestsAreRefused(t *testing.T) {
	addrs, control := start(t, 1)
	for name, request := range map[string]string{
		"no HTTP":                  "hello\r\n\r\n",
		"old HTTP":                 "GET /socket.io/?transport=polling HTTP/1.0\r\n\r\n",
		"another path":             "GET / HTTP/1.1\r\n\r\n",
		"another method":           "PUT /socket.io/ HTTP/1.1\r\n\r\n",
		"a body of unknown length": "POST /socket.io/?sid=abAd HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a bad length":             "POST /socket.io/?sid=abAd HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"a POST without session":   "POST /socket.io/ HTTP/1.1\r\nContent-Length: 1\r\n\r\n4",
		"an upgrade without key":   "GET /socket.io/?transport=websocket HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
		"websocket, no upgrade":    "GET /socket.io/?transport=websocket HTTP/1.1\r\n\r\n",
	} {
		c := dial(t, addrs[0])
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 400 ") {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if got := command(t, control, "fanout -1"); got != "unknown command" {
		t.Errorf("fanout -1: %q", got)
	}
}

func TestMainNeedsItsAddresses(t *testing.T) {
	for _, args := range [][]string{nil, {"-listen", "127.0.0.1:0"}, {"-nonsense"}} {
		if err := node.Main(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	if err := node.Main([]string{"-listen", "127.0.0.1:0,nowhere", "-control", "127.0.0.1:0"}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("nowhere: %v", err)
	}
}
