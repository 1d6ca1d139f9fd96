package control_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
	"github.com/sidway/sidway/gateway/health"
)

// The sessions of a node are ended when it has answered no probe for long, and no other's; not while it refuses, which is another
// fault; not where probes came late because this process was paused; and not where no node is left that would take them.
func TestSilentNode(t *testing.T) {
	const silent, long = health.Silent, control.SilentFor
	type probe struct {
		node    string
		outcome health.Outcome
		before  time.Duration // when it was over
		took    time.Duration
	}
	for name, c := range map[string]struct {
		probes []probe
		ends   bool
	}{
		"silent for long":      {[]probe{{"n1", silent, long - time.Second, time.Second}, {"n1", silent, 0, time.Second}}, true},
		"not for long enough":  {[]probe{{"n1", silent, long - 3*time.Second, time.Second}, {"n1", silent, 0, time.Second}}, false},
		"once answered":        {[]probe{{"n1", silent, long, time.Second}, {"n1", health.OK, time.Second, 0}, {"n1", silent, 0, 0}}, false},
		"refuses":              {[]probe{{"n1", silent, long, time.Second}, {"n1", health.Refused, 0, 0}}, false},
		"no descriptor here":   {[]probe{{"n1", silent, long, time.Second}, {"n1", health.Unable, 0, 0}}, true},
		"this one was paused":  {[]probe{{"n1", silent, 0, time.Minute}}, false},
		"the others have gone": {[]probe{{"n1", silent, long, time.Second}, {"n2", silent, long, time.Second}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := chat("n1", "n2")
			cfg.Health = &config.Health{Path: "/healthz", Status: 200, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
			n := control.NewNodes(cfg, func() {})
			n.OnEvent = func(string, string, string) {}
			now := time.Now()
			for _, p := range c.probes {
				control.TakeVerdict(n, health.Verdict{
					Node: p.node, Outcome: p.outcome, Healthy: p.outcome == health.OK, Weight: 1, Took: p.took, At: now.Add(-p.before),
				})
			}
			var ended []string
			var log strings.Builder
			control.EndSilent(n, slog.New(slog.NewTextHandler(&log, nil)), func(n *cluster.Node, _ int, why cluster.Removal) int {
				if why != cluster.Silence {
					t.Error("it is ended as drained")
				}
				ended = append(ended, n.Name)
				return 1
			})
			if c.ends != (len(ended) == 1 && ended[0] == "n1") || !c.ends && len(ended) > 0 {
				t.Errorf("ended are the sessions of %v", ended)
			}
			if c.ends != strings.Contains(log.String(), `level=WARN msg="n1 has answered no probe for 9s, so its sessions are ended`) {
				t.Error(log.String())
			}
		})
	}
}
