package control_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
)

// Whatever Redis has as the changes of operators, the cluster has no node that a configuration could not have, and what cannot be
// read changes nothing.
func FuzzChanges(f *testing.F) {
	f.Add("n1", `{"url":"http://n9:1","weight":2,"labels":{"v":"2"}}`, "n2", `{"since":"2026-01-02T15:04:05Z","deadline":"2026-01-02T15:04:06Z"}`,
		`{"label":"v","value":"2","share":0.07}`)
	f.Add("n2", `{"removed":true}`, "n1", `{}`, `null`)
	f.Add("n 3", `{"url":"unix:///x"}`, "", `null`, `{"label":"v","value":"2","share":1e300}`)
	f.Add("", `null`, "n1", `[]`, `[]`)
	f.Fuzz(func(t *testing.T, name, node, drained, drain, release string) {
		changes, err := control.ParseChanges(map[string]string{"node " + name: node, "drain " + drained: drain, "release": release, "revision": "1"})
		wrong := 0
		cfg := chat("n1", "n2")
		cfg.Release = config.Release{Label: "v", Value: "1", Share: 0.5}
		nodes := control.NewNodes(cfg, func() {})
		nodes.SetChanges(changes)
		if _, read := changes.Nodes[name]; !read {
			wrong++
		}
		for _, n := range nodes.List() {
			if again, err := config.NewNode(n.Name, n.URL, n.Weight, n.Labels); err != nil || again.Name != n.Name {
				t.Errorf("%+v: %v", n, err)
			}
		}
		_, drains := changes.Drains[drained]
		for _, n := range nodes.Cluster.Nodes() {
			if n.Drains() != (drains && n.Name == drained) {
				t.Errorf("%s drains: %v", n.Name, n.Drains())
			}
		}
		r := nodes.Release()
		if r.Label == "" || !(r.Share >= 0 && r.Share <= 1) || changes.Release == nil && r != control.Release(cfg.Release) {
			t.Errorf("the release is %+v", r)
		}
		if wrong += b2i(!drains) + b2i(changes.Release == nil); (err == nil) != (wrong == 0) {
			t.Errorf("%d fields cannot be read: %v", wrong, err)
		}
		for range 3 { // of what came, it can be picked
			if _, err := nodes.Cluster.Pick(cluster.Want{}); err != nil && len(nodes.List()) > 1 && !drains {
				t.Error(err)
			}
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Whatever others tell of their counts, none is negative, and what is not told of a node is none.
func FuzzCounts(f *testing.F) {
	f.Add(" n1=3,2 n1=p1 n2=4,4", " n1=1,1")
	f.Add(" n1=9223372036854775807,9223372036854775807 n1=p9223372036854775807", " n1=1,1 n1=p1")
	f.Add(" n1=-1,+1 n1=p-1 n1=p n1= n1", "= =1,1 n1=1,1,1")
	f.Fuzz(func(t *testing.T, a, b string) {
		nodes := control.NewNodes(chat("n1", "n2"), func() {})
		control.HearCounts(nodes, a, b)
		for _, s := range nodes.Cluster.Statuses() {
			polling := nodes.PollingElsewhere(s.Node.Name)
			told := strings.Contains(a+b, s.Node.Name+"=")
			if s.Others < 0 || polling < 0 || !told && s.Others+polling > 0 {
				t.Errorf("%s has %d, and %d that poll", s.Node.Name, s.Others, polling)
			}
		}
	})
}
