package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
)

// patience bounds what never takes so long.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func chat(nodes ...string) config.Cluster {
	c := config.Cluster{Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions}
	for _, n := range nodes {
		c.Nodes = append(c.Nodes, node(n))
	}
	return c
}

func node(name string) config.Node {
	return config.Node{Name: name, URL: "http://" + name + ":3000", Weight: 1}
}

// replica is what of a replica has to do with changes.
type replica struct {
	*control.Board
	*control.Nodes
	events chan string
}

func start(t *testing.T, client redis.UniversalClient, nodes ...string) replica {
	t.Helper()
	r, _ := startUntil(t, client, nodes...)
	return r
}

// startUntil starts a replica that dies when the returned function is called, at the latest when the test ends.
func startUntil(t *testing.T, client redis.UniversalClient, nodes ...string) (replica, context.CancelFunc) {
	t.Helper()
	r := replica{control.NewBoard(slog.New(slog.DiscardHandler)), control.NewNodes(chat(nodes...), func() {}), make(chan string, 100)}
	r.Board.OnEvent = func(kind, cluster, node, text string) { r.events <- strings.TrimSpace(kind + " " + node + " " + text) }
	r.Use(client, "sidway:")
	r.Add(r.Nodes)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var work errgroup.Group
		work.Go(func() error { return r.Board.Run(ctx, r.end) })
		work.Go(func() error { return r.Nodes.Run(ctx) })
		done <- work.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r, cancel
}

// end ends sessions of a node as if each ended at once, or moved at once.
func (r replica) end(n *cluster.Node, count int, why cluster.Removal) int {
	for _, s := range r.Cluster.Statuses() {
		if s.Node == n {
			count = min(count, s.Sessions)
		}
	}
	for range count {
		r.Cluster.Leave(n)
		n.Release()
		if why == cluster.Unload {
			if to, err := r.Cluster.Pick(cluster.Want{Tried: []*cluster.Node{n}}); err == nil {
				to.Acquire()
			}
		}
	}
	return count
}

// count returns the sessions of a node that this replica counts, and that the others do.
func (r replica) count(node string) (own, others int) {
	for _, s := range r.Cluster.Statuses() {
		if s.Node.Name == node {
			return s.Sessions, s.Others
		}
	}
	return 0, 0
}

// join adds sessions to a node.
func (r replica) join(node string, n int) {
	for range n {
		r.Cluster.Join(r.Cluster.Node(node))
		r.Cluster.Node(node).Acquire()
	}
}

// poll adds sessions to a node that poll.
func (r replica) poll(node string, n int) {
	for i := range n {
		r.Cluster.Sessions.Open(fmt.Sprint(node, i), r.Cluster.Node(node), time.Now().Add(time.Hour))
	}
}

// names are those of the nodes, with a "-" before those that drain.
func (r replica) names() string {
	var all []string
	for _, s := range r.Cluster.Statuses() {
		name := s.Node.Name
		if s.Draining {
			name = "-" + name
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func open(t *testing.T, server *affinitytest.Redis) redis.UniversalClient {
	t.Helper()
	c, err := affinity.Open(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// What an operator changes at one replica holds for all, also for those that start later.
func TestChangesReachAllReplicas(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := start(t, open(t, server), "n1", "n2"), start(t, open(t, server), "n1", "n2")
	for _, step := range []struct {
		what string
		do   func(context.Context) error
		want string
	}{
		{"a drain", func(ctx context.Context) error { return a.Drain(ctx, "chat", "n2", time.Minute) }, "n1 -n2"},
		{"a node more", func(ctx context.Context) error { return b.PutNode(ctx, "chat", node("n3")) }, "n1 -n2 n3"},
		{"a node less", func(ctx context.Context) error { return a.RemoveNode(ctx, "chat", "n1") }, "-n2 n3"},
		{"an end of the drain", func(ctx context.Context) error { return b.Undrain(ctx, "chat", "n2") }, "n2 n3"},
		{"the node that was less", func(ctx context.Context) error { return b.PutNode(ctx, "chat", node("n1")) }, "n1 n2 n3"},
		{"the node that was more", func(ctx context.Context) error { return a.RemoveNode(ctx, "chat", "n3") }, "n1 n2"},
		{"a last drain", func(ctx context.Context) error { return b.Drain(ctx, "chat", "n1", 0) }, "-n1 n2"},
	} {
		if err := step.do(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		for _, r := range []replica{a, b} {
			affinitytest.Eventually(t, step.what+": "+step.want, func() bool { return r.names() == step.want })
		}
	}
	late := start(t, open(t, server), "n1", "n2")
	affinitytest.Eventually(t, "a replica that starts later", func() bool { return late.names() == "-n1 n2" })
	if err := a.Undrain(t.Context(), "chat", "n1"); err != nil {
		t.Fatal(err)
	}
	affinitytest.Eventually(t, "it follows", func() bool { return late.names() == "n1 n2" })
}

// A node of the configuration that was taken away stays away, and each replica that starts says so.
func TestARemovedNodeIsTold(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a := start(t, open(t, server), "n1", "n2")
	if err := a.RemoveNode(t.Context(), "chat", "n2"); err != nil {
		t.Fatal(err)
	}
	late := start(t, open(t, server), "n1", "n2")
	const words = "node n2 the configuration has this node, and it is not used: an operator has taken it away on "
	if got := <-late.events; !strings.HasPrefix(got, words) {
		t.Errorf("told: %s", got)
	}
	if since, removed := late.Removed()["n2"]; !removed || time.Since(since) > time.Minute {
		t.Errorf("taken away at %v", since)
	}
	if err := a.PutNode(t.Context(), "chat", node("n2")); err != nil {
		t.Fatal(err)
	}
	affinitytest.Eventually(t, "it is back", func() bool { return late.names() == "n1 n2" && len(late.Removed()) == 0 })
}

// A Redis that is emptied gets the marks again, one that is away changes nothing, and another one gets them too.
func TestChangesOutliveRedis(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a := start(t, open(t, server), "n1", "n2")
	if err := a.Drain(t.Context(), "chat", "n2", 0); err != nil {
		t.Fatal(err)
	}
	server.Do("FLUSHALL")
	affinitytest.Eventually(t, "the mark is there again", func() bool { return server.Do("HEXISTS", "sidway:chat:!changes", "drain n2") == "1" })
	if got := a.names(); got != "n1 -n2" {
		t.Errorf("after a loss: %s", got)
	}
	server.Kill()
	if err := a.Undrain(t.Context(), "chat", "n2"); err == nil {
		t.Error("changed without Redis")
	}
	if got := a.names(); got != "n1 -n2" {
		t.Errorf("without Redis: %s", got)
	}
	other := affinitytest.StartRedis(t)
	a.Use(open(t, other), "sidway:")
	affinitytest.Eventually(t, "another Redis has the mark", func() bool { return other.Do("HEXISTS", "sidway:chat:!changes", "drain n2") == "1" })
}

// Without Redis the changes hold for this process, through new configurations.
func TestChangesInMemory(t *testing.T) {
	a := start(t, nil, "n1", "n2")
	for _, change := range []func() error{
		func() error { return a.Drain(t.Context(), "chat", "n2", time.Minute) },
		func() error { return a.PutNode(t.Context(), "chat", node("n3")) },
		func() error { return a.RemoveNode(t.Context(), "chat", "n1") },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.names(); got != "-n2 n3" {
		t.Errorf("got %s", got)
	}
	a.Configure(chat("n1", "n2", "n4"))
	if got := a.names(); got != "-n2 n3 n4" {
		t.Errorf("after a new configuration: %s", got)
	}
}

func TestChangesThatCannotBe(t *testing.T) {
	a := start(t, nil, "n1")
	ctx := t.Context()
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"a cluster that is none":   {a.Drain(ctx, "talk", "n1", 0), control.ErrUnknownCluster},
		"a node that is none":      {a.Drain(ctx, "chat", "n2", 0), control.ErrUnknownNode},
		"an end of no drain":       {a.Undrain(ctx, "chat", "n2"), control.ErrUnknownNode},
		"the last node":            {a.RemoveNode(ctx, "chat", "n1"), control.ErrLastNode},
		"the address of another":   {a.PutNode(ctx, "chat", config.Node{Name: "n2", URL: node("n1").URL, Weight: 1}), control.ErrSameAddress},
		"a node without a cluster": {a.PutNode(ctx, "talk", node("n2")), control.ErrUnknownCluster},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if got := a.names(); got != "n1" {
		t.Errorf("got %s", got)
	}
}

// A node may ask for its drain itself; what an operator wants holds beside it.
func TestANodeAsksForItsDrain(t *testing.T) {
	says := atomic.Pointer[string]{}
	says.Store(new("drain"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Sidway", *says.Load()) }))
	defer server.Close()
	a := start(t, nil, "n1", "n2")
	cfg := chat("n1", "n2")
	cfg.Nodes[0].URL = server.URL
	cfg.Health = &config.Health{Path: "/healthz", Interval: 10 * time.Millisecond, Timeout: patience, Rise: 1, Fall: 1000}
	a.Configure(cfg)
	affinitytest.Eventually(t, "it drains", func() bool { return a.names() == "-n1 n2" })
	if err := a.Drain(t.Context(), "chat", "n1", 0); err != nil {
		t.Fatal(err)
	}
	says.Store(new("ready"))
	for until := probes(a.Nodes, "n1") + 3; probes(a.Nodes, "n1") < until; {
		time.Sleep(time.Millisecond)
	}
	if got := a.names(); got != "-n1 n2" {
		t.Errorf("got %s", got)
	}
	if err := a.Undrain(t.Context(), "chat", "n1"); err != nil {
		t.Fatal(err)
	}
	if got := a.names(); got != "n1 n2" {
		t.Errorf("got %s", got)
	}
}

// probes returns how many probes of a node were good.
func probes(n *control.Nodes, node string) (good uint64) {
	n.EachProbes(func(name, outcome string, count uint64) {
		if name == node && outcome == "ok" {
			good = count
		}
	})
	return good
}

// What was changed at one replica is told at the others, and not again where it was asked for or by those that start later.
func TestChangesAreToldAtAllReplicas(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := start(t, open(t, server), "n1", "n2"), start(t, open(t, server), "n1", "n2")
	said := map[string]string{}
	await := func(want string) {
		t.Helper()
		affinitytest.Eventually(t, want, func() bool {
			said["a"] += fmt.Sprint(drained(a), "\n")
			said["b"] += fmt.Sprint(drained(b), "\n")
			return strings.Contains(said["b"], want)
		})
	}
	if err := b.SetRelease(t.Context(), "chat", nil); err != nil { // both have read by the time that this is known to a
		t.Fatal(err)
	}
	affinitytest.Eventually(t, "both have read", func() bool {
		return a.Drain(t.Context(), "chat", "n1", 0) == nil && strings.Contains(b.names(), "-n1")
	})
	if err := a.Drain(t.Context(), "chat", "n2", time.Hour); err != nil {
		t.Fatal(err)
	}
	await("drain n2 at another replica: drain: it gets no new sessions, and those that it has are ended from ")
	if err := a.Undrain(t.Context(), "chat", "n2"); err != nil {
		t.Fatal(err)
	}
	await("undrain n2 at another replica: the drain was taken back")
	if err := a.PutNode(t.Context(), "chat", node("n3")); err != nil {
		t.Fatal(err)
	}
	await("node n3 at another replica: node at http://n3:")
	if err := a.RemoveNode(t.Context(), "chat", "n3"); err != nil {
		t.Fatal(err)
	}
	await("node n3 at another replica: the node was taken back")
	if strings.Contains(said["a"], "another replica") {
		t.Errorf("told where it was asked for: %s", said["a"])
	}
	c := start(t, open(t, server), "n1", "n2")
	affinitytest.Eventually(t, "it knows the drain", func() bool { return strings.Contains(c.names(), "-n1") })
	if got := fmt.Sprint(drained(c)); strings.Contains(got, "another replica") {
		t.Errorf("told by one that has just started: %s", got)
	}
}
