package report

import (
	"fmt"
	"strings"
)

// A target is a ratio between sidway and the better form of a rival, in one run.
type target struct {
	title    string
	workload string
	m        metric
	limit    map[string]float64 // by family
	aim      string
}

// targets are the project's own.
var targets = []target{
	{"poll, 64 kept connections, CPU per request", "poll64", cpu, against(0.75, 0.80), "0.55"},
	{"frame of 60 B, 200 tunnels, CPU", "frame200", cpu, against(1.0, 0.75), "0.9"},
	{"frame of 60 B, 2,000 tunnels, CPU", "frame2000", cpu, against(0.80, 0.75), "0.7"},
	{"WebSocket connect + close, CPU", "connect", cpu, against(1.1, 1.05), "0.9"},
	{"fan-out to 2,000 tunnels, CPU per frame", "fanout2000", cpu, against(0.95, 0.75), "0.85"},
	{"fan-out to 5,000 tunnels, CPU per frame", "fanout5000", cpu, against(0.95, 0.75), "0.85"},
	{"user memory per idle tunnel", "idle8000", user, against(0.06, 0.3), "1.0 KiB"},
	{"p99 added, 512 polling connections", "poll512-paced", p99, against(0.8, 0.8), "0.6"},
	{"poll, 64 connections, share of direct throughput", "poll64", share, against(1, 1), ""},
	{"poll, 512 connections, share of direct throughput", "poll512", share, against(1, 1), ""},
	{"frame, 200 tunnels, share of direct throughput", "frame200", share, against(1, 1), ""},
	{"frame, 2,000 tunnels, share of direct throughput", "frame2000", share, against(1, 1), ""},
	{"poll over TLS, 64 kept connections, CPU per request", "tlspoll64", cpu, against(1, 0.9), ""},
	{"frame of 60 B over TLS, 200 tunnels, CPU", "tlsframe200", cpu, against(1, 0.9), ""},
	{"frame of 60 B over TLS, 2,000 tunnels, CPU", "tlsframe2000", cpu, against(1, 0.9), ""},
	{"TLS, whole handshake + WebSocket connect + close, CPU", "tlsconnect", cpu, against(1, 1), ""},
	{"TLS, resumed + WebSocket connect + close, CPU", "tlsresume", cpu, against(1, 1), ""},
	{"user memory per idle tunnel over TLS", "tlsidle2000", user, against(0.15, 0.4), "4 KiB"},
}

func against(nginx, haproxy float64) map[string]float64 {
	return map[string]float64{Nginx: nginx, HAProxy: haproxy}
}

// targetTable tells for each target what was reached.
func (r *Run) targetTable() table {
	t := table{head: []string{
		"work", "sidway", "nginx", "ratio", "target", "", "HAProxy", "ratio", "target", "", "aim (nginx)",
	}}
	for _, g := range targets {
		own, s := r.best(g.m, g.workload, Sidway)
		if own == "" {
			continue
		}
		row := []string{g.title, quantity(s.Median, g.m.unit)}
		for _, family := range []string{Nginx, HAProxy} {
			row = append(row, r.against(g, own, family)...)
		}
		t.rows = append(t.rows, append(row, g.aim))
	}
	return t
}

// against is the part of a row that is about one rival: its value, the ratio, the target, and whether it is met.
func (r *Run) against(g target, own, family string) []string {
	name, s := r.best(g.m, g.workload, family)
	if name == "" {
		return []string{"", "", "", ""}
	}
	limit, sign := g.limit[family], "≤ "
	if g.m.more {
		sign = "≥ "
	}
	_, form, _ := strings.Cut(name, "-")
	row := []string{quantity(s.Median, g.m.unit) + " (" + form + ")"}
	ratio := r.ratio(g.m, cell{g.workload, own}, cell{g.workload, name})
	if ratio.N == 0 {
		return append(row, "–", sign+number(limit), "not comparable")
	}
	return append(row, spread(ratio, ""), sign+number(limit), verdict(g.m, ratio.Median, limit))
}

// verdict is "met", or by how much of the target it was missed.
func verdict(m metric, ratio, limit float64) string {
	off := ratio/limit - 1
	if m.more {
		off = limit/ratio - 1
	}
	switch {
	case off <= 0:
		return "met"
	case off > 1:
		return fmt.Sprintf("missed: %.1f times", 1+off)
	}
	return fmt.Sprintf("missed by %.0f %%", max(1, off*100))
}
