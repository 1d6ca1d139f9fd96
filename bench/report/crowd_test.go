package report_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/bench/crowd"
	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

// newCrowd is three rounds of invented results, of each proxy and round by round.
func newCrowd(job crowd.Job, results map[string][3]crowd.Result) *report.Run {
	r := newRun(nil)
	w := report.Workload{Name: job.Kind, Title: "clients that " + job.Kind, Crowd: &job}
	r.Command, r.Workloads = "go run ./bench -"+job.Kind, []report.Workload{w}
	for _, p := range r.Proxies {
		for i, result := range results[p.Name] {
			if result.Clients > 0 {
				r.Samples = append(r.Samples, report.Sample{Round: i + 1, Workload: w.Name, Proxy: p.Name, Crowd: &result})
			}
		}
	}
	return r
}

func storm(back int, seconds float64, handshakes ...int) crowd.Result {
	r := crowd.Result{Clients: 30, Back: back, Elapsed: seconds, Gap: seconds / 10, Handshakes: handshakes}
	if back < r.Clients {
		r.Errors = map[string]int{"no session in 20 s": 700, "status 503": 5}
	}
	return r
}

func newStorm() *report.Run {
	return newCrowd(crowd.Job{Kind: crowd.Storm, Clients: 30, Seconds: 240}, map[string][3]crowd.Result{
		"sidway":    {storm(30, 15, 10, 10, 10), storm(30, 16, 10, 11, 9), storm(30, 17, 10, 10, 10)},
		"haproxy-1": {storm(30, 17, 10, 10, 10), storm(30, 18, 10, 10, 10), storm(30, 18, 10, 10, 10)},
		"nginx-1":   {storm(30, 20, 5, 20, 5), storm(29, 240, 20, 20, 20), storm(28, 240, 20, 20, 20)},
	})
}

func flood(kept, fresh int) crowd.Result {
	return crowd.Result{
		Clients: 10, Back: 10, LostKept: kept, LostFresh: fresh, Messages: 100, Latency: load.Quantiles{P50: 2000, P99: 90000},
		Peak: crowd.Held{Conns: 400, Polls: 40},
	}
}

func newFloods() *report.Run {
	return newCrowd(crowd.Job{Kind: crowd.Idle, Clients: 10, Seconds: 40}, map[string][3]crowd.Result{
		"sidway": {flood(0, 0), flood(0, 0), flood(0, 1)}, "haproxy-1": {flood(0, 5), flood(0, 4), flood(0, 5)},
	})
}

func TestStormTable(t *testing.T) {
	want := []string{
		"clients that storm sidway 16 (15–17) 30 (30–30) 1 (1–1.22) 1.6 (1.5–1.7) 0 met",
		"clients that storm nginx-1 20; not within 240 s in 2 of 3 rounds 60 (30–60) 1 (1–4) 24 (2–24) no session in 20 s: 1,400, status 503: 10",
		"clients that storm haproxy-1 18 (17–18) 30 (30–30) 1 (1–1) 1.8 (1.7–1.8) 0",
	}
	if got := rows(newStorm().Text(), "clients that"); !slices.Equal(got, want) {
		t.Error(strings.Join(got, "\n"))
	}
}

// TestStormVerdict spoils one thing after the other.
func TestStormVerdict(t *testing.T) {
	good := storm(30, 18, 10, 10, 10)
	for want, bad := range map[string]crowd.Result{
		"met":                            storm(30, 18, 10, 10, 10),
		"missed: time":                   storm(30, 19, 10, 10, 10),
		"missed: handshakes":             storm(30, 18, 11, 11, 11),
		"missed: even nodes":             storm(30, 18, 8, 10, 12),
		"missed: time, handshakes":       storm(29, 18, 10, 10, 10),
		"missed: handshakes, even nodes": storm(30, 18, 40, 0, 40),
	} {
		r := newCrowd(crowd.Job{Kind: crowd.Storm, Clients: 30}, map[string][3]crowd.Result{
			"sidway": {bad, bad, bad}, "haproxy-1": {good, good, good},
		})
		if got := rows(r.Text(), "clients that"); len(got) != 2 || !strings.HasSuffix(got[0], want) {
			t.Errorf("%s:\n%s", want, strings.Join(got, "\n"))
		}
	}
	alone := newCrowd(crowd.Job{Kind: crowd.Storm, Clients: 30}, map[string][3]crowd.Result{"sidway": {good, good, good}})
	if got := rows(alone.Text(), "clients that"); len(got) != 1 || !strings.HasSuffix(got[0], "not comparable") {
		t.Error(strings.Join(got, "\n"))
	}
}

func TestFloodTable(t *testing.T) {
	want := []string{
		"clients that idle sidway 0 (0–0) of 5 0 (0–1) of 5 2 (2–2) 90 (90–90) 400 (400–400) 40 (40–40) 0 missed: live sessions",
		"clients that idle haproxy-1 0 (0–0) of 5 5 (4–5) of 5 2 (2–2) 90 (90–90) 400 (400–400) 40 (40–40) 0",
	}
	if got := rows(newFloods().Text(), "clients that"); !slices.Equal(got, want) {
		t.Error(strings.Join(got, "\n"))
	}
}
