package control_test

import (
	"errors"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
)

// A cluster has the pace of its configuration, and another one when that is read anew.
func TestPaceIsConfigured(t *testing.T) {
	cfg := config.Cluster{Name: "chat", Nodes: []config.Node{{Name: "n1", URL: "http://127.0.0.1:3000", Weight: 1}}}
	nodes := control.NewNodes(cfg, func() {})
	atOnce := func() (n int) {
		for ; n < 1000; n++ {
			if _, err := nodes.Cluster.Pick(cluster.Want{}); errors.As(err, new(cluster.PacedError)) {
				break
			}
		}
		return n
	}
	if n := atOnce(); n != 1000 {
		t.Errorf("without a pace there were %d sessions", n)
	}
	cfg.Pace = config.Pace{Handshakes: 0.1, Burst: 5}
	nodes.Configure(cfg)
	if n := atOnce(); n != 5 {
		t.Errorf("%d sessions at once", n)
	}
}

// The pace is that of all replicas together.
func TestPaceIsShared(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	cfg := chat("n1")
	cfg.Pace = config.Pace{Handshakes: 0.001, Burst: 60}
	a, b := start(t, open(t, server), "n1"), start(t, open(t, server), "n1")
	b.join("n1", 1)
	affinitytest.Eventually(t, "one knows of the other", func() bool { _, others := a.count("n1"); return others == 1 })
	a.Configure(cfg)
	n := 0
	for ; n < 100; n++ {
		if _, err := a.Cluster.Pick(cluster.Want{}); err != nil {
			break
		}
	}
	if n != 30 {
		t.Errorf("%d sessions at once, want half of 60", n)
	}
}
