package replica_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// TestReplicasThatDifferAreTold has a second replica whose setting is another one than the first one's.
func TestReplicasThatDifferAreTold(t *testing.T) {
	const otherNodes, otherPrefix = "replicas have different nodes, addresses or paths", "another replica has the same nodes under another"
	for name, c := range map[string]struct {
		change func(*config.Config)
		says   string // "" nothing
		reason string
	}{
		"the same":      {func(*config.Config) {}, "", ""},
		"another order": {func(c *config.Config) { slices.Reverse(c.Clusters[0].Nodes) }, "", ""},
		"a node less":   {func(c *config.Config) { c.Clusters[0].Nodes = c.Clusters[0].Nodes[:1] }, otherNodes + " for this cluster: n2 is at replica OTHER and not at SELF. Give all replicas the same", "node_list"},
		"a node more": {func(c *config.Config) {
			c.Clusters[0].Nodes = append(c.Clusters[0].Nodes, config.Node{Name: "n3", URL: "http://10.0.0.3:3001"})
		}, otherNodes + " for this cluster: n3 is at replica SELF and not at OTHER. Give", "node_list"},
		"another address": {func(c *config.Config) { c.Clusters[0].Nodes[1].URL = "http://127.0.0.1:1" }, otherNodes + " for this cluster: n2 is http://127.0.0.1:1 at replica SELF and http://127.0.0.1:", "node_list"},
		"another path":    {func(c *config.Config) { c.Clusters[0].Path = "/io/" }, otherNodes + " for this cluster: path is /io/ at replica SELF and /socket.io/ at OTHER. Give", "node_list"},
		"names exchanged": {func(c *config.Config) { n := c.Clusters[0].Nodes; n[0].Name, n[1].Name = n[1].Name, n[0].Name }, otherNodes, "node_list"},
		"another prefix":  {func(c *config.Config) { c.Affinity.Prefix = "other:" }, otherPrefix, "prefix"},
		"another name":    {func(c *config.Config) { c.Clusters[0].Name = "talk" }, otherPrefix, "prefix"},
		"another everything": {func(c *config.Config) {
			c.Affinity.Prefix = "other:"
			c.Clusters[0].Nodes = c.Clusters[0].Nodes[:1]
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := affinitytest.StartRedis(t)
			nodes := []*engineiotest.Node{engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})}
			base := func() *config.Config {
				cfg := settings(nodes...)
				cfg.Affinity.Redis = rdb.URL()
				return cfg
			}
			compared := func(replicas, looks int) { // each sets one key to see whether it may, and two at each look
				affinitytest.Eventually(t, "all have compared", func() bool { return rdb.Calls("set") >= (1+2*looks)*replicas })
			}
			first := start(t, base())
			compared(1, 1)
			cfg := base()
			c.change(cfg)
			var log lockedBuffer
			second := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
			compared(2, 1)
			c.says = strings.NewReplacer("SELF", second.Name(), "OTHER", first.Name()).Replace(c.says)
			told := func() bool {
				return strings.Contains(log.String(), otherNodes) || strings.Contains(log.String(), otherPrefix)
			}
			if told() {
				t.Errorf("one look is enough to say\n%s", log.String())
			}
			compared(2, 2)
			if c.says != "" {
				affinitytest.Eventually(t, c.says, func() bool { return strings.Count(log.String(), c.says) == 1 })
				counted := `sidway_setup_faults_total{cluster="` + cfg.Clusters[0].Name + `",reason="` + c.reason + `"} 1`
				if _, metrics := fetch(t, second.adminURL("/metrics")); !strings.Contains(metrics, counted) {
					t.Errorf("%s is not counted", name)
				}
			}
			for _, r := range []*running{second, first} {
				r.stop()
				if err := r.wait(); err != nil {
					t.Error(err)
				}
			}
			if c.says == "" && told() {
				t.Errorf("the log says\n%s", log.String())
			}
		})
	}
}

// A replica with two Socket.IO paths on the same nodes differs from nobody.
func TestTwoClustersOfTheSameNodesAreComparedOnce(t *testing.T) {
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	second := cfg.Clusters[0]
	second.Name, second.Path = "admin", "/admin-socket/"
	cfg.Clusters = append(cfg.Clusters, second)
	cfg.Affinity.Redis = affinitytest.StartRedis(t).URL()
	r, err := replica.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	keys := r.ComparedKeys()
	if slices.Sort(keys); len(slices.Compact(slices.Clone(keys))) != len(keys) {
		t.Errorf("a key is written twice: %q", keys)
	}
	if err := r.Run(stopped(t)); err != nil {
		t.Error(err)
	}
}

// Fleets whose nodes are found in different places differ in nothing that matters, and so do those whose places have one name, which
// means something else to each. Of others the place says that they have the same nodes.
func TestFleetsThatFindTheirNodesElsewhere(t *testing.T) {
	keys := func(d *config.Discover) (all []string) {
		cfg := settings()
		cfg.Clusters[0].Nodes, cfg.Clusters[0].Discover = nil, d
		r, err := replica.New(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, key := range r.ComparedKeys() {
			if strings.Contains(key, "!prefix:") {
				all = append(all, key)
			}
		}
		return all
	}
	seen := map[string]bool{}
	for _, d := range []config.Discover{
		{DNS: "chat.a.example:3000"},
		{DNS: "chat.b.example:3000"},
		{DNS: "chat.a.example:3001"},
		{SRV: "_sio._tcp.chat.a.example"},
		{Kubernetes: &config.Kubernetes{Service: "chat", Namespace: "a"}},
		{Kubernetes: &config.Kubernetes{Service: "chat", Namespace: "b"}},
		{Kubernetes: &config.Kubernetes{Service: "chat", Namespace: "a", Port: "ws"}},
	} {
		again := d
		again.Interval = time.Minute
		k := keys(&d)
		if len(k) != 1 || seen[k[0]] || !slices.Equal(k, keys(&again)) {
			t.Errorf("%+v: %q", d, k)
		}
		seen[strings.Join(k, "")] = true
	}
	for _, d := range []config.Discover{{DNS: "chat:3000"}, {SRV: "_sio._tcp.chat"}, {Kubernetes: &config.Kubernetes{Service: "chat"}}} {
		if k := keys(&d); len(k) > 0 {
			t.Errorf("%+v: %q", d, k)
		}
	}
}
