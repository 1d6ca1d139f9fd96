package report_test

import (
	"testing"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

func TestSessionsThatMoveAreHeldToThoseThatDoNot(t *testing.T) {
	r := newRun(nil)
	r.Movable = true
	r.Proxies = append(r.Proxies, report.Proxy{Name: "sidway-moving", Family: report.Sidway})
	event := report.Workload{Name: "event200", Title: "event", Unit: "frame", PerOp: 2, Job: load.Job{Kind: load.Frame, Conns: 200, Events: true}}
	r.Workloads = []report.Workload{event}
	r.Samples = nil
	for proxy, µs := range map[string]float64{"sidway": 5, "sidway-moving": 6, "nginx-1": 8} {
		for round := range 3 {
			r.Samples = append(r.Samples, newSample(event, proxy, round+1, µs))
		}
	}
	const want = "event of 60 B, 200 tunnels, CPU 6 µs 5 µs 1.2 (1.2–1.2) ≤ 1.15 missed by 4 % 8 µs 0.75 (0.75–0.75) ≤ 1 met"
	if got := line(r.Text(), "event of 60 B, 200 tunnels, CPU"); len(got) != 1 || got[0] != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
