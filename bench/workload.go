//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

// The sizes of what is sent. A frame of 60 B and a POST of 200 B hold a short Socket.IO event, as most do.
const (
	frameSize = 60
	bodySize  = 200
	bigSize   = 16 << 10
	// cookieSize makes a head of 2 KiB.
	cookieSize = 1600
)

// The paces at which latency is measured: what the slowest proxy bears on two processors that it shares with the load,
// the nodes and Redis, with room to spare. A faster one would measure queues.
const (
	pollPace  = 2000
	framePace = 4000
)

// workloads are all that can be measured, in the order of the page.
func workloads() []report.Workload {
	list := []report.Workload{
		closed("poll64", "poll, 64 connections", load.Job{Kind: load.Poll, Conns: 64}),
		closed("poll512", "poll, 512 connections", load.Job{Kind: load.Poll, Conns: 512}),
		closed("post64", "POST of 200 B, 64 connections", load.Job{Kind: load.Post, Conns: 64, Size: bodySize}),
		closed("post512", "POST of 200 B, 512 connections", load.Job{Kind: load.Post, Conns: 512, Size: bodySize}),
		closed("frame200", "frame of 60 B, 200 tunnels", load.Job{Kind: load.Frame, Conns: 200, Size: frameSize}),
		closed("frame2000", "frame of 60 B, 2,000 tunnels", load.Job{Kind: load.Frame, Conns: 2000, Size: frameSize}),
		closed("big", "frame of 16 KiB, 64 tunnels", load.Job{Kind: load.Frame, Conns: 64, Size: bigSize}),
		closed("connect", "WebSocket connect + close", load.Job{Kind: load.Connect, Conns: 32}),
		closed("handshake", "polling handshake", load.Job{Kind: load.Handshake, Conns: 64}),
	}
	for _, tunnels := range []int{2000, 5000} {
		list = append(list, closed(fmt.Sprint("fanout", tunnels), fmt.Sprintf("fan-out to %d,000 tunnels", tunnels/1000),
			load.Job{Kind: load.Fanout, Conns: tunnels, Size: frameSize}))
	}
	for _, tunnels := range []int{2000, 8000} {
		list = append(list, closed(fmt.Sprint("idle", tunnels), fmt.Sprintf("%d,000 idle tunnels", tunnels/1000),
			load.Job{Kind: load.Idle, Conns: tunnels}))
	}
	return append(list,
		paced(list[0], pollPace), paced(list[1], pollPace), paced(list[4], framePace), paced(list[5], framePace))
}

// movable are works on tunnels of sessions that can move: frames are Socket.IO's events.
func movable() []report.Workload {
	return []report.Workload{
		closed("event200", "event of 60 B, 200 tunnels", load.Job{Kind: load.Frame, Conns: 200, Size: frameSize, Events: true}),
		closed("event2000", "event of 60 B, 2,000 tunnels", load.Job{Kind: load.Frame, Conns: 2000, Size: frameSize, Events: true}),
		closed("idleevents8000", "8,000 idle tunnels with a Socket.IO session each", load.Job{Kind: load.Idle, Conns: 8000, Events: true}),
	}
}

// traffic is what else comes to a proxy on an ordinary day.
func traffic() []report.Workload {
	const cookies, quarter = "poll with a head of 2 KiB", 0.25
	own := closed("misfit64", "poll in another version, refused by sidway", load.Job{Kind: load.Misfit, Conns: 64})
	own.Own = true
	flood := flooded(paced(closed("poll64", "poll, 64 connections", load.Job{Kind: load.Poll, Conns: 64}), pollPace))
	return []report.Workload{
		closed("cookies64", cookies, load.Job{Kind: load.Poll, Conns: 64, Cookies: cookieSize}),
		closed("quarter64", cookies+", a quarter of them in two segments",
			load.Job{Kind: load.Poll, Conns: 64, Cookies: cookieSize, Split: quarter}),
		closed("split64", cookies+" in two segments", load.Job{Kind: load.Poll, Conns: 64, Cookies: cookieSize, Split: 1}),
		closed("postsplit64", "POST of 200 B, its body in a second segment",
			load.Job{Kind: load.Post, Conns: 64, Size: bodySize, Split: 1}),
		closed("page64", "ordinary GET, 2 KiB", load.Job{Kind: load.Page, Conns: 64}),
		closed("preflight64", "preflight", load.Job{Kind: load.Preflight, Conns: 64}),
		own,
		closed("malformed", "connect + malformed head + 400 + close", load.Job{Kind: load.Malformed, Conns: 32}),
		closed("unknown2000", "poll with an unknown sid, 2,000 connections", load.Job{Kind: load.Unknown, Conns: 2000}),
		flood,
	}
}

// The flood of unknown sids. Where each answer takes 300 ms, so many connections bear the rate.
const (
	unknownPace  = 20_000
	unknownConns = 6400
)

// flooded is the same work while unknown sids come beside it.
func flooded(w report.Workload) report.Workload {
	w.Name += "-unknown"
	w.Title += fmt.Sprintf(", beside %d unknown sids/s", unknownPace)
	w.Beside = &load.Job{Kind: load.Unknown, Conns: unknownConns, Rate: unknownPace}
	return w
}

func closed(name, title string, job load.Job) report.Workload {
	w := report.Workload{Name: name, Title: title, Unit: "request", PerOp: 1, Job: job}
	switch job.Kind {
	case load.Frame:
		w.Unit, w.PerOp = "frame", 2 // the echo is relayed too
	case load.Fanout:
		w.Unit = "frame"
	case load.Connect, load.Malformed:
		w.Unit = "connection"
	case load.Idle:
		w.Unit = "tunnel"
	}
	return w
}

// paced is the same work at a fixed rate.
func paced(w report.Workload, rate float64) report.Workload {
	w.Name += "-paced"
	w.Title += fmt.Sprintf(", %.0f operations/s", rate)
	w.Job.Rate = rate
	return w
}

// The workloads of a run that asks for none: idle2000 is what -quick has time for in place of idle8000.
var (
	quickWorkloads = []string{"poll64", "frame200", "connect", "fanout2000", "idle2000", "poll64-paced"}
	// What ordinary traffic is told beside.
	plainWorkloads = []string{"poll64", "poll512", "post64", "connect", "handshake", "poll64-paced"}
	callWorkloads  = []string{
		"poll64", "cookies64", "split64", "post64", "postsplit64", "page64", "preflight64", "misfit64", "malformed", "frame200",
	}
)

// chosen are the workloads that the options ask for, with their windows.
func chosen(o options) ([]report.Workload, error) {
	all := append(workloads(), traffic()...)
	switch {
	case o.growth:
		all, _ = growth()
	case o.storm:
		all = storms()
	case o.floods:
		all = floods()
	case o.tls:
		all = encrypted()
	case o.moving:
		all = movable()
	}
	var list []report.Workload
	for _, name := range wanted(o, all) {
		i := slices.IndexFunc(all, func(w report.Workload) bool { return w.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no workload %q; there are %s", name, names(all))
		}
		w := all[i]
		w.Job.Seconds = o.seconds
		if w.Beside != nil {
			beside := *w.Beside
			beside.Seconds, w.Beside = o.seconds, &beside
		}
		if w.Crowd != nil && o.seconds > 0 {
			w.Crowd.Seconds = o.seconds
		}
		list = append(list, w)
	}
	return list, nil
}

// wanted are the names of the workloads that the options ask for.
func wanted(o options, all []report.Workload) []string {
	switch list := split(o.only); {
	case len(list) > 0:
		return list
	case o.syscalls:
		return callWorkloads
	case o.quick && o.kind() == comparison:
		return quickWorkloads
	}
	if o.traffic {
		return append(slices.Clone(plainWorkloads), strings.Split(names(traffic()), ", ")...)
	}
	if o.kind() == comparison {
		all = workloads()
	}
	var list []string
	for _, w := range all {
		if w.Name != "idle2000" && !(o.growth && o.quick && w.Paced()) {
			list = append(list, w.Name)
		}
	}
	return list
}

func names(list []report.Workload) string {
	var s []string
	for _, w := range list {
		s = append(s, w.Name)
	}
	return strings.Join(s, ", ")
}

// split cuts at commas; of nothing it makes nothing.
func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
