//go:build linux

package main

import (
	"slices"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// turn is one sample to be taken.
type turn struct {
	work  report.Workload
	rival *rival.Rival
}

// turns is the order of a round: each workload goes through every proxy, and who begins moves on, so that no proxy always
// has the machine as another one left it.
//
// Idle tunnels are counted in the kernel's memory too, which forgets a closed connection only after a minute. So their
// turns are spread among those that close few, and settle finds little to wait for.
func (b *bench) turns(round int) []turn {
	var quiet, busy, idle []turn
	for i, w := range b.run.Workloads {
		for j := range b.rivals {
			t := turn{w, b.rivals[(round+i+j)%len(b.rivals)]}
			switch {
			case !fits(w, t.rival):
			case w.Job.Kind == load.Idle:
				idle = append(idle, t)
			case w.Job.Kind == load.Connect || w.Job.Kind == load.Malformed || w.Job.Conns > 500:
				busy = append(busy, t)
			default:
				quiet = append(quiet, t)
			}
		}
	}
	for i, t := range slices.Backward(idle) {
		quiet = slices.Insert(quiet, (i+1)*len(quiet)/len(idle), t)
	}
	return append(quiet, busy...)
}

// fits tells whether a proxy can do a work at all.
func fits(w report.Workload, r *rival.Rival) bool {
	return (!w.Own || r != nil && r.Family == rival.Sidway) && (!w.Proxied || r != nil && r.Family != "caddy" && r.Family != "floor")
}
