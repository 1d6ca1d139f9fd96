// Package report turns the samples of a run into medians, ratios, tables, charts and a page.
//
//	run, err := report.Load("bench/out/run.json")
//	fmt.Print(run.Text())
//	err = run.WritePage("docs/performance.md")
//
// It measures nothing and knows no proxy: what is sidway and what a rival comes with the samples.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sidway/sidway/bench/crowd"
	"github.com/sidway/sidway/bench/load"
)

// A Run is everything that one command measured, raw.
type Run struct {
	Machine   Machine    `json:"machine"`
	Command   string     `json:"command"`
	Started   time.Time  `json:"started"`
	Rounds    int        `json:"rounds"`
	Proxies   []Proxy    `json:"proxies"` // with the line without one
	Workloads []Workload `json:"workloads"`
	Samples   []Sample   `json:"samples"`
	Calls     []Calls    `json:"calls,omitempty"`
	// CallWorkloads are those of Calls, where they come from another run.
	CallWorkloads []Workload `json:"-"`
	Series        []Series   `json:"series,omitempty"`    // makes it a run about growth
	Ordinary      bool       `json:"ordinary,omitempty"`  // it is a run of ordinary traffic
	Encrypted     bool       `json:"encrypted,omitempty"` // clients spoke TLS
	Movable       bool       `json:"movable,omitempty"`   // sidway's sessions could move, and could not
	Failures      []string   `json:"failures,omitempty"`  // samples that could not be taken, and why

	Growth, Traffic, Storm, Floods, TLS, Moving *Run `json:"-"` // runs of their own that belong on the same page, if there are any
}

// Machine is where it ran.
type Machine struct {
	CPU      string   `json:"cpu"`
	Cores    int      `json:"cores"`
	Memory   int64    `json:"memory"` // bytes
	Kernel   string   `json:"kernel"`
	Revision string   `json:"revision"` // of the sources, with "+" when files differed from it
	Load     string   `json:"load"`     // averages before the run: what else the machine had to do
	Versions []string `json:"versions"` // of the programs beside the proxies
}

// Proxy is a column: one way to run one program. The forms of one family count as one, the better of them.
type Proxy struct {
	Name    string `json:"name"`
	Family  string `json:"family"`
	Version string `json:"version"`
}

// Families with a part of their own in the page.
const (
	Direct  = "direct" // the line without a proxy
	Sidway  = "sidway"
	Nginx   = "nginx"
	HAProxy = "haproxy"
)

// Workload is a row: one thing to do. The job's addresses are filled in by whoever runs it.
type Workload struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Unit  string   `json:"unit"`  // what is counted: request, frame, connection, tunnel
	PerOp int      `json:"perop"` // units in an operation: an echo is two frames
	Job   load.Job `json:"job"`
	Nodes int      `json:"nodes,omitempty"` // behind the proxy; 0: as many as everywhere
	Own   bool     `json:"own,omitempty"`   // sidway's alone: the others would do something else

	Proxied bool `json:"proxied,omitempty"` // there is no line without a proxy for it

	Beside *load.Job  `json:"beside,omitempty"` // what comes at the same time, and is told apart
	Crowd  *crowd.Job `json:"crowd,omitempty"`  // in place of Job
}

// Paced reports whether operations came at a fixed rate, which measures latency; otherwise as fast as they could.
func (w Workload) Paced() bool { return w.Job.Rate > 0 }

// Sample is one workload through one proxy in one round. Memory is in bytes.
type Sample struct {
	Round    int         `json:"round"`
	Workload string      `json:"workload"`
	Proxy    string      `json:"proxy"`
	CPU      float64     `json:"cpu"`    // seconds of processor time of all the proxy's processes in the window
	RedisCPU float64     `json:"redis"`  // the same of Redis, where the proxy asks it
	Span     float64     `json:"span"`   // seconds in which that was taken: until the last operation under way had ended
	Anon     int64       `json:"anon"`   // memory of its own that came with the work
	PSS      int64       `json:"pss"`    // all that was present at the end, shared pages in proportion
	Peak     int64       `json:"peak"`   // the most that was ever present
	Kernel   int64       `json:"kernel"` // what the kernel's came with the work, all processes of the machine
	Result   load.Result `json:"result"`

	Beside   *load.Result     `json:"beside,omitempty"`
	Commands map[string]int64 `json:"commands,omitempty"` // that Redis was given in the window

	Crowd *crowd.Result `json:"crowd,omitempty"` // of a crowd, for which nothing else is measured
}

// Calls is what a proxy asked of the kernel for one unit of a workload, by the names of the system calls; "total" is all.
type Calls struct {
	Workload string             `json:"workload"`
	Proxy    string             `json:"proxy"`
	PerUnit  map[string]float64 `json:"perunit"`
}

// Load reads a run that Save wrote.
func Load(file string) (*Run, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r := new(Run)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("report: %s: %w", file, err)
	}
	return r, nil
}

// Save writes the run as JSON.
func (r *Run) Save(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func (r *Run) workload(name string) (Workload, bool) {
	for _, list := range [][]Workload{r.Workloads, r.CallWorkloads} {
		if i := slices.IndexFunc(list, func(w Workload) bool { return w.Name == name }); i >= 0 {
			return list[i], true
		}
	}
	return Workload{}, false
}

// sample finds one of a round; nil if there is none.
func (r *Run) sample(round int, workload, proxy string) *Sample {
	for i := range r.Samples {
		if s := &r.Samples[i]; s.Round == round && s.Workload == workload && s.Proxy == proxy {
			return s
		}
	}
	return nil
}

// families lists each once, in the order of the columns, without the direct line.
func (r *Run) families() []string {
	var list []string
	for _, p := range r.Proxies {
		if p.Family != Direct && !slices.Contains(list, p.Family) {
			list = append(list, p.Family)
		}
	}
	return list
}
