package report_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRun is three rounds of invented figures: CPU in µs for one poll of each proxy, round by round.
func newRun(cpu map[string][]float64) *report.Run {
	r := &report.Run{
		Machine: report.Machine{
			CPU: "A Processor", Cores: 2, Memory: 8 << 30, Kernel: "6.1", Revision: "0123456789ab", Load: "0.00 0.01 0.02",
			Versions: []string{"go1.26"},
		},
		Command: "go run ./bench", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rounds: 3,
		Proxies: []report.Proxy{
			{Name: "direct", Family: report.Direct},
			{Name: "sidway", Family: report.Sidway, Version: "sidway 1"},
			{Name: "nginx-1", Family: report.Nginx, Version: "nginx/1"},
			{Name: "nginx-2", Family: report.Nginx, Version: "nginx/1"},
			{Name: "haproxy-1", Family: report.HAProxy, Version: "HAProxy 2"},
		},
		Workloads: []report.Workload{
			{Name: "poll64", Title: "poll, 64 connections", Unit: "request", PerOp: 1, Job: load.Job{Kind: load.Poll, Conns: 64}},
			{Name: "frame200", Title: "frame of 60 B, 200 tunnels", Unit: "frame", PerOp: 2, Job: load.Job{Kind: load.Frame, Conns: 200}},
			{Name: "idle8000", Title: "8,000 idle tunnels", Unit: "tunnel", PerOp: 1, Job: load.Job{Kind: load.Idle, Conns: 8000}},
			{
				Name: "poll512-paced", Title: "poll, 512 connections, 2000 operations/s", Unit: "request", PerOp: 1,
				Job: load.Job{Kind: load.Poll, Conns: 512, Rate: 2000},
			},
		},
	}
	for _, w := range r.Workloads {
		for _, p := range r.Proxies {
			for i, µs := range cpu[p.Name] {
				r.Samples = append(r.Samples, newSample(w, p.Name, i+1, µs))
			}
		}
	}
	return r
}

// newSample derives everything from one figure, so that ratios are the same in all tables.
func newSample(w report.Workload, proxy string, round int, µs float64) report.Sample {
	const ops = 100_000
	s := report.Sample{
		Round: round, Workload: w.Name, Proxy: proxy, CPU: µs * ops * float64(w.PerOp) / 1e6,
		Anon: int64(µs * 1024 * 8000), PSS: 64 << 20, Peak: 65 << 20, Kernel: int64(µs * 2048 * 8000),
		Result: load.Result{Ops: ops, Elapsed: (10 + µs) / 10, Open: 8000},
	}
	s.Result.Latency = load.Quantiles{P50: 10 + µs, P99: 20 + 2*µs, P999: 30 + 3*µs, Max: 100}
	if proxy == "sidway" {
		s.RedisCPU = s.CPU / 10
	} else if proxy != "direct" {
		s.Result.Foreign = ops * 3 / 4
	}
	return s
}
