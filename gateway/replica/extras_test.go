package replica_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A cluster's files, its page and what it changes in requests follow the configuration.
func TestFilesHeadersAndPage(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.WriteString(w, q.Header.Get("X-Env")+" "+q.Header.Get("X-Secret"))
	}))
	dir, other := t.TempDir(), t.TempDir()
	write(t, dir, "a.js", "one")
	write(t, other, "a.js", "two")
	page := write(t, dir, "page.html", "<p>back soon")
	cfg := settings()
	cfg.Limits.HandshakeTime = 100 * time.Millisecond
	c := &cfg.Clusters[0]
	c.Nodes = []config.Node{{Name: "n1", URL: node.URL, Weight: 1}}
	c.Static = []config.Static{{Prefix: "/assets/", Dir: dir, MaxAge: time.Hour}}
	c.Headers = config.Headers{Set: []config.Header{{Name: "X-Env", Value: "prod"}}, Remove: []string{"X-Secret"}}
	r := startReloading(t, cfg)
	get := func(path string) (int, string) {
		q, err := http.NewRequestWithContext(t.Context(), "GET", r.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("X-Secret", "of the client")
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	expect := func(path string, status int, body string) {
		t.Helper()
		if s, b := get(path); s != status || b != body {
			t.Errorf("%s: %d %q", path, s, b)
		}
	}
	expect("/assets/a.js", 200, "one")
	expect("/", 200, "prod ")
	r.must(func(cfg *config.Config) {
		c := &cfg.Clusters[0]
		c.Static = []config.Static{{Prefix: "/", Dir: other}}
		c.Headers = config.Headers{}
	})
	expect("/a.js", 200, "two")
	expect("/assets/a.js", 404, "Not Found\n")
	r.must(func(cfg *config.Config) { cfg.Clusters[0].Static = nil })
	expect("/a.js", 200, " of the client")
	if err := r.change(func(cfg *config.Config) {
		cfg.Clusters[0].Static = []config.Static{{Prefix: "/x/", Dir: dir + "/none"}}
	}); err == nil {
		t.Error("a directory that is none was taken")
	}
	expect("/a.js", 200, " of the client")
	r.must(func(cfg *config.Config) { cfg.Clusters[0].Static, cfg.Clusters[0].Maintenance = nil, page })
	node.CloseClientConnections()
	node.Close()
	affinitytest.Eventually(t, "the page", func() bool { status, body := get("/"); return status == 503 && body == "<p>back soon" })
}

// Probes take a node out that answers clients, and the API, the log and the figures tell so.
func TestHealth(t *testing.T) {
	a, b := engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})
	var broken atomic.Bool
	var asks atomic.Pointer[string]
	asks.Store(new("100%"))
	b.Script(func(w http.ResponseWriter, q *http.Request) bool {
		w.Header().Set("X-Sidway", *asks.Load())
		if q.URL.Path == "/healthz" && broken.Load() {
			w.WriteHeader(500)
			return true
		}
		return false
	})
	cfg := settings(a, b)
	cfg.Clusters[0].Health = &config.Health{Path: "/healthz", Status: 200, Interval: 20 * time.Millisecond, Timeout: patience, Rise: 1, Fall: 1}
	r := startReloading(t, cfg)
	affinitytest.Eventually(t, "both are probed", func() bool {
		return nodeStatus(t, r.running, "n1").Probe != nil && nodeStatus(t, r.running, "n2").Probe != nil
	})
	if n := nodeStatus(t, r.running, "n2"); n.Asks != nil {
		t.Errorf("it asks for less than its weight: %+v", n)
	}
	for words, want := range map[string]float64{"50%": 0.5, "0%": 0} {
		asks.Store(&words)
		affinitytest.Eventually(t, "one asks for "+words, func() bool {
			n := nodeStatus(t, r.running, "n2")
			return n.Asks != nil && *n.Asks == want && n.Share == want*float64(n.Weight)
		})
	}
	broken.Store(true)
	affinitytest.Eventually(t, "one is unhealthy", func() bool { return !nodeStatus(t, r.running, "n2").Healthy })
	for range 3 {
		open(t, r.running)
	}
	n := nodeStatus(t, r.running, "n2")
	if n.Sessions != 0 || n.Probe.Reason != "answered 500" {
		t.Errorf("%+v %+v", n, n.Probe)
	}
	for _, want := range []string{`sidway_node_healthy{cluster="chat",node="n2"} 0`, `sidway_probes_total{cluster="chat",node="n2",outcome="wrong_status"}`} {
		if !strings.Contains(r.metrics(), want) {
			t.Errorf("not there: %s", want)
		}
	}
	affinitytest.Eventually(t, "the log says so", func() bool { return strings.Contains(r.log.String(), "probes find it unhealthy: answered 500") })
	r.must(func(c *config.Config) { c.Clusters[0].Health = nil })
	if n := nodeStatus(t, r.running, "n2"); !n.Healthy || n.Probe != nil {
		t.Errorf("without probes: %+v", n)
	}
}

// Nodes are found by DNS, and those of the configuration stand beside them.
func TestDiscovery(t *testing.T) {
	a := engineiotest.Start(t, engineiotest.Options{})
	cfg := settings()
	_, port, _ := strings.Cut(a.Addr(), ":")
	cfg.Clusters[0].Discover = &config.Discover{DNS: "localhost:" + port}
	r := startReloading(t, cfg)
	affinitytest.Eventually(t, "the node is found", func() bool { return strings.Contains(r.metrics(), `node="127.0.0.1-`+port+`"`) })
	open(t, r.running)
	if n := nodeStatus(t, r.running, "127.0.0.1-"+port); n.Sessions != 1 || n.Source != "discovery" {
		t.Errorf("%+v", n)
	}
	if got := r.metrics(); !strings.Contains(got, `sidway_discovery_up{cluster="chat"} 1`) {
		t.Error("no metric says that nodes are found")
	}
}

// A replica whose nodes were never found is not ready, and says why.
func TestDiscoveryThatFindsNothing(t *testing.T) {
	cfg := settings()
	cfg.Clusters[0].Discover = &config.Discover{Kubernetes: &config.Kubernetes{Service: "chat", Namespace: "prod", API: "http://127.0.0.1:1"}}
	r := start(t, cfg)
	affinitytest.Eventually(t, "it is said", func() bool {
		_, body := fetch(t, r.adminURL("/readyz"))
		return strings.Contains(body, "discover: cluster chat: its nodes are not known yet: ") && strings.Contains(body, "refused")
	})
	if status, _ := fetch(t, r.adminURL("/readyz")); status != 503 {
		t.Errorf("ready: %d", status)
	}
	if _, page := fetch(t, r.adminURL("/metrics")); !strings.Contains(page, `sidway_discovery_up{cluster="chat"} 0`) {
		t.Error("no metric says that nodes cannot be looked for")
	}
}
