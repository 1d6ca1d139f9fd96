package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// browser makes ordinary requests, each on a connection of its own, so that they go to both replicas in turn.
func browser(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: clientTLS}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// page is an answer that was read to its end.
type page struct {
	status int
	header http.Header
	length int64 // as announced, -1 where it was not
	body   string
}

func fetch(t *testing.T, c *http.Client, q *http.Request) page {
	t.Helper()
	a, err := c.Do(q)
	if err != nil {
		t.Fatalf("%s %s: %v", q.Method, q.URL, err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", q.Method, q.URL, err)
	}
	return page{a.StatusCode, a.Header, a.ContentLength, string(body)}
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// People serve their page from the node that serves their sockets: its requests must come through too.
func TestOrdinaryRequests(t *testing.T) {
	s := startSite(t, pings{}, node48, node48)
	c := browser(t)
	get := func(path string) page { return fetch(t, c, request(t, http.MethodGet, s.front.url()+path, nil)) }

	if p := get("/"); p.status != 200 || !strings.HasPrefix(p.body, "<!doctype html>") || p.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("page: %+v", p)
	}
	if p := get("/nothing"); p.status != 404 || p.body != "no such page" {
		t.Errorf("missing page: %+v", p)
	}
	if p := get("/empty"); p.status != 204 || p.body != "" {
		t.Errorf("empty page: %+v", p)
	}
	want := ""
	for _, digit := range "01234567" {
		want += strings.Repeat(string(digit), 10000)
	}
	if p := get("/chunked"); p.length != -1 || p.body != want {
		t.Errorf("chunked page: announced length %d, %d bytes", p.length, len(p.body))
	}

	head := fetch(t, c, request(t, http.MethodHead, s.front.url()+"/", nil))
	if head.status != 200 || head.body != "" {
		t.Errorf("HEAD: %+v", head)
	}
	old := request(t, http.MethodGet, s.front.url()+"/cached", nil)
	old.Header.Set("If-None-Match", `"v1"`)
	if p := fetch(t, c, old); p.status != 304 || p.header.Get("ETag") != `"v1"` || p.body != "" {
		t.Errorf("unchanged page: %+v", p)
	}
}

// The library's own script lies under the path of its sockets, but its request is an ordinary one.
func TestClientBundle(t *testing.T) {
	for _, k := range []kind{node48, node25} {
		s := startSite(t, pings{}, k)
		c := browser(t)
		url := s.front.url() + "/socket.io/socket.io.js"
		p := fetch(t, c, request(t, http.MethodGet, url, nil))
		if p.status != 200 || !strings.Contains(p.body, "Socket.IO") || len(p.body) < 10000 {
			t.Errorf("%s: script: status %d, %d bytes", k, p.status, len(p.body))
		}
		again := request(t, http.MethodGet, url, nil)
		again.Header.Set("If-None-Match", p.header.Get("ETag"))
		if p := fetch(t, c, again); p.status != 304 || p.body != "" {
			t.Errorf("%s: unchanged script: status %d, %d bytes", k, p.status, len(p.body))
		}
	}
}

func TestUploads(t *testing.T) {
	s := startSite(t, pings{}, node48)
	c := browser(t)
	body := bytes.Repeat([]byte("upload\x00\xff"), 400_000)
	sum := sha1.Sum(body)
	for _, chunked := range []bool{false, true} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
			q := request(t, method, s.front.url()+"/upload", bytes.NewReader(body))
			if chunked {
				q.ContentLength = -1
			}
			q.Header.Set("Connection", "X-Private")
			q.Header.Set("X-Private", "for the next hop alone")
			q.Header.Set("X-Forwarded-For", "192.0.2.9")
			var got struct {
				Method  string
				Length  int
				Sum     string
				Headers map[string]string
			}
			p := fetch(t, c, q)
			if err := json.Unmarshal([]byte(p.body), &got); err != nil {
				t.Fatalf("%s, chunked %v: status %d, %q: %v", method, chunked, p.status, p.body, err)
			}
			if got.Method != method || got.Length != len(body) || got.Sum != hex.EncodeToString(sum[:])[:16] {
				t.Errorf("%s, chunked %v: the node received %s, %d bytes, %s", method, chunked, got.Method, got.Length, got.Sum)
			}
			if got.Headers["x-private"] != "" || got.Headers["x-forwarded-for"] != "127.0.0.1" || "http://"+got.Headers["host"] != s.front.url() {
				t.Errorf("%s, chunked %v: the node received the headers %v", method, chunked, got.Headers)
			}
		}
	}
}

func TestEarlyHints(t *testing.T) {
	s := startSite(t, pings{}, node48)
	var hints []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hints = append(hints, header.Get("Link"))
			}
			return nil
		},
	})
	p := fetch(t, browser(t), request(t, http.MethodGet, s.front.url()+"/hints", nil).WithContext(ctx))
	if p.body != "hinted" || len(hints) != 1 || hints[0] != "</a.css>; rel=preload" {
		t.Errorf("answer %+v, hints %q", p, hints)
	}
}

// Events come as the node sends them, and the node learns when their reader has left.
func TestEventStream(t *testing.T) {
	s := startSite(t, pings{}, node48)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	a, err := browser(t).Do(request(t, http.MethodGet, s.front.url()+"/events", nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	lines := bufio.NewScanner(a.Body)
	for _, want := range []string{"data: 0", "", "data: 1", "", "data: 2"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("event %q, want %q (%v)", lines.Text(), want, lines.Err())
		}
	}
	if open := s.nodes[0].stats(t).Events; open != 1 {
		t.Errorf("%d event streams are open at the node, want 1", open)
	}
	leave()
	eventually(t, "the node sees that the reader has left", func() bool { return s.nodes[0].stats(t).Events == 0 })
}

func TestPlainWebSocket(t *testing.T) {
	s := startSite(t, pings{}, node48)
	ws, _, err := websocket.Dial(t.Context(), strings.Replace(s.front.url(), "http", "ws", 1)+"/live?room=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1)
	for _, message := range []string{"hello", strings.Repeat("large ", 200_000)} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		kind, back, err := ws.Read(t.Context())
		if err != nil || kind != websocket.MessageText || string(back) != message {
			t.Fatalf("%d bytes came back as %d (%v): %v", len(message), len(back), kind, err)
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}
