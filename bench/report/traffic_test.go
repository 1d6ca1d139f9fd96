package report_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

// newTraffic is a run of what else comes to a proxy on an ordinary day, with its system calls.
func newTraffic() *report.Run {
	r := newRun(nil)
	r.Ordinary = true
	poll := report.Workload{Name: "cookies64", Title: "poll with cookies", Unit: "request", PerOp: 1, Job: load.Job{Kind: load.Poll, Conns: 64}}
	split := poll
	split.Name, split.Title, split.Job.Split = "split64", "poll in two segments", 1
	flood := poll
	flood.Name, flood.Title, flood.Job.Rate, flood.Beside = "poll64-unknown", "poll beside unknown sids", 100, new(load.Job)
	r.Workloads = append(r.Workloads, poll, split, flood)
	for _, p := range []string{"sidway", "nginx-1", "haproxy-1"} {
		for i, µs := range []float64{4, 5, 6} {
			r.Samples = append(r.Samples, newSample(poll, p, i+1, µs), newSample(split, p, i+1, 2*µs))
			s := newSample(flood, p, i+1, µs)
			s.Beside, s.Span = &load.Result{Ops: 4000, Elapsed: 2}, 2
			if p == "sidway" {
				s.Commands = map[string]int64{"get": 3000, "pttl": 3000}
			}
			r.Samples = append(r.Samples, s)
		}
		for i, work := range []string{"cookies64", "split64"} {
			r.Calls = append(r.Calls, report.Calls{Workload: work, Proxy: p, PerUnit: map[string]float64{"total": 5 + 1.5*float64(i)}})
		}
	}
	return r
}

// line finds the lines of a text that begin with words, whatever room is between those.
func line(text, words string) (found []string) {
	for l := range strings.Lines(text) {
		if l = strings.Join(strings.Fields(l), " "); strings.HasPrefix(l, words) {
			found = append(found, l)
		}
	}
	return found
}

func TestTrafficIsToldBesideOtherWork(t *testing.T) {
	r := newTraffic()
	for title, want := range map[string]string{
		"poll in two segments, per request 10 µs": "poll in two segments, per request 10 µs 10 µs 1 (1–1) 10 µs 1 (1–1) poll with cookies 2 (2–2)",
		"poll beside unknown sids sidway":         "poll beside unknown sids sidway 15 (14–16) 30 (28–32) 45 (42–48) 2,000 (2,000–2,000) 25 (20–30) 1,500 (1,500–1,500) 2.5 (2–3)",
		"poll beside unknown sids nginx-1":        "poll beside unknown sids nginx-1 15 (14–16) 30 (28–32) 45 (42–48) 2,000 (2,000–2,000) 25 (20–30) 0 (0–0) 0 (0–0)",
	} {
		if got := line(r.Text(), title); len(got) != 1 || got[0] != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestSystemCallsAboveAPlainOne(t *testing.T) {
	r := newTraffic()
	r.Ordinary = false
	for i := range r.Calls {
		if c := &r.Calls[i]; c.Workload == "split64" && c.Proxy == "sidway" {
			for calls, want := range map[float64]string{7: "+2.00, met", 7.5: "+2.50, missed: ≤ 2"} {
				c.PerUnit["total"] = calls
				got := line(r.Text(), "poll in two segments, per request sidway")
				if len(got) != 1 || !strings.HasSuffix(got[0], want) {
					t.Errorf("%v: %q", calls, got)
				}
			}
		}
	}
	if got := line(r.Text(), "poll in two segments, per request nginx-1"); len(got) != 1 || !strings.HasSuffix(got[0], " +1.50") {
		t.Errorf("a rival is held to nothing: %q", got)
	}
}
