package gateway_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/static"
)

// withFiles gives the cluster that was added last files of these names and texts below a prefix.
func withFiles(t testing.TB, prefix string, files map[string]string) siteOption {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := static.Serve(static.Options{
		Dirs: []static.Dir{{Prefix: prefix, Dir: dir, MaxAge: time.Hour}}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return func(o *siteOptions) {
		r := &o.routes[len(o.routes)-1]
		r.Static = append(r.Static, prefix)
		r.Files = cluster.New(r.Cluster.Name, cluster.Settings{Nodes: []cluster.Config{{Name: "static", Address: s.Addr(), Weight: 1}}})
	}
}

// Files come from the process itself by the road of any request.
func TestFiles(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	long := strings.Repeat("0123456789", 300_000)
	n := startNode(t, "n1", engine(aSID))
	g := startGateway(t, withNodes(n), withFiles(t, "/assets/", map[string]string{"a.js": "hello", "a.js.gz": "coded", "long.mp4": long}),
		withAccessLog(slog.New(slog.NewTextHandler(&log, nil))))
	c := dial(t, g.addr)
	c.send(get("/assets/a.js?v=1"))
	r := c.answer()
	tag := r.Header.Get("ETag")
	if r.StatusCode != 200 || r.Text != "hello" || r.Header.Get("Cache-Control") != "max-age=3600" || tag == "" {
		t.Errorf("%d %q %v", r.StatusCode, r.Text, r.Header)
	}
	for _, a := range []struct {
		method, target, line string
		status               int
		text                 string
	}{
		{"HEAD", "/assets/a.js", "Accept: */*", 200, ""},
		{"GET", "/assets/a.js", "Accept-Encoding: gzip", 200, "coded"},
		{"GET", "/assets/a.js", "If-None-Match: " + tag, 304, ""},
		{"GET", "/assets/long.mp4", "Range: bytes=2999998-", 206, "89"},
		{"GET", "/assets/long.mp4", "Accept: */*", 200, long},
		{"GET", "/assets/none.js", "Accept: */*", 404, "Not Found\n"},
		{"GET", "/assets/../../etc/passwd", "Accept: */*", 404, "Not Found\n"},
		{"POST", "/assets/a.js", "Content-Length: 0", 405, "Method Not Allowed\n"},
	} {
		c.send(request(a.method, a.target, "", a.line))
		if r := c.answerTo(a.method); r.StatusCode != a.status || r.Text != a.text || r.Err != nil {
			t.Errorf("%s %s, %s: %d %.20q %v", a.method, a.target, a.line, r.StatusCode, r.Text, r.Err)
		}
	}
	c.kept()
	if got := n.received(); strings.Contains(got, "assets") || !strings.Contains(got, "/kept") {
		t.Errorf("the node received %q", got)
	}
	eventually(t, "the access log", func() bool { return strings.Count(log.String(), "\n") == 10 })
	if got := strings.Count(log.String(), "kind=static cluster=c1 node=static"); got != 9 {
		t.Errorf("%d files in the log:\n%s", got, log.String())
	}
	if got := g.metric("sidway_requests_total", "c1", "static"); got != 9 {
		t.Errorf("%v files are counted", got)
	}
	for class, want := range map[string]float64{"2xx": 5 + 1, "3xx": 1, "4xx": 3} {
		if got := g.metric("sidway_node_responses_total", "c1", class); got != want {
			t.Errorf("%s: %v, not %v", class, got, want)
		}
	}
}

// A prefix takes no request that is Socket.IO's or asks for a WebSocket.
func TestFilesTakeNothingElse(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", engine(aSID)), startNode(t, "n2", engine("second"))
	g := startGateway(t, withNodes(n1), withFiles(t, "/", map[string]string{"a.txt": "a file"}), withCluster("", "/two.io/", n2))
	c := dial(t, g.addr)
	if got := c.handshake(handshakeTarget); got != aSID {
		t.Errorf("the sid is %q", got)
	}
	if status, said := c.ask(get("/two.io/?EIO=4&transport=websocket")); status != 400 || strings.Contains(said, "Not Found") {
		t.Errorf("the second cluster's path: %d %q", status, said)
	}
	c = dial(t, g.addr)
	if c.ask(get("/socket.io/socket.io.js")); !strings.Contains(n1.received(), "/socket.io/socket.io.js") {
		t.Error("the node was not asked for the client")
	}
	c.expect(get("/a.txt"), 200, "a file")
	c.expect(get("/x"), 404, "Not Found\n")
	for _, target := range []string{"/a.txt", "/graphql"} {
		c.send(get(target, asksWebSocket...))
		if r := c.answer(); r.StatusCode != 200 || r.Text != "n1 GET "+target+" " {
			t.Errorf("%s: %d %q", target, r.StatusCode, r.Text)
		}
		c = dial(t, g.addr)
	}
}

// A prefix of any cluster of the host comes before the nodes of the first, and counts on its host alone.
func TestFilesOfTheSecondCluster(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", nil), startNode(t, "n2", nil)
	g := startGateway(t, withNodes(n1), withCluster("chat.example.com", "/two.io/", n2), withFiles(t, "/two/", map[string]string{"a": "two"}),
		withCluster("other.example.com", "/three.io/", n2), withFiles(t, "/three/", map[string]string{"a": "three"}))
	c := dial(t, g.addr)
	c.expect(get("/two/a"), 200, "two")
	c.expect(get("/three/a"), 200, "n1 GET /three/a ")
	c.expect(get("/two"), 200, "n1 GET /two ")
	c.expect("GET /three/a HTTP/1.1\r\nHost: other.example.com\r\n\r\n", 200, "three")
}

// Files do not depend on nodes, nor nodes on files.
func TestFilesWithoutNodes(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	n.stop()
	g := startGateway(t, withNodes(n), withFiles(t, "/assets/", map[string]string{"a": "a file"}))
	raw(t, g.addr, get("/assets/a")).answer()
	for range 3 {
		dial(t, g.addr).expect(get("/assets/a"), 200, "a file")
	}
	if g.metric("sidway_node_ejected") != 0 {
		t.Error("a node was asked for a file")
	}
}

func TestNodesWithoutFiles(t *testing.T) {
	t.Parallel()
	gone, n := startNode(t, "static", nil), startNode(t, "n1", nil)
	gone.stop()
	g := startGateway(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.QueueTime = 200 * time.Millisecond }), func(o *siteOptions) {
		o.routes[0].Static = []string{"/assets/"}
		o.routes[0].Files = cluster.New("c1", cluster.Settings{Nodes: []cluster.Config{{Name: "static", Address: gone.addr, Weight: 1, TLS: nodeTLS()}}})
	})
	c := dial(t, g.addr)
	c.expect(get("/assets/a"), 503, "Service Unavailable\n")
	c.expect(get("/x"), 200, "n1 GET /x ")
	if g.metric("sidway_node_ejected") != 0 {
		t.Error("a node was ejected for want of files")
	}
}

const backSoon = "<!doctype html><title>Back soon</title>"

func withPage(o *siteOptions) {
	o.routes[len(o.routes)-1].Maintenance = backSoon
}

// While no node is to be had, whoever asks for a page is told at once, and only he: a session waits for a node.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	n.stop()
	g := startGateway(t, withNodes(n), withPage, withLimits(func(l *gateway.Limits) { l.QueueTime = time.Hour }))
	waits := raw(t, g.addr, get(handshakeTarget))
	c := dial(t, g.addr)
	for _, method := range []string{"GET", "POST", "HEAD"} {
		c.send(request(method, "/x", "", "Content-Length: 0"))
		r := c.answerTo(method)
		if h := r.Header; r.StatusCode != 503 || h.Get("Retry-After") != "5" || h.Get("Content-Type") != "text/html; charset=utf-8" ||
			h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", method, r.StatusCode, h)
		}
		if r.Text != backSoon && method != "HEAD" || r.Err != nil {
			t.Errorf("%s: %q %v", method, r.Text, r.Err)
		}
	}
	if got := g.metric("sidway_local_responses_total", "c1", "no_node"); got != 3 {
		t.Errorf("%v answers without a node", got)
	}
	waits.Close()
}
