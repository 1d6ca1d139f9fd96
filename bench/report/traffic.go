package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidway/sidway/bench/load"
)

// bases tell beside which work another one is told: what it costs more is what its form costs.
var bases = map[string]string{
	"quarter64": "cookies64", "split64": "cookies64", "postsplit64": "post64",
	"page64": "poll64", "preflight64": "poll64", "misfit64": "poll64", "malformed": "connect", "unknown2000": "poll512",
}

// ratioTable sets sidway's CPU for all that is not in the table of targets beside the better form of each rival, and beside
// sidway's own for a work of the same kind.
func (r *Run) ratioTable() table {
	t := table{head: []string{"CPU for one unit", "sidway", "nginx", "ratio", "HAProxy", "ratio", "beside", "ratio"}}
	for _, w := range r.Workloads {
		own, s := r.best(cpu, w.Name, Sidway)
		targeted := slices.ContainsFunc(targets, func(g target) bool { return g.workload == w.Name })
		if own == "" || targeted || !closed(w) {
			continue
		}
		row := []string{w.Title + ", per " + w.Unit, quantity(s.Median, cpu.unit)}
		for _, family := range []string{Nginx, HAProxy} {
			name, rival := r.best(cpu, w.Name, family)
			if name == "" {
				row = append(row, "", "")
				continue
			}
			row = append(row, quantity(rival.Median, cpu.unit), spread(r.ratio(cpu, cell{w.Name, own}, cell{w.Name, name}), ""))
		}
		base, title := bases[w.Name], ""
		if b, ok := r.workload(base); ok {
			title = b.Title
		}
		t.rows = append(t.rows, append(row, title, spread(r.ratio(cpu, cell{w.Name, own}, cell{base, own}), "")))
	}
	return t
}

// unknownTable tells what live polls lose while unknown sids come beside them, and what is done about those.
func (r *Run) unknownTable() table {
	t := table{head: []string{
		"work", "proxy", "p50 of live polls, µs", "p99", "p99.9", "unknown sids/s", "CPU, % of a processor", "look-ups in Redis/s", "CPU of Redis, %",
	}}
	for _, w := range r.Workloads {
		quiet := slices.ContainsFunc(r.Workloads, func(o Workload) bool { return o.Beside != nil && o.Name == w.Name+"-unknown" })
		if w.Beside == nil && !quiet {
			continue
		}
		for _, p := range r.Proxies {
			row := []string{w.Title, p.Name}
			for _, m := range []metric{quantile50, quantile99, quantile999, besideRate, cpuShare, lookups, redisShare} {
				row = append(row, spread(r.summary(m, w.Name, p.Name), ""))
			}
			if row[2] != "" {
				t.rows = append(t.rows, row)
			}
		}
	}
	return t
}

// The metrics of that table.
var (
	quantile50  = metric{of: func(_ Workload, s, _ *Sample) float64 { return s.Result.Latency.P50 }}
	quantile99  = metric{of: func(_ Workload, s, _ *Sample) float64 { return s.Result.Latency.P99 }}
	quantile999 = metric{of: func(_ Workload, s, _ *Sample) float64 { return s.Result.Latency.P999 }}
	besideRate  = metric{of: func(_ Workload, s, _ *Sample) float64 {
		if s.Beside == nil {
			return 0
		}
		return float64(s.Beside.Ops) / s.Span
	}}
	cpuShare   = metric{of: func(_ Workload, s, _ *Sample) float64 { return 100 * s.CPU / s.Span }}
	redisShare = metric{of: func(_ Workload, s, _ *Sample) float64 { return 100 * s.RedisCPU / s.Span }}
	lookups    = metric{of: func(_ Workload, s, _ *Sample) float64 { return float64(s.Commands["get"]) / s.Span }}
)

// allowances are how many system calls a work may make above those of another one. Of the six for a malformed head four are
// the connection's own: it is accepted, set up, watched and closed.
var allowances = map[string]struct {
	base string
	more float64
}{
	"split64": {"cookies64", 2}, "postsplit64": {"post64", 2},
	"page64": {"poll64", 2}, "preflight64": {"poll64", 2}, "misfit64": {"poll64", 2}, "malformed": {"poll64", 6},
}

// rivals are the families that are held to nothing.
var rivals = []string{Nginx, HAProxy, "caddy", "floor"}

// allowed tells how many system calls a work of sidway's makes above those of the one it is held to, and whether it may.
func (r *Run) allowed(c Calls) string {
	a, ok := allowances[c.Workload]
	i := slices.IndexFunc(r.Calls, func(o Calls) bool { return o.Workload == a.base && o.Proxy == c.Proxy })
	if !ok || i < 0 {
		return ""
	}
	more := c.PerUnit["total"] - r.Calls[i].PerUnit["total"]
	text := fmt.Sprintf("%+.2f", more)
	rival := func(f string) bool { return c.Proxy == f || strings.HasPrefix(c.Proxy, f+"-") }
	switch {
	case slices.ContainsFunc(rivals, rival):
		return text
	case more <= a.more:
		return text + ", met"
	}
	return fmt.Sprintf("%s, missed: ≤ %g", text, a.more)
}

// least is how many system calls no proxy can do without for one unit of a work; 0 where that is not told.
func least(w Workload) float64 {
	switch w.Job.Kind {
	case load.Poll, load.Post:
		return 4 + w.Job.Split
	case load.Page, load.Preflight:
		return 4
	case load.Frame, load.Misfit:
		return 2
	}
	return 0
}
