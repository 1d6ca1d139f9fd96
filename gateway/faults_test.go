package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/gateway"
)

// Strangers name hosts and paths: however many come, few are remembered, none goes uncounted, and all are forgotten in time.
func TestFaultsAreRememberedForAWhile(t *testing.T) {
	t.Parallel()
	const most, all = 128, 1000
	m := gateway.NewMetrics(prometheus.NewRegistry())
	told := map[string]int{}
	m.OnFault = func(f gateway.Fault) { told[f.Reason+" "+f.Text]++ }
	m.SetupFault("c1", "slow_node", "n1", "slow")
	for i := range all {
		m.SetupFault("", "host", fmt.Sprint(i, ".example"), "unknown host")
	}
	m.SetupFault("c1", "slow_node", "n1", "slow")
	found, sum := m.Faults(), uint64(0)
	for _, f := range found {
		sum += f.Count
	}
	if len(found) != most+1 || sum != all+2 {
		t.Errorf("%d are remembered, and %d counted", len(found), sum)
	}
	if told["slow_node slow"] != 1 || told["host unknown host"] != 16 {
		t.Errorf("told %v", told)
	}
	if f := found[0]; f.Cluster != "c1" || f.Reason != "slow_node" || f.Subject != "n1" || f.Text != "slow" || f.Count != 2 || time.Since(f.Last) > time.Minute {
		t.Errorf("the latest is %+v", f)
	}
	if n := len(m.FaultsAt(time.Now().Add(2 * time.Hour))); n > 0 {
		t.Errorf("%d are remembered after two hours", n)
	}
	m.SetupFault("", "host", "new.example", "unknown host")
	if found := m.Faults(); len(found) != 1 || found[0].Subject != "new.example" {
		t.Errorf("then %+v", found)
	}
}
