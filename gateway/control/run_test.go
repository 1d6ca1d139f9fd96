package control_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
	"github.com/sidway/sidway/gateway/discover"
)

// Probes take a node out and let it in again, and a configuration without them believes none.
func TestProbesTakeANodeOut(t *testing.T) {
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(503)
		}
	}))
	defer server.Close()
	a := start(t, nil, "n1", "n2")
	events := make(chan string, 100)
	a.Nodes.OnEvent = func(kind, node, text string) { events <- strings.TrimSpace(kind + " " + node + " " + text) }
	cfg := chat("n1", "n2")
	for i := range cfg.Nodes {
		cfg.Nodes[i].URL = strings.Replace(server.URL, "127.0.0.1", fmt.Sprint("127.0.0.", i+1), 1)
	}
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other := &http.Server{Handler: http.NotFoundHandler()}
	go other.Serve(l)
	defer other.Close()
	cfg.Nodes[1].URL = "http://" + l.Addr().String()
	cfg.Health = &config.Health{Path: "/healthz", Status: 200, Interval: 20 * time.Millisecond, Timeout: patience, Rise: 2, Fall: 2}
	healthy := func() string {
		var all []string
		for _, s := range a.Cluster.Statuses() {
			if s.Healthy {
				all = append(all, s.Node.Name)
			}
		}
		return strings.Join(all, " ")
	}
	a.Configure(cfg)
	affinitytest.Eventually(t, "the node that says 404 is out", func() bool { return healthy() == "n1" })
	broken.Store(true)
	affinitytest.Eventually(t, "so is the other one", func() bool { return healthy() == "" })
	broken.Store(false)
	affinitytest.Eventually(t, "it is back", func() bool { return healthy() == "n1" })
	a.Cluster.Failed(a.Cluster.Node("n1"))
	affinitytest.Eventually(t, "a probe ends its ejection", func() bool { return !a.Cluster.Statuses()[0].Ejected })
	if p, ok := a.Probe("n2"); !ok || !strings.Contains(p.Reason, "404") {
		t.Errorf("of n2 it is known: %+v", p)
	}
	a.Configure(chat("n1", "n2"))
	if got := healthy(); got != "n1 n2" {
		t.Errorf("without probes: %s", got)
	}
	for _, want := range []string{"unhealthy n2 probes find it unhealthy: ", "unhealthy n1 probes", "healthy n1 probes find it healthy again"} {
		if got := <-events; !strings.HasPrefix(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
}

// Nodes that are found stand beside those of the configuration; one that ends is drained at once.
func TestFoundNodes(t *testing.T) {
	a := start(t, nil, "n1")
	found := func(name string, terminating bool) discover.Found {
		return discover.Found{Name: name, Address: name + ":3000", Weight: 1, Labels: map[string]string{"zone": "z"}, Terminating: terminating}
	}
	a.SetFound([]discover.Found{found("p1", false), found("p2", false), found("n1", false)})
	if got := a.names(); got != "n1 p1 p2" {
		t.Errorf("got %s", got)
	}
	if n := a.Cluster.Node("p1"); n.Labels["zone"] != "z" || a.Source("p1") != "discovery" || a.Source("n1") != "configuration" {
		t.Errorf("%+v %s %s", n, a.Source("p1"), a.Source("n1"))
	}
	a.join("p1", 5)
	a.SetFound([]discover.Found{found("p1", true), found("p2", false)})
	if got := a.names(); got != "n1 -p1 p2" {
		t.Errorf("got %s", got)
	}
	affinitytest.Eventually(t, "its sessions end", func() bool { own, _ := a.count("p1"); return own == 0 })
	if err := a.RemoveNode(t.Context(), "chat", "p2"); err != nil {
		t.Fatal(err)
	}
	a.SetFound([]discover.Found{found("p1", false), found("p2", false)})
	if got := a.names(); got != "n1 p1" {
		t.Errorf("got %s", got)
	}
}

// The source of nodes follows the configuration.
func TestSourceOfNodes(t *testing.T) {
	a := start(t, nil, "n1")
	cfg := chat("n1")
	cfg.Discover = &config.Discover{DNS: "localhost:3000"}
	a.Configure(cfg)
	affinitytest.Eventually(t, "the address is found", func() bool { return a.names() == "127.0.0.1-3000 n1" })
	other := chat("n1")
	other.Discover = &config.Discover{DNS: "localhost:4000"}
	a.Configure(other)
	affinitytest.Eventually(t, "the other one is found", func() bool { return a.names() == "127.0.0.1-4000 n1" })
	a.Configure(chat("n1"))
	if got := a.names(); got != "n1" {
		t.Errorf("without a source: %s", got)
	}
}

// Until a source has told what it knows, the nodes from before stay, and nobody says that there are no more.
func TestNodesBeforeTheFirstAnswer(t *testing.T) {
	first := chat()
	first.Discover = &config.Discover{DNS: "chat.invalid:3000"}
	a := control.NewNodes(first, func() {})
	if err := a.Ready(); err == nil || !a.Cluster.Incomplete() {
		t.Errorf("before it was looked for nodes: %v, incomplete %v", err, a.Cluster.Incomplete())
	}
	found := func(name string) []discover.Found {
		return []discover.Found{{Name: name, Address: name + ":3000", Weight: 1}}
	}
	a.SetFound(found("p1"))
	if looks, works := a.Discovers(); a.Ready() != nil || a.Cluster.Incomplete() || !looks || !works {
		t.Errorf("with a list: %v, incomplete %v, works %v", a.Ready(), a.Cluster.Incomplete(), works)
	}
	names := func() string { return (replica{Nodes: a}).names() }
	next := chat("n1")
	a.Configure(next)
	if got := names(); got != "n1" || a.Ready() != nil {
		t.Errorf("without a source: %s %v", got, a.Ready())
	}
	next.Nodes, next.Discover = nil, &config.Discover{DNS: "talk.invalid:3000"}
	a.Configure(next)
	if got := names(); got != "n1" || a.Ready() != nil || !a.Cluster.Incomplete() {
		t.Errorf("before the first answer of another source: %s %v", got, a.Ready())
	}
	a.SetFound(found("p2"))
	if got := names(); got != "p2" {
		t.Errorf("after it: %s", got)
	}
}

// An operator's node goes before the configuration's, also before one that is written later. That is told, and it can be taken back.
func TestLaterEditsOfANodeThatAnOperatorHasReplaced(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "n1", "n2")
	var told []string
	r.Nodes.OnEvent = func(kind, node, text string) { told = append(told, kind+" "+node+" "+text) }
	put := func(url string) {
		t.Helper()
		if err := r.PutNode(t.Context(), "chat", config.Node{Name: "n2", URL: url, Weight: 1}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(address string, lines int) {
		t.Helper()
		if n := r.Cluster.Node("n2"); n == nil || n.Address != address || len(told) != lines {
			t.Errorf("%+v, told %q", n, told)
		}
	}
	put("http://operator:1")
	cfg := chat("n1", "n2")
	r.Configure(cfg) // as before
	cfg.Nodes[0].Weight = 2
	r.Configure(cfg)
	expect("operator:1", 0)
	edited := chat("n1", "n2")
	edited.Nodes[1].URL = "http://file:1"
	r.Configure(edited)
	r.Configure(edited)
	expect("operator:1", 1)
	if !strings.HasPrefix(told[0], "node n2 the configuration has another node of this name now, which is not used") {
		t.Error(told[0])
	}
	put("http://file:1")
	expect("file:1", 1)
	edited = chat("n1", "n2")
	edited.Nodes[1].URL = "http://file:2"
	r.Configure(edited)
	expect("file:2", 1)
}
