package replica_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
)

// handshakes makes n sessions by polling.
func handshakes(t *testing.T, r *running, n int) {
	t.Helper()
	for range n {
		res, err := http.Get(r.url("/socket.io/?EIO=4&transport=polling"))
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(res.Body)
		if res.Body.Close(); res.StatusCode != 200 || !strings.Contains(string(said), `"sid"`) {
			t.Fatalf("%d %s", res.StatusCode, said)
		}
	}
}

// Three replicas of which one takes nine tenths of the new sessions and knows none of the old ones: the nodes get as many each,
// although two of them come later.
func TestReplicasBalanceTogether(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	var nodes []*engineiotest.Node
	for range 4 {
		nodes = append(nodes, engineiotest.Start(t, engineiotest.Options{}))
	}
	var replicas []*running
	for range 3 {
		cfg := settings(nodes[:2]...)
		cfg.Affinity.Redis = rdb.URL()
		replicas = append(replicas, start(t, cfg))
		awaitReady(t, replicas[len(replicas)-1])
	}
	handshakes(t, replicas[1], 250)
	handshakes(t, replicas[2], 250)
	for i, n := range nodes[2:] {
		path := fmt.Sprint("/api/clusters/chat/nodes/n", i+3)
		if status, text := call(t, replicas[1], "PUT", path, fmt.Sprintf(`{"url":%q}`, n.URL())); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	affinitytest.Eventually(t, "the first replica knows of all", func() bool {
		status, text := call(t, replicas[0], "GET", "/api/status", "")
		return status == 200 && strings.Contains(text, `"n4"`) && strings.Count(text, `"total":250`) == 2
	})
	for made := 500; made < 2000; {
		handshakes(t, replicas[0], 180)
		handshakes(t, replicas[1], 10)
		handshakes(t, replicas[2], 10)
		if made += 200; made > 2000-200 {
			handshakes(t, replicas[0], 2000-made)
			break
		}
		// Counts are shared twice a second, and a fast machine makes all sessions sooner.
		affinitytest.Eventually(t, "all replicas know what the others have", func() bool {
			return !slices.ContainsFunc(replicas, func(r *running) bool {
				all := 0
				for _, n := range statusOf(t, r).Clusters[0].Nodes {
					all += n.Total
				}
				return all != made
			})
		})
	}
	for i, n := range nodes {
		if got := len(n.Sessions()); got < 475 || got > 525 {
			t.Errorf("n%d has %d of 2,000 sessions", i+1, got)
		}
	}
}

// What a replica that ends has counted is counted on: the node that has its sessions gets no new ones before the other has as many.
func TestBalanceOutlivesAReplica(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	n1, n2 := engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})
	one, both := settings(n1), settings(n1, n2)
	one.Affinity.Redis, both.Affinity.Redis = rdb.URL(), rdb.URL()
	ends, stays := start(t, one), start(t, both)
	awaitReady(t, ends)
	awaitReady(t, stays)
	handshakes(t, ends, 100)
	ends.stop()
	affinitytest.Eventually(t, "its sessions are counted", func() bool {
		return statusOf(t, stays).Clusters[0].Nodes[0].Sessions == 100
	})
	handshakes(t, stays, 100)
	if n := len(n2.Sessions()); n < 90 {
		t.Errorf("the empty node has %d of 100 new sessions", n)
	}
}

// A canary gets its share of new sessions, to the session, and another share when it is changed; no session moves.
func TestCanary(t *testing.T) {
	t.Parallel()
	var nodes []*engineiotest.Node
	for range 3 {
		nodes = append(nodes, engineiotest.Start(t, engineiotest.Options{}))
	}
	cfg := settings(nodes...)
	for i := range cfg.Clusters[0].Nodes {
		cfg.Clusters[0].Nodes[i].Labels = map[string]string{"version": []string{"v1", "v1", "v2"}[i]}
	}
	cfg.Clusters[0].Release = config.Release{Label: "version", Value: "v2", Share: 0.1}
	r := start(t, cfg)
	awaitReady(t, r)
	counts := func() (all [3]int) {
		for i, n := range nodes {
			all[i] = len(n.Sessions())
		}
		return all
	}
	handshakes(t, r, 2000)
	if got := counts(); got[2] < 199 || got[2] > 201 || got[0] < 899 || got[0] > 901 {
		t.Errorf("with a tenth: %v", got)
	}
	if status, text := call(t, r, "PUT", "/api/clusters/chat/release", `{"label":"version","value":"v2","share":"25%"}`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	before := counts()
	handshakes(t, r, 1000)
	if got := counts(); got[2]-before[2] < 249 || got[2]-before[2] > 251 || got[0] < before[0] || got[1] < before[1] {
		t.Errorf("with a quarter: %v, and before %v", got, before)
	}
	if _, page := fetch(t, r.adminURL("/metrics")); !strings.Contains(page, `sidway_node_label{cluster="chat",label="version",node="n3",value="v2"} 1`) {
		t.Error("the label is no metric")
	}
}
