package main

import (
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sidway/sidway/engineio/engineiotest"
)

// A replica that serves on with what it had is operated by a file that it would refuse, as far as its address and token stand there.
func TestOperatingByAFileThatIsRefused(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	admin, dir := free(t), t.TempDir()
	token := filepath.Join(dir, "token")
	o := operator{t, filepath.Join(dir, "sidway.yaml")}
	put := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(token, "secret\n")
	put(o.file, fmt.Sprintf("listen: %s\nadmin: {listen: %q, token: 'file:%s'}\nclusters: [{name: chat, nodes: [{name: n1, url: %q}]}]\n", free(t), admin, token, node.URL()))
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "serve", "--config", o.file)
	p.expect(t, "msg=serving")

	put(o.file, fmt.Sprintf(`admin: {listen: %q, token: 'file:%s', hosts: "*", lisen: x}
listen: [{address: ':443', tls: true}, 8080]
tls: {certificates: [{cert: /nowhere.pem, key: /nowhere.key}]}
affinity: {redis: '${NOWHERE}'}
affinity: {}
nodes: none
clusters: [{name: chat, auth: {jwt: {keys: ['file:/nowhere']}}}]
---
another: document
`, admin, token))
	o.expect(1, "/nowhere.pem", "check")
	o.expect(0, `{"status":"ready"}`, "health")
	o.expect(0, "\n  n1  ", "status")
	o.expect(1, "no session is live by that sid", "trace", "lv_VI97HAXpY6yYWAAAC")
	o.expect(1, "no such session: this replica carries no WebSocket of that session", "move", "lv_VI97HAXpY6yYWAAAC")
	o.expect(1, "no such session: this replica carries no WebSocket of that session", "move", "--ztEfC6JzRQnbXd3AAA", "--to", "n1")
	o.expect(0, "n1 of chat gets no new sessions", "drain", "n1")
	o.expect(0, "n1 of chat gets new sessions again\n", "undrain", "n1")
	o.expect(0, "new sessions of chat go to all nodes\n", "release", "off")
	o.expect(1, "/nowhere.pem", "reload") // by the replica

	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	o.expect(0, "\n  n1  ", "status")
	o.expect(0, `{"status":"ready"}`, "health")
	o.expect(1, o.file+":1: admin.token: \""+token+"\" cannot be read: no such file", "drain", "n1")
	put(o.file, "admin: {listen: 9090}\n")
	put(o.file, "tls: {certificates: [{cert: /nowhere.pem, key: /nowhere.key}]}\nclusters: [{name: chat, nodes: [{name: n1, url: 'http://127.0.0.1:1'}], guard: {report: [inherited-sid]}}]\n")
	o.expect(0, "cluster chat only reports it", "guard", "list")
	put(o.file, "clusters: [{name: chat, nodes: [], guard: {report: [x]}}]\n")
	o.expect(1, "clusters[0].guard.report", "guard", "list")
	put(o.file, "admin: {listen: 9090}\n")
	o.expect(1, o.file+`:1: admin.listen: "9090" is a port without a colon; write :9090`, "status")
	put(o.file, "admin: {listen: [\n")
	o.expect(1, "not YAML: ", "status")
	p.signal(t, syscall.SIGTERM)
	p.end(t)
}

// An operator on another machine, as a proxy says, is let in by the token alone, and told where it could not be read.
func TestOperatingFromAnotherMachine(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	admin, dir := free(t), t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := operator{t, filepath.Join(dir, "sidway.yaml")}
	text := fmt.Sprintf("listen: %s\nadmin: {listen: %q, token: 'file:%s'}\nclusters: [{name: chat, nodes: [{name: n1, url: %q}]}]\n", free(t), admin, token, node.URL())
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "serve", "--config", o.file)
	p.expect(t, "msg=serving")
	to := &url.URL{Scheme: "http", Host: admin}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() }})
	defer proxy.Close()
	there := []string{"--admin", proxy.Listener.Addr().String()}
	expect := func(status int, says string, args ...string) {
		t.Helper()
		o.expect(status, says, append(args, there...)...)
	}
	expect(0, "\n  n1  ", "status")
	expect(0, `"name":"n1"`, "status", "--json")
	expect(1, "no session is live by that sid", "trace", "lv_VI97HAXpY6yYWAAAC")
	expect(0, "n1 of chat gets no new sessions", "drain", "n1")
	expect(0, "n1 of chat gets new sessions again\n", "undrain", "n1")
	expect(1, "401 Unauthorized: requests from other machines need", "status", "--admin.token", "wrong")
	expect(1, "401 Unauthorized: requests from other machines need", "trace", "lv_VI97HAXpY6yYWAAAC", "--admin.token", "wrong")
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	expect(1, "admin.token: \""+token+"\" cannot be read: no such file", "status")
	expect(0, `{"status":"ready"}`, "health")
	o.expect(0, "\n  n1  ", "status") // here
	p.signal(t, syscall.SIGTERM)
	p.end(t)
}
