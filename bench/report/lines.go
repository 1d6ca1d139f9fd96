package report

import (
	"fmt"
	"strings"
)

// Lines writes the samples of one proxy as Go's benchmarks do, for benchstat:
//
//	BenchmarkProxy/poll64 225000 11800 cpu-ns/request 45000 requests/s
func (r *Run) Lines(proxy string) string {
	var b strings.Builder
	b.WriteString("pkg: github.com/sidway/sidway/bench\n")
	for _, s := range r.Samples {
		w, ok := r.workload(s.Workload)
		if s.Proxy != proxy || !ok {
			continue
		}
		fmt.Fprintf(&b, "BenchmarkProxy/%s %d", w.Name, max(1, s.Result.Ops))
		switch {
		case w.Job.Kind == "idle":
			fmt.Fprintf(&b, " %.1f user-B/%s\n", 1024*user.of(w, &s, nil), w.Unit)
		case w.Paced():
			l := s.Result.Latency
			fmt.Fprintf(&b, " %.0f p50-ns %.0f p99-ns %.0f p99.9-ns\n", 1000*l.P50, 1000*l.P99, 1000*l.P999)
		default:
			fmt.Fprintf(&b, " %.1f cpu-ns/%s %.0f %ss/s\n", 1000*cpu.of(w, &s, nil), w.Unit, rate.of(w, &s, nil), w.Unit)
		}
	}
	return b.String()
}

// Line sums one sample up, to be read while a run goes on.
func Line(w Workload, s Sample) string {
	if w.Crowd != nil {
		return crowdLine(w, s.Crowd)
	}
	var b strings.Builder
	switch {
	case w.Job.Kind == "idle":
		fmt.Fprintf(&b, "%8.2f KiB of user memory per %s", user.of(w, &s, nil), w.Unit)
	case w.Paced():
		l := s.Result.Latency
		fmt.Fprintf(&b, "p50 %.0f, p99 %.0f, p99.9 %.0f µs", l.P50, l.P99, l.P999)
	default:
		fmt.Fprintf(&b, "%8.2f µs CPU per %s, %.0f/s", cpu.of(w, &s, nil), w.Unit, rate.of(w, &s, nil))
	}
	if s.Result.Foreign > 0 {
		fmt.Fprintf(&b, ", %.0f %% at a wrong node", foreign.of(w, &s, nil))
	}
	if s.Result.Errors > 0 {
		fmt.Fprintf(&b, ", %d errors: %s", s.Result.Errors, s.Result.FirstError)
	}
	return b.String()
}
