package adapter_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zishang520/socket.io/v2/socket"
)

func largePoll(t *testing.T, server *proc) error {
	clients := startClients(t)
	clients.do(nil, "connect", "c", server.url(), m{"transports": []any{"polling"}})
	clients.await("c", "connect", 1)
	v, err := clients.try(nil, "ask", "c", "size", strings.Repeat("x", 200_000))
	if err == nil && v != 200_000.0 {
		return fmt.Errorf("size %v", v)
	}
	return err
}

// handshake begins a polling session and returns its URL.
func handshake(server *proc, headers http.Header) (url string, answer *http.Response, err error) {
	url = server.url() + "/socket.io/?EIO=4&transport=polling"
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	r.Header = headers
	if answer, err = http.DefaultClient.Do(r); err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	_, rest, ok := strings.Cut(string(b), `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if err == nil && !ok {
		err = fmt.Errorf("handshake answered %d %q", answer.StatusCode, b)
	}
	return url + "&sid=" + sid, answer, err
}

func post(url string, body io.Reader) (status int, text string, err error) {
	a, err := http.Post(url, "text/plain;charset=UTF-8", body)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return a.StatusCode, string(b), err
}

func chunkedAboveLimit(_ *testing.T, server *proc) error {
	url, _, err := handshake(server, nil)
	if err != nil {
		return err
	}
	body := io.MultiReader(strings.NewReader("4"), strings.NewReader(strings.Repeat("x", 2_000_000))) // no length: chunked
	status, _, err := post(url, body)
	if err == nil && status != http.StatusRequestEntityTooLarge {
		return fmt.Errorf("status %d", status)
	}
	return err
}

func refusedOrigin(_ *testing.T, server *proc) error {
	for origin, want := range map[string]string{"http://bad.example": "", "http://good.example": "http://good.example"} {
		_, a, err := handshake(server, http.Header{"Origin": {origin}})
		if err != nil {
			return err
		}
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
			return fmt.Errorf("%s is answered %q", origin, got)
		}
	}
	return nil
}

// farewells are the ways in which clients hear of a disconnection by the server.
var farewells = map[string]m{
	"websocket, EIO 4": {"transports": []any{"websocket"}},
	"websocket, EIO 3": {"transports": []any{"websocket"}, "eio3": true},
	"polling, EIO 4":   {"transports": []any{"polling"}},
	"polling, EIO 3":   {"transports": []any{"polling"}, "eio3": true},
}

// farewell disconnects clients: each has to hear why, once. One that polls sends its next poll and its own close packet
// together; as in Node the later of them finds its session gone, which is 400, and nothing worse is answered.
func farewell(t *testing.T, server *proc) error {
	target, err := url.Parse(server.url())
	if err != nil {
		return err
	}
	var refused atomic.Int64
	between := httputil.NewSingleHostReverseProxy(target)
	between.ModifyResponse = func(a *http.Response) error {
		if a.StatusCode > http.StatusBadRequest {
			refused.Add(1)
		}
		return nil
	}
	proxy := httptest.NewServer(between)
	defer proxy.Close()
	defer proxy.CloseClientConnections()
	clients := startClients(t)
	const n = 40
	names := map[string]string{}
	for way, options := range farewells {
		for i := range n {
			name := fmt.Sprint(way, i)
			names[name] = way
			clients.do(nil, "connect", name, proxy.URL, options)
		}
	}
	for name := range names {
		clients.await(name, "connect", 1)
	}
	server.do(nil, "disconnectSockets", true)
	wrong := map[string]int{}
	for name := range names {
		clients.await(name, "disconnect", 1)
	}
	clients.do(nil, "cpu") // behind all that the clients have said
	for name, way := range names {
		if reasons := fmt.Sprint(clients.got(name, "disconnect")); reasons != "[[io server disconnect]]" {
			wrong[way]++
		}
	}
	if n := refused.Load(); n > 0 {
		wrong["refused requests"] = int(n)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("of %d each, these did not hear why, once: %v", n, wrong)
	}
	return nil
}

// farewellBesidePoll has a client ask for its disconnection while its poll arrives: DISCONNECT comes before the end.
func farewellBesidePoll(_ *testing.T, server *proc) error {
	for i := range 3000 {
		url, _, err := handshake(server, nil)
		if err != nil {
			return err
		}
		if _, _, err := post(url, strings.NewReader("40")); err != nil {
			return err
		}
		if _, _, err := get(url); err != nil {
			return err
		}
		polled := make(chan string, 1)
		go func() {
			_, text, _ := get(url)
			polled <- text
		}()
		if _, _, err := post(url, strings.NewReader(`42["bye"]`)); err != nil {
			return err
		}
		if first := <-polled; first != "41" {
			return fmt.Errorf("session %d: its poll brought %q", i, first)
		}
	}
	return nil
}

// TestLastPacketToSlowReader disconnects a client that has much to read and reads it slowly.
func TestLastPacketToSlowReader(t *testing.T) {
	h := serveHere(t, nil)
	const size = 8 << 20
	disconnected := make(chan struct{})
	_ = h.io.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		for range 2 { // the second waits for the first, and leaves with the last packet
			_ = s.Emit("big", strings.Repeat("x", size))
		}
		s.Disconnect(true)
		close(disconnected)
	})
	c, err := net.Dial("tcp", strings.TrimPrefix(h.http.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(1 << 16)
	if _, err := fmt.Fprintf(c, upgradeHead, 4, ""); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if _, err := http.ReadResponse(r, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(maskedFrame(1, "40")); err != nil {
		t.Fatal(err)
	}
	<-disconnected
	if _, err := io.CopyN(io.Discard, r, size+1024); err != nil { // the first, and the second has begun
		t.Fatal(err)
	}
	for range 200_000 { // longer than a moment
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatalf("in the middle: %v", err)
		}
	}
	rest, err := io.ReadAll(c)
	if err != nil || !bytes.HasSuffix(rest, []byte("\x81\x0241")) {
		t.Errorf("ends with %q, %v", rest[max(0, len(rest)-20):], err)
	}
}

// fastClient uses a session as soon as it has its id.
func fastClient(_ *testing.T, server *proc) error {
	for i := range 400 {
		url, _, err := handshake(server, nil)
		if err != nil {
			return err
		}
		status, text, err := post(url, strings.NewReader("40"))
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("session %d: %d %s %w", i, status, text, err)
		}
	}
	return nil
}

// unreadable3 sends what is no payload and polls again.
func unreadable3(_ *testing.T, server *proc) error {
	url, err := handshake3(server)
	if err != nil {
		return err
	}
	_, _, _ = post(url, strings.NewReader("abc"))
	status, text, err := get(url)
	if err == nil && status != http.StatusBadRequest {
		return fmt.Errorf("the session goes on: %d %q", status, text)
	}
	return err
}

func get(url string) (status int, text string, err error) {
	client := http.Client{Timeout: patienceLimit / 10}
	a, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return a.StatusCode, string(b), err
}

// binaryPost sends a body of a type that EIO 4 does not have.
func binaryPost(_ *testing.T, server *proc) error {
	url, _, err := handshake(server, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: patienceLimit / 10}
	a, err := client.Post(url, "application/octet-stream", strings.NewReader("4"))
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusBadRequest {
		err = fmt.Errorf("status %d", a.StatusCode)
	}
	return errors.Join(err, a.Body.Close())
}

func connects(t *testing.T, server *proc) error { return alive(t, server) }

// endless3 names a length of thousands of millions for an empty packet.
func endless3(_ *testing.T, server *proc) error {
	url, err := handshake3(server)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: patienceLimit / 10}
	body := "\x00" + strings.Repeat("\x02", 15) + "\xff"
	a, err := client.Post(url, "application/octet-stream", strings.NewReader(body))
	if err != nil {
		return err
	}
	return a.Body.Close()
}
