package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sidway/sidway/bench/crowd"
)

// A section is one generated part of the page, between its markers.
type section struct {
	name, title string
	body        string // Markdown
	text        string // for a terminal
}

// sections are all parts, in the page's order. One for which nothing was measured is empty. Runs about growth, of
// ordinary traffic and with crowds have parts of their own.
func (r *Run) sections() []section {
	list := []section{{name: "machine", title: "Machine", body: r.machine(), text: r.machine()}}
	add := func(name, title string, t table) {
		list = append(list, section{name, title, t.markdown(), t.text()})
	}
	if len(r.Series) > 0 {
		add("growth", "Growth", r.growthTable())
		add("further", "User memory of each further tunnel, KiB", r.furtherTable())
		add("failures", "What went wrong", r.failureTable())
		return list
	}
	if r.Ordinary {
		add("traffic", "CPU of the proxy: ratios to the better form of each rival, and to other work", r.ratioTable())
		add("cpu", "CPU of the proxy, µs for one unit of work", r.grid(cpu, closed))
		add("unknown", "Live polls while unknown sids come beside them", r.unknownTable())
		add("redis", "CPU of Redis beside sidway's, µs for one unit of work", r.redisTable())
	}
	if r.crowds(crowd.Storm) {
		add("storm", "Many clients at once", r.stormTable())
	}
	if r.crowds(crowd.Idle, crowd.HalfClosed) {
		add("floods", "Live sessions while one address floods", r.floodTable())
	}
	if r.Encrypted {
		add("tls", "Targets: ratios to the better form of each rival", r.targetTable())
		add("cpu", "CPU of the proxy, µs for one unit of work", r.grid(cpu, closed))
		add("throughput", "Throughput, units per second", r.grid(rate, closed))
		add("memory", "Memory with idle tunnels", r.memoryTable())
	}
	if r.Movable {
		add("moving", "Targets of sidway with sessions that can move", r.movingTable())
		add("cpu", "CPU of the proxy, µs for one unit of work", r.grid(cpu, closed))
		add("throughput", "Throughput, units per second", r.grid(rate, closed))
		add("memory", "Memory with idle tunnels", r.memoryTable())
	}
	if len(list) > 1 {
		add("failures", "What went wrong", r.failureTable())
		return list
	}
	add("targets", "Targets: ratios to the better form of each rival", r.targetTable())
	add("cpu", "CPU of the proxy, µs for one unit of work (= seconds for a million)", r.grid(cpu, closed))
	add("throughput", "Throughput, units per second", r.grid(rate, closed))
	add("share", "Throughput as a share of the direct line's, %", r.grid(share, closed))
	add("latency", "Latency added over the direct line at a fixed rate, µs", r.latencyTable())
	add("memory", "Memory with idle tunnels", r.memoryTable())
	add("peak", "Most memory that was ever present, MiB", r.grid(peak, func(w Workload) bool { return !w.Paced() }))
	add("redis", "CPU of Redis beside sidway's, µs for one unit of work", r.redisTable())
	add("foreign", "Requests that came to a node without their session, %", r.grid(foreign, sessions))
	add("calls", "System calls for one unit of work", r.callTable())
	list = append(list, section{name: "traffic", body: r.Traffic.part()}, section{name: "growth", body: r.Growth.part()},
		section{name: "storm", body: r.Storm.part()}, section{name: "floods", body: r.Floods.part()}, section{name: "tls", body: r.TLS.part()},
		section{name: "moving", body: r.Moving.part()})
	add("failures", "What went wrong", r.failureTable())
	return list
}

// Text is all tables for a terminal.
func (r *Run) Text() string {
	var b strings.Builder
	for _, s := range r.sections() {
		if s.text != "" {
			fmt.Fprintf(&b, "%s\n\n%s\n", s.title, s.text)
		}
	}
	return b.String()
}

func closed(w Workload) bool { return !w.Paced() && w.Job.Kind != "idle" }

// sessions are the workloads whose requests carry a sid, so that they can go to a wrong node.
func sessions(w Workload) bool {
	return !w.Paced() && (w.Job.Kind == "poll" || w.Job.Kind == "post")
}

// grid has a metric of each workload that fits as rows, and the proxies as columns.
func (r *Run) grid(m metric, fits func(Workload) bool) table {
	t := table{head: []string{"work"}}
	var columns []Proxy
	for _, p := range r.Proxies {
		if p.Family == Direct && (m.needsDirect || m.ofProxy) {
			continue // nothing to tell of a proxy that is not there
		}
		columns = append(columns, p)
		t.head = append(t.head, p.Name)
	}
	for _, w := range r.Workloads {
		if !fits(w) {
			continue
		}
		row, measured := []string{w.Title}, false
		if m.perUnit {
			row[0] += ", per " + w.Unit
		}
		for _, p := range columns {
			s := r.summary(m, w.Name, p.Name)
			measured = measured || s.N > 0
			row = append(row, spread(s, ""))
		}
		if measured {
			t.rows = append(t.rows, row)
		}
	}
	return t
}

func (r *Run) latencyTable() table {
	t := table{}
	for _, m := range []metric{p50, p99, p999} {
		g := r.grid(m, Workload.Paced)
		t.head = append([]string{g.head[0], ""}, g.head[1:]...)
		for _, row := range g.rows {
			t.rows = append(t.rows, append([]string{row[0], m.title}, row[1:]...))
		}
	}
	slices.SortStableFunc(t.rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return t
}

func (r *Run) memoryTable() table {
	t := table{head: []string{"work", "proxy", "user, KiB per tunnel", "kernel, KiB per tunnel", "all processes, MiB"}}
	for _, w := range r.Workloads {
		if w.Job.Kind != "idle" {
			continue
		}
		for _, p := range r.Proxies {
			u, k := r.summary(user, w.Name, p.Name), r.summary(kernel, w.Name, p.Name)
			if p.Family == Direct || u.N == 0 {
				continue
			}
			all := r.summary(pss, w.Name, p.Name)
			t.rows = append(t.rows, []string{w.Title, p.Name, spread(u, ""), spread(k, ""), spread(all, "")})
		}
	}
	return t
}

func (r *Run) redisTable() table {
	t := table{head: []string{"work", "CPU of sidway", "CPU of Redis", "commands"}}
	for _, w := range r.Workloads {
		name, s := r.best(cpu, w.Name, Sidway)
		if name == "" || !closed(w) {
			continue
		}
		t.rows = append(t.rows, []string{
			w.Title + ", per " + w.Unit, spread(s, ""), spread(r.summary(redisCPU, w.Name, name), ""),
			spread(r.summary(given, w.Name, name), ""),
		})
	}
	return t
}

func (r *Run) failureTable() table {
	t := table{head: []string{"work", "proxy", "round", "errors", "the first"}}
	for _, s := range r.Samples {
		if s.Result.Errors > 0 {
			t.rows = append(t.rows, []string{
				s.Workload, s.Proxy, fmt.Sprint(s.Round), fmt.Sprint(s.Result.Errors), s.Result.FirstError,
			})
		}
	}
	for _, f := range r.Failures {
		t.rows = append(t.rows, []string{"", "", "", "", strings.ReplaceAll(f, "\n", " ")})
	}
	return t
}

// machine tells where and how it was measured.
func (r *Run) machine() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "- %s, %d cores, %s GiB, Linux %s; load before the run %s\n", m.CPU, m.Cores,
		number(float64(m.Memory)/(1<<30)), m.Kernel, m.Load)
	fmt.Fprintf(&b, "- %s, revision %s, %d rounds: `%s`\n", r.Started.UTC().Format("2006-01-02 15:04 MST"), m.Revision,
		r.Rounds, r.Command)
	var versions []string
	for _, p := range r.Proxies {
		if p.Version != "" && !slices.Contains(versions, p.Version) {
			versions = append(versions, p.Version)
		}
	}
	fmt.Fprintf(&b, "- %s\n", strings.Join(append(versions, m.Versions...), "; "))
	return b.String()
}

// The system calls that are told by name.
var (
	reads  = []string{"read", "readv", "recvfrom", "recvmsg"}
	writes = []string{"write", "writev", "sendto", "sendmsg", "sendfile64", "splice"}
	waits  = []string{"epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl"}
)

// Counted lists the system calls whose numbers Calls should hold, beside the total.
func Counted() []string { return slices.Concat(reads, writes, waits) }

func (r *Run) callTable() table {
	t := table{head: []string{"work", "proxy", "reads", "writes", "epoll", "others", "all", "above the floor", "above a plain one"}}
	for _, c := range r.Calls {
		w, ok := r.workload(c.Workload)
		if !ok {
			continue
		}
		in, out, wait := c.sum(reads), c.sum(writes), c.sum(waits)
		all := c.PerUnit["total"]
		row := []string{w.Title + ", per " + w.Unit, c.Proxy}
		for _, v := range []float64{in, out, wait, max(0, all-in-out-wait), all} {
			row = append(row, fmt.Sprintf("%.2f", v))
		}
		above := ""
		if floor := least(w); floor > 0 {
			above = fmt.Sprintf("%.2f", all-floor)
		}
		t.rows = append(t.rows, append(row, above, r.allowed(c)))
	}
	return t
}

func (c Calls) sum(names []string) (sum float64) {
	for name, v := range maps.All(c.PerUnit) {
		if slices.Contains(names, name) {
			sum += v
		}
	}
	return sum
}
