//go:build linux

package main

import (
	"fmt"
	"slices"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

// What a run about growth goes through: sizes of one kind, while the other one stays.
var (
	sessionSizes = []int{500, 2000, 8000}
	nodeSizes    = []int{1, 4, 16, 64}
)

const (
	sessionsKept = 2000
	// underWay is how many sessions are busy at a time, at each size. With all of them busy, more sessions would mean more
	// events at each wait, and what the proxy saves by that would hide what the sessions cost.
	underWay = 64
	// growthPace is a third of what is possible or less, so that an operation mostly finds an idle proxy.
	growthPace = 4000
)

// growth is what is measured, and how it belongs together. A workload may be a point of two series.
func growth() (list []report.Workload, series []report.Series) {
	add := func(w report.Workload) string {
		if !slices.ContainsFunc(list, func(o report.Workload) bool { return o.Name == w.Name }) {
			list = append(list, w)
		}
		return w.Name
	}
	for _, work := range []func(sessions, nodes int) report.Workload{polls, frames, pacedPolls, pacedFrames} {
		title := work(sessionsKept, nodes).Title
		bySessions := report.Series{Title: fmt.Sprintf("%s, %d nodes", title, nodes)}
		for _, n := range sessionSizes {
			bySessions.Points = append(bySessions.Points, report.Point{Label: amount(n, "session"), Workload: add(work(n, nodes))})
		}
		byNodes := report.Series{Title: title + ", " + amount(sessionsKept, "session")}
		for _, n := range nodeSizes {
			byNodes.Points = append(byNodes.Points, report.Point{Label: amount(n, "node"), Workload: add(work(sessionsKept, n))})
		}
		series = append(series, bySessions, byNodes)
	}
	idle := report.Series{Title: "idle tunnels, user memory of each"}
	for _, n := range sessionSizes {
		w := grown(load.Job{Kind: load.Idle, Conns: n}, nodes)
		idle.Points = append(idle.Points, report.Point{Label: amount(n, "tunnel"), Workload: add(w)})
	}
	return list, append(series, idle)
}

func polls(sessions, nodes int) report.Workload {
	return grown(load.Job{Kind: load.Poll, Conns: sessions, Active: underWay}, nodes)
}

func frames(sessions, nodes int) report.Workload {
	return grown(load.Job{Kind: load.Frame, Conns: sessions, Active: underWay, Size: frameSize}, nodes)
}

func pacedPolls(sessions, nodes int) report.Workload {
	return grown(load.Job{Kind: load.Poll, Conns: sessions, Rate: growthPace}, nodes)
}

func pacedFrames(sessions, nodes int) report.Workload {
	return grown(load.Job{Kind: load.Frame, Conns: sessions, Rate: growthPace, Size: frameSize}, nodes)
}

// grown makes a workload of a job before a number of nodes.
func grown(job load.Job, nodes int) report.Workload {
	title := job.Kind
	if job.Kind == load.Frame {
		title = fmt.Sprintf("frame of %d B", frameSize)
	}
	name := fmt.Sprintf("%s-%d-nodes-%d", job.Kind, job.Conns, nodes)
	if job.Active > 0 {
		title += fmt.Sprintf(", %d under way", job.Active)
	}
	if job.Rate > 0 {
		title += fmt.Sprintf(", %.0f operations/s", job.Rate)
		name += "-paced"
	}
	w := closed(name, title, job)
	w.Nodes = nodes
	return w
}

// amount is a number of something, thousands apart.
func amount(n int, what string) string {
	text := fmt.Sprint(n)
	if n >= 1000 {
		text = fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	if n != 1 {
		what += "s"
	}
	return text + " " + what
}

// sizes is the order of a round about growth. Every second one goes the other way, so that what drifts with time is not
// taken for growth.
func (b *bench) sizes(round int) []turn {
	var list []turn
	for _, w := range b.run.Workloads {
		for _, r := range b.rivals {
			list = append(list, turn{w, r})
		}
	}
	if round%2 == 1 {
		slices.Reverse(list)
	}
	return list
}
