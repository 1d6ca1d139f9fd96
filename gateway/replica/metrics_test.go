package replica_test

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
)

// value returns what a series has on a page of metrics, and whether it is there.
func value(t *testing.T, page, series string) (v float64, there bool) {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(page)
	if found == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v, true
}

// TestMetricsOfAReplica changes what can be changed, and looks what the metrics say.
func TestMetricsOfAReplica(t *testing.T) {
	began := time.Now()
	node := engineiotest.Start(t, engineiotest.Options{})
	cfg := settings(node, engineiotest.Start(t, engineiotest.Options{}))
	cfg.Limits.Connections = 123
	r := startReloading(t, cfg)
	between := func(series string, low, high float64) {
		t.Helper()
		if v, there := value(t, r.metrics(), series); !there || v < low || v > high {
			t.Errorf("%s is %v (there: %v), want %v to %v", series, v, there, low, high)
		}
	}
	unix := func(at time.Time) float64 { return float64(at.UnixMilli()) / 1e3 }
	between(fmt.Sprintf(`sidway_build_info{goversion=%q,version=""}`, runtime.Version()), 1, 1)
	between("sidway_connections_limit", 123, 123)
	between("sidway_reload_last_successful", 1, 1)
	between("sidway_reload_last_success_timestamp_seconds", unix(began), unix(time.Now()))
	between(`sidway_loop_busy_seconds_total{loop="0"}`, 1e-6, time.Since(began).Seconds())
	between(`sidway_loop_lag_seconds_bucket{loop="0",le="+Inf"}`, 0, 1e6)

	const drain, since, deadline = "/api/clusters/chat/nodes/n1/drain", `sidway_drain_since_timestamp_seconds{cluster="chat",node="n1"}`,
		`sidway_drain_deadline_timestamp_seconds{cluster="chat",node="n1"}`
	if status, said := call(t, r.running, "POST", drain, `{"deadline": "5m"}`); status != 200 {
		t.Fatal(status, said)
	}
	between(`sidway_node_draining{cluster="chat",node="n1"}`, 1, 1)
	between(since, unix(began)-1, unix(time.Now()))
	between(deadline, unix(began)+299, unix(time.Now())+300)
	if status, said := call(t, r.running, "DELETE", drain, ""); status != 200 {
		t.Fatal(status, said)
	}
	for _, series := range []string{since, deadline} {
		if v, there := value(t, r.metrics(), series); there {
			t.Errorf("%s is %v behind the end of the drain", series, v)
		}
	}

	refused := time.Now()
	if r.change(func(*config.Config) { r.err = errors.New("no") }) == nil {
		t.Fatal("a bad configuration was taken")
	}
	between("sidway_reload_last_successful", 0, 0)
	between("sidway_reload_last_success_timestamp_seconds", unix(began), unix(refused))
	r.err = nil
	r.must(func(*config.Config) {})
	between("sidway_reload_last_successful", 1, 1)
	between("sidway_reload_last_success_timestamp_seconds", unix(refused), unix(time.Now()))
}
