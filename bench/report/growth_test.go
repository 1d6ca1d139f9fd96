package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

// newGrowth is three rounds of invented figures: a poll costs more with more sessions, and a tunnel's memory falls because
// what there is in any case is shared by more.
func newGrowth() *report.Run {
	r := newRun(nil)
	r.Command = "go run ./bench -growth"
	r.Proxies = []report.Proxy{{Name: "sidway", Family: report.Sidway, Version: "sidway 1"}, {Name: "floor", Family: "floor"}}
	r.Workloads = nil
	r.Series = []report.Series{{Title: "poll"}, {Title: "idle"}}
	for i, n := range []int{500, 2000, 8000} {
		for kind, title := range []string{load.Poll, load.Idle} {
			w := report.Workload{Name: fmt.Sprint(title, n), Unit: "request", PerOp: 1, Job: load.Job{Kind: title, Conns: n}}
			r.Workloads = append(r.Workloads, w)
			r.Series[kind].Points = append(r.Series[kind].Points, report.Point{Label: fmt.Sprint(n, " of them"), Workload: w.Name})
			for round := range 3 {
				s := newSample(w, "sidway", round+1, float64(10+i+round))
				s.Anon, s.Result.Open = int64(1000+n+round)<<10, n
				r.Samples = append(r.Samples, s)
				s.Proxy, s.CPU = "floor", s.CPU*float64(1+i)
				r.Samples = append(r.Samples, s)
			}
		}
	}
	return r
}

func TestGrowth(t *testing.T) {
	text := newGrowth().Text()
	for title, want := range map[string][]string{
		// 11 to 12 and 13 µs; each round has a growth of its own.
		"poll": {
			"poll 500 of them sidway 47,619 requests 11 µs (10–12)",
			"poll 2000 of them sidway 45,455 requests 12 µs (11–13) +9.1 (+8.3 to +10.0) met",
			"poll 8000 of them sidway 43,478 requests 13 µs (12–14) +18.2 (+16.7 to +20.0) missed: 18 %",
			// Nobody has set the floor a target.
			"poll 500 of them floor 47,619 requests 11 µs (10–12)",
			"poll 2000 of them floor 45,455 requests 24 µs (22–26) +118.2 (+116.7 to +120.0)",
			"poll 8000 of them floor 43,478 requests 39 µs (36–42) +254.5 (+250.0 to +260.0)",
		},
		"500 of them to": {
			"500 of them to 2000 of them sidway 1 (1–1)",
			"500 of them to 2000 of them floor 1 (1–1)",
		},
	} {
		if got := rows(text, title); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s", title, strings.Join(got, "\n"))
		}
	}
	if strings.Contains(text, "Throughput") {
		t.Error("a run about growth has the tables of a comparison")
	}
}

func TestGrowthWithoutTheSmallest(t *testing.T) {
	r := newGrowth()
	r.Samples = slices.DeleteFunc(r.Samples, func(s report.Sample) bool { return s.Workload == "poll500" })
	for _, row := range rows(r.Text(), "poll") {
		if !strings.HasSuffix(row, "– not comparable") {
			t.Error(row)
		}
	}
}
