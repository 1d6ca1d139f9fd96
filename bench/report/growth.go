package report

import (
	"fmt"
	"math"
	"strings"
)

// maxGrowth is the project's target, in %: what a unit of work may cost more, or a tunnel take more, at the greatest size
// than at the smallest.
const maxGrowth = 15

// Series is one kind of work at several sizes of something else, the smallest first: CPU for a unit of it, or user memory
// of idle tunnels, must not grow with that.
type Series struct {
	Title  string  `json:"title"`
	Points []Point `json:"points"`
}

// Point is one size, measured by a workload of its own.
type Point struct {
	Label    string `json:"label"`
	Workload string `json:"workload"`
}

// growthTable sets each size beside its series' smallest.
func (r *Run) growthTable() table {
	t := table{head: []string{"work", "at", "proxy", "per second", "cost", "growth, %", fmt.Sprintf("target < %d %%", maxGrowth)}}
	for _, s := range r.Series {
		for _, p := range r.Proxies {
			for i, point := range s.Points {
				if row := r.growthRow(s, i, p); row != nil {
					t.rows = append(t.rows, append([]string{s.Title, point.Label, p.Name}, row...))
				}
			}
		}
	}
	return t
}

// growthRow is what was measured at one size and how that compares, nil where nothing was.
func (r *Run) growthRow(s Series, size int, p Proxy) []string {
	w, _ := r.workload(s.Points[size].Workload)
	at, first := cell{w.Name, p.Name}, cell{s.Points[0].Workload, p.Name}
	m, pace := cpu, ""
	if w.Job.Kind == "idle" {
		m = user
	} else {
		pace = number(r.summary(rate, w.Name, p.Name).Median) + " " + w.Unit + "s"
	}
	cost := r.summary(m, w.Name, p.Name)
	if cost.N == 0 {
		return nil
	}
	row := []string{pace, spread(cost, " "+m.unit)}
	ratio := r.ratio(m, at, first)
	switch {
	case size == 0:
		return append(row, "", "")
	case ratio.N == 0:
		return append(row, "–", "not comparable")
	}
	return append(row, grown(ratio), growthVerdict(p, ratio.Median))
}

// growthVerdict tells whether a ratio meets the target, which is sidway's: others are there for comparison.
func growthVerdict(p Proxy, ratio float64) string {
	percent := 100 * (ratio - 1)
	switch {
	case p.Family != Sidway:
		return ""
	case percent < maxGrowth:
		return "met"
	}
	return fmt.Sprintf("missed: %.0f %%", percent)
}

// grown is a ratio as a growth: "+3.1 (-0.2–+4)".
func grown(ratio Summary) string {
	percent := func(v float64) string { return fmt.Sprintf("%+.1f", 100*(v-1)) }
	if ratio.N < 2 {
		return percent(ratio.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", percent(ratio.Median), percent(ratio.Min), percent(ratio.Max))
}

// furtherTable is what the tunnels take that a size has more than the one before. What a process has in any case is not in
// it, which in the mean over all tunnels would hide a growth.
func (r *Run) furtherTable() table {
	t := table{head: []string{"tunnels", "proxy", "KiB for each further one"}}
	for _, s := range r.Series {
		for _, p := range r.Proxies {
			for i := 1; i < len(s.Points); i++ {
				further := r.further(s, i, p)
				if further.N == 0 {
					continue
				}
				t.rows = append(t.rows, []string{
					s.Points[i-1].Label + " to " + s.Points[i].Label, p.Name, spread(further, ""),
				})
			}
		}
	}
	return t
}

func (r *Run) further(s Series, size int, p Proxy) Summary {
	var each []float64
	for round := 1; round <= r.Rounds; round++ {
		few := r.sample(round, s.Points[size-1].Workload, p.Name)
		many := r.sample(round, s.Points[size].Workload, p.Name)
		w, _ := r.workload(s.Points[size].Workload)
		if few == nil || many == nil || w.Job.Kind != "idle" {
			continue
		}
		v := float64(many.Anon-few.Anon) / 1024 / float64(many.Result.Open-few.Result.Open)
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			each = append(each, v)
		}
	}
	return Summarize(each)
}

// part is the part of the page that a run of its own measured, empty if there is no such run.
func (r *Run) part() string {
	if r == nil {
		return ""
	}
	var parts []string
	for _, s := range r.sections() {
		if s.body != "" {
			parts = append(parts, s.body)
		}
	}
	return strings.Join(parts, "\n")
}
