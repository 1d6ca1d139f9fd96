package control_test

import (
	"errors"
	"testing"

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
