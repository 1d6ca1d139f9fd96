package report

import (
	"cmp"
	"math"
	"slices"
)

// Summary is a quantity over the rounds. N is 0 where nothing was measured.
type Summary struct {
	Median, Min, Max float64
	N                int
}

// Summarize orders values and takes their median: of an even number, the mean of the middle two.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Summary{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1], N: n}
}

// A metric is a quantity of one sample, beside the direct line's of the same round.
type metric struct {
	title, unit string
	more        bool // is better
	perUnit     bool // of work, as the table's rows then say
	ofProxy     bool // the line without one has none
	needsDirect bool // is beside that line
	of          func(w Workload, s, direct *Sample) float64
}

// The metrics, each for the workloads for which it means something.
var (
	cpu = metric{
		title: "CPU", unit: "µs", perUnit: true, ofProxy: true, of: func(w Workload, s, _ *Sample) float64 {
			return s.CPU * 1e6 / units(w, s)
		},
	}
	redisCPU = metric{
		title: "CPU of Redis", unit: "µs", of: func(w Workload, s, _ *Sample) float64 {
			return s.RedisCPU * 1e6 / units(w, s)
		},
	}
	given = metric{
		title: "commands of Redis", of: func(w Workload, s, _ *Sample) (v float64) {
			for _, n := range s.Commands {
				v += float64(n)
			}
			return v / units(w, s)
		},
	}
	rate = metric{
		title: "throughput", unit: "/s", more: true, perUnit: true, of: func(w Workload, s, _ *Sample) float64 {
			return units(w, s) / s.Result.Elapsed
		},
	}
	share = metric{
		title: "share of the direct line's throughput", unit: "%", more: true, needsDirect: true,
		of: func(w Workload, s, direct *Sample) float64 {
			return 100 * rate.of(w, s, nil) / rate.of(w, direct, nil)
		},
	}
	p50     = added("p50", func(s *Sample) float64 { return s.Result.Latency.P50 })
	p99     = added("p99", func(s *Sample) float64 { return s.Result.Latency.P99 })
	p999    = added("p99.9", func(s *Sample) float64 { return s.Result.Latency.P999 })
	foreign = metric{
		title: "at a wrong node", unit: "%", of: func(_ Workload, s, _ *Sample) float64 {
			return 100 * float64(s.Result.Foreign) / float64(s.Result.Ops)
		},
	}
	user = metric{
		title: "user memory", unit: "KiB", of: func(_ Workload, s, _ *Sample) float64 {
			return float64(s.Anon) / 1024 / float64(s.Result.Open)
		},
	}
	kernel = metric{
		title: "kernel memory", unit: "KiB", needsDirect: true, of: func(_ Workload, s, direct *Sample) float64 {
			perTunnel := func(s *Sample) float64 { return float64(s.Kernel) / 1024 / float64(s.Result.Open) }
			return perTunnel(s) - perTunnel(direct)
		},
	}
	pss = metric{
		title: "all processes", unit: "MiB", of: func(_ Workload, s, _ *Sample) float64 { return float64(s.PSS) / (1 << 20) },
	}
	peak = metric{
		title: "peak", unit: "MiB", ofProxy: true, of: func(_ Workload, s, _ *Sample) float64 { return float64(s.Peak) / (1 << 20) },
	}
)

// added is a quantile less the direct line's.
func added(title string, quantile func(*Sample) float64) metric {
	return metric{title: title, unit: "µs", needsDirect: true, of: func(_ Workload, s, direct *Sample) float64 {
		return quantile(s) - quantile(direct)
	}}
}

func units(w Workload, s *Sample) float64 { return float64(s.Result.Ops) * float64(w.PerOp) }

// values is a metric of one proxy, round by round; NaN where it was not measured.
func (r *Run) values(m metric, workload, proxy string) []float64 {
	w, _ := r.workload(workload)
	list := make([]float64, r.Rounds)
	for i := range list {
		list[i] = math.NaN()
		s, direct := r.sample(i+1, workload, proxy), r.sample(i+1, workload, Direct)
		if s == nil || m.needsDirect && direct == nil {
			continue
		}
		if v := m.of(w, s, direct); !math.IsInf(v, 0) {
			list[i] = v
		}
	}
	return list
}

func (r *Run) summary(m metric, workload, proxy string) Summary {
	return Summarize(measured(r.values(m, workload, proxy)))
}

func measured(values []float64) []float64 {
	return slices.DeleteFunc(values, math.IsNaN)
}

// best is the form of a family with the best median; its name is empty where none was measured.
func (r *Run) best(m metric, workload, family string) (name string, s Summary) {
	for _, p := range r.Proxies {
		if p.Family != family {
			continue
		}
		next := r.summary(m, workload, p.Name)
		if next.N > 0 && (name == "" || m.better(next.Median, s.Median)) {
			name, s = p.Name, next
		}
	}
	return name, s
}

func (m metric) better(a, b float64) bool {
	if m.more {
		a, b = b, a
	}
	return cmp.Less(a, b)
}

// cell is where a metric was measured.
type cell struct{ workload, proxy string }

// ratio compares a with b: the median's ratio of medians, Min and Max from the rounds' own ratios. It is empty where b's
// median is not above zero, as an added latency within the noise can be.
func (r *Run) ratio(m metric, a, b cell) Summary {
	of, to := r.summary(m, a.workload, a.proxy), r.summary(m, b.workload, b.proxy)
	if of.N == 0 || to.N == 0 || to.Median <= 0 {
		return Summary{}
	}
	var each []float64
	over := r.values(m, b.workload, b.proxy)
	for i, v := range r.values(m, a.workload, a.proxy) {
		if q := v / over[i]; over[i] > 0 && !math.IsNaN(q) {
			each = append(each, q)
		}
	}
	s := Summarize(each)
	s.Median = of.Median / to.Median
	return s
}
