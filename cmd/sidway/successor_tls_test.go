package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// By TLS, too, nobody is refused: HTTP/2 and HTTP/1.1 go on on kept connections and on new ones, which resume what an earlier process has
// begun or begin anew, and a WebSocket stays where it is.
func TestSuccessorsWithTLS(t *testing.T) {
	node, listen, dir := engineiotest.Start(t, engineiotest.Options{}), free(t), t.TempDir()
	authority := keyfiletest.NewAuthority(t, "a")
	cert, key := authority.Issue(t, keyfiletest.Request{Names: []string{"chat.example.com"}}).Write(t, dir, "a")
	file := filepath.Join(dir, "sidway.yaml")
	text := fmt.Sprintf("listen: [{address: %q, tls: true}]\nadmin: {listen: off}\nshutdown: {notice: 1h, deadline: 5m}\ntls: {http2: true, certificates: [{cert: %q, key: %q}]}\nclusters: [{name: chat, nodes: [{name: n1, url: %q}]}]\n",
		listen, cert, key, node.URL())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := startFamily(t, nil, "serve", "--config", file)
	client := func(two, kept bool) *http.Client {
		c := &http.Client{Timeout: patience, Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: authority.Pool, ServerName: "chat.example.com", ClientSessionCache: tls.NewLRUClientSessionCache(4)},
			ForceAttemptHTTP2: two, DisableKeepAlives: !kept,
		}}
		t.Cleanup(c.CloseIdleConnections)
		return c
	}
	page := "https://" + listen + "/socket.io/?EIO=4&transport=polling"
	clients, urls := map[string]*http.Client{"HTTP/2.0": client(true, true), "HTTP/1.1": client(false, true), "HTTP/1.1, anew": client(false, false)}, map[string]string{}
	ask := func(name, method, url, body string) string {
		t.Helper()
		q, _ := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		res, err := clients[name].Do(q)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer res.Body.Close()
		said, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || !strings.HasPrefix(name, res.Proto) {
			t.Fatalf("%s: %s %d %q %v", name, res.Proto, res.StatusCode, said, err)
		}
		return string(said)
	}
	for name := range clients {
		sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(ask(name, "GET", page, ""))
		urls[name] = page + "&sid=" + sid[1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, "wss://"+listen+"/socket.io/?EIO=4&transport=websocket", &websocket.DialOptions{HTTPClient: client(false, true)})
	if err == nil {
		_, _, err = socket.Read(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.CloseNow() })
	pid := f.cmd.Process.Pid
	for n := range 3 {
		for name, url := range urls {
			said := fmt.Sprintf("%s %d", name, n)
			ask(name, "POST", url, "4"+said)
			if got := ask(name, "GET", url, ""); !strings.Contains(got, said) {
				t.Fatalf("said %q, got %q", said, got)
			}
		}
		if said, err := echo(t, socket, fmt.Sprint("frame ", n)); err != nil || said != fmt.Sprint("4frame ", n) {
			t.Fatalf("the WebSocket: %q, %v", said, err)
		}
		if n < 2 {
			pid = f.succeed(t, pid)
		}
	}
	syscall.Kill(f.cmd.Process.Pid, syscall.SIGKILL)
	if said, err := echo(t, socket, "end"); err == nil {
		t.Errorf("the WebSocket was at another process: %q", said)
	}
}
