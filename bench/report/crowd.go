package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sidway/sidway/bench/crowd"
)

// maxUneven is the project's target: how many handshakes the busiest node may have for one of the least busy.
const maxUneven = 1.1

// ofCrowd makes a metric of a crowd's result. NaN is a sample that has none.
func ofCrowd(of func(*crowd.Result) float64) metric {
	return metric{of: func(_ Workload, s, _ *Sample) float64 { return of(s.Crowd) }}
}

var (
	backTime = ofCrowd(func(r *crowd.Result) float64 {
		if r.Back < r.Clients {
			return math.NaN()
		}
		return r.Elapsed
	})
	handshakes = ofCrowd(func(r *crowd.Result) (sum float64) {
		for _, n := range r.Handshakes {
			sum += float64(n)
		}
		return sum
	})
	uneven = ofCrowd(func(r *crowd.Result) float64 {
		return float64(slices.Max(r.Handshakes)) / float64(slices.Min(r.Handshakes))
	})
	longestGap = ofCrowd(func(r *crowd.Result) float64 { return r.Gap })
	lostKept   = ofCrowd(func(r *crowd.Result) float64 { return float64(r.LostKept) })
	lostFresh  = ofCrowd(func(r *crowd.Result) float64 { return float64(r.LostFresh) })
	echoP50    = ofCrowd(func(r *crowd.Result) float64 { return r.Latency.P50 / 1000 })
	echoP99    = ofCrowd(func(r *crowd.Result) float64 { return r.Latency.P99 / 1000 })
	heldConns  = ofCrowd(func(r *crowd.Result) float64 { return float64(r.Peak.Conns) })
	heldPolls  = ofCrowd(func(r *crowd.Result) float64 { return float64(r.Peak.Polls) })
)

// crowds tells whether the run's workloads are crowds of a kind.
func (r *Run) crowds(kinds ...string) bool {
	return slices.ContainsFunc(r.Workloads, func(w Workload) bool { return w.Crowd != nil && slices.Contains(kinds, w.Crowd.Kind) })
}

// stormTable tells how soon all clients were back, and what that cost the nodes.
func (r *Run) stormTable() table {
	t := table{head: []string{
		"storm", "proxy", "all back after, s", "handshakes at the nodes", "most for one of the least", "longest without a session, s",
		"errors of clients", "target",
	}}
	r.eachCrowd(func(w Workload, p Proxy) {
		back := spread(r.summary(backTime, w.Name, p.Name), "")
		if n := r.left(w, p); n > 0 {
			back = strings.TrimPrefix(fmt.Sprintf("%s; not within %g s in %d of %d rounds", back, w.Crowd.Seconds, n, r.Rounds), "; ")
		}
		row := []string{w.Title, p.Name, back}
		for _, m := range []metric{handshakes, uneven, longestGap} {
			row = append(row, spread(r.summary(m, w.Name, p.Name), ""))
		}
		t.rows = append(t.rows, append(row, r.crowdErrors(w, p), r.stormVerdict(w, p)))
	})
	return t
}

// eachCrowd calls f for each crowd and proxy of which there is a sample.
func (r *Run) eachCrowd(f func(Workload, Proxy)) {
	for _, w := range r.Workloads {
		for _, p := range r.Proxies {
			if r.summary(longestGap, w.Name, p.Name).N > 0 {
				f(w, p)
			}
		}
	}
}

// left counts the rounds in which not all clients were back.
func (r *Run) left(w Workload, p Proxy) int {
	return r.summary(longestGap, w.Name, p.Name).N - r.summary(backTime, w.Name, p.Name).N
}

// stormVerdict holds sidway to HAProxy's time and handshakes, and to even nodes.
func (r *Run) stormVerdict(w Workload, p Proxy) string {
	if p.Family != Sidway {
		return ""
	}
	var missed []string
	for _, m := range []struct {
		metric
		name string
	}{{backTime, "time"}, {handshakes, "handshakes"}} {
		rival, s := r.best(m.metric, w.Name, HAProxy)
		if rival == "" {
			return "not comparable"
		}
		if own := r.summary(m.metric, w.Name, p.Name); r.left(w, p) > 0 || own.Median > s.Median {
			missed = append(missed, m.name)
		}
	}
	if s := r.summary(uneven, w.Name, p.Name); s.N == 0 || s.Median > maxUneven {
		missed = append(missed, "even nodes")
	}
	if len(missed) == 0 {
		return "met"
	}
	return "missed: " + strings.Join(missed, ", ")
}

// crowdErrors lists what the clients of all rounds saw, by kind.
func (r *Run) crowdErrors(w Workload, p Proxy) string {
	sum := map[string]int{}
	for _, s := range r.Samples {
		if s.Workload == w.Name && s.Proxy == p.Name {
			for kind, n := range s.Crowd.Errors {
				sum[kind] += n
			}
		}
	}
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(sum)) {
		list = append(list, fmt.Sprintf("%s: %s", kind, thousands(fmt.Sprint(sum[kind]))))
	}
	if len(list) == 0 {
		return "0"
	}
	return strings.Join(list, ", ")
}

// floodTable tells what live clients lost and waited, and what was held for the attacker.
func (r *Run) floodTable() table {
	t := table{head: []string{
		"flood", "proxy", "lost, kept connections", "lost, fresh connections", "p50 of a message, ms", "p99", "connections, at most",
		"polls at the nodes, at most", "errors of clients", "target",
	}}
	r.eachCrowd(func(w Workload, p Proxy) {
		kept, fresh := w.Crowd.Live()
		row := []string{
			w.Title, p.Name,
			spread(r.summary(lostKept, w.Name, p.Name), "") + fmt.Sprint(" of ", kept),
			spread(r.summary(lostFresh, w.Name, p.Name), "") + fmt.Sprint(" of ", fresh),
		}
		for _, m := range []metric{echoP50, echoP99, heldConns, heldPolls} {
			row = append(row, spread(r.summary(m, w.Name, p.Name), ""))
		}
		target := ""
		if p.Family == Sidway {
			target = "met"
			if r.summary(lostKept, w.Name, p.Name).Max+r.summary(lostFresh, w.Name, p.Name).Max > 0 {
				target = "missed: live sessions"
			}
		}
		t.rows = append(t.rows, append(row, r.crowdErrors(w, p), target))
	})
	return t
}

// crowdLine sums one sample up.
func crowdLine(w Workload, r *crowd.Result) string {
	if w.Crowd.Kind == crowd.Storm {
		return fmt.Sprintf("%d of %d back after %.1f s, %.1f s without a new session, handshakes %v, errors %v", r.Back, r.Clients,
			r.Elapsed, r.Gap, r.Handshakes, r.Errors)
	}
	return fmt.Sprintf("lost %d + %d, p99 %.0f ms of %d, %+v, then at most %+v by %d connections, errors %v", r.LostKept, r.LostFresh,
		r.Latency.P99/1000, r.Messages, r.Before, r.Peak, r.Attempts, r.Errors)
}
