package report

import "slices"

// charts are all pictures of a run, by the names of their files.
func (r *Run) charts() map[string]Chart {
	all := map[string]Chart{
		"cpu": r.chart(Chart{
			Title: "CPU of the proxy for one unit of work",
			Axis:  "the better form of nginx = 1; less is better",
		}, func(w Workload) bool { return closed(w) && r.has(cpu, w) }, r.relative),
		"throughput": r.chart(Chart{
			Title: "Throughput beside a line without a proxy",
			Axis:  "% of the direct line; more is better",
		}, closed, r.plain(share)),
		"latency": r.chart(Chart{
			Title: "p99 added over the direct line, at a fixed rate",
			Axis:  "µs; less is better",
		}, Workload.Paced, r.plain(p99)),
		"memory": r.chart(Chart{
			Title: "Memory of the proxy for one idle tunnel",
			Axis:  "KiB of user memory; less is better",
		}, func(w Workload) bool { return w.Job.Kind == "idle" }, r.plain(user)),
	}
	for name, c := range all {
		if len(c.Groups) == 0 {
			delete(all, name)
		}
	}
	return all
}

// chart fills in a group for each workload that fits and a bar for each family.
func (r *Run) chart(c Chart, fits func(Workload) bool, value func(workload, family string) Summary) Chart {
	c.Series = r.families()
	for _, w := range r.Workloads {
		if !fits(w) {
			continue
		}
		g := Group{Label: w.Title}
		for _, family := range c.Series {
			g.Bars = append(g.Bars, value(w.Name, family))
		}
		if slices.ContainsFunc(g.Bars, func(s Summary) bool { return s.N > 0 }) {
			c.Groups = append(c.Groups, g)
		}
	}
	return c
}

func (r *Run) has(m metric, w Workload) bool {
	name, _ := r.best(m, w.Name, Nginx)
	return name != ""
}

// relative is a family's CPU beside nginx's.
func (r *Run) relative(workload, family string) Summary {
	nginx, _ := r.best(cpu, workload, Nginx)
	name, _ := r.best(cpu, workload, family)
	return r.ratio(cpu, cell{workload, name}, cell{workload, nginx})
}

func (r *Run) plain(m metric) func(workload, family string) Summary {
	return func(workload, family string) Summary {
		_, s := r.best(m, workload, family)
		return s
	}
}
