package report_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/bench/report"
)

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   report.Summary
	}{
		{nil, report.Summary{}},
		{[]float64{7}, report.Summary{Median: 7, Min: 7, Max: 7, N: 1}},
		{[]float64{3, 1, 2}, report.Summary{Median: 2, Min: 1, Max: 3, N: 3}},
		{[]float64{4, 1, 3, 2}, report.Summary{Median: 2.5, Min: 1, Max: 4, N: 4}},
		{[]float64{-1, -3}, report.Summary{Median: -2, Min: -3, Max: -1, N: 2}},
	} {
		if got := report.Summarize(c.values); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.values, got, c.want)
		}
	}
}

// rows finds the lines of a text that begin with a title.
func rows(text, title string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, title) {
			found = append(found, strings.Join(strings.Fields(line), " "))
		}
	}
	return found
}

func TestTargets(t *testing.T) {
	r := newRun(map[string][]float64{
		"direct": {0, 0, 0}, "sidway": {6, 7, 8}, "nginx-1": {10, 11, 12}, "nginx-2": {9, 10, 14}, "haproxy-1": {8, 8, 8},
	})
	text := r.Text()
	for _, c := range []struct{ title, want string }{
		// The better of nginx's forms is the one with the lower median; each round has a ratio of its own.
		{
			"poll, 64 kept connections, CPU",
			"poll, 64 kept connections, CPU per request 7 µs 10 µs (2) 0.7 (0.571–0.7) ≤ 0.75 met 8 µs (1) 0.875 (0.75–1) ≤ 0.8 missed by 9 % 0.55",
		},
		// More is better: the direct line has 100 %.
		{
			"poll, 64 connections, share of direct",
			"poll, 64 connections, share of direct throughput 58.8 % 50 % (2) 1.18 (1.18–1.33) ≥ 1 met 55.6 % (1) 1.06 (1–1.13) ≥ 1 met",
		},
		{"user memory per idle tunnel", "user memory per idle tunnel 7 KiB 10 KiB (2) 0.7 (0.571–0.7) ≤ 0.06 missed: 11.7 times 8 KiB (1) 0.875 (0.75–1) ≤ 0.3 missed: 2.9 times 1.0 KiB"},
		{"p99 added", "p99 added, 512 polling connections 14 µs 20 µs (2) 0.7 (0.571–0.7) ≤ 0.8 met 16 µs (1) 0.875 (0.75–1) ≤ 0.8 missed by 9 % 0.6"},
	} {
		if got := rows(text, c.title); len(got) != 1 || got[0] != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestRatioToNothing(t *testing.T) {
	r := newRun(map[string][]float64{"direct": {5, 5, 5}, "sidway": {6, 6, 6}, "nginx-1": {5, 4, 5}})
	want := "p99 added, 512 polling connections 2 µs 0 µs (1) – ≤ 0.8 not comparable 0.6"
	if got := rows(r.Text(), "p99 added"); len(got) != 1 || got[0] != want {
		t.Errorf("got %q", got)
	}
}

func TestRoundsThatAreMissing(t *testing.T) {
	r := newRun(map[string][]float64{"direct": {0}, "sidway": {6, 7}, "nginx-1": {10}})
	r.Failures = []string{"round 2/3 poll64 nginx-1: it broke"}
	text := r.Text()
	want := "poll, 64 kept connections, CPU per request 6.5 µs 10 µs (1) 0.65 ≤ 0.75 met 0.55"
	if got := rows(text, "poll, 64 kept connections, CPU"); len(got) != 1 || got[0] != want {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(text, "it broke") {
		t.Error("the failure is not told")
	}
}
