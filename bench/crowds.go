//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/busy"
	"github.com/sidway/sidway/bench/crowd"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// What a crowd goes through. Three nodes that need 20 ms for a handshake make 150 sessions a second.
const (
	crowdNodes = 3
	crowdWork  = 20 * time.Millisecond
	stormLimit = 240 // seconds, after which a storm is given up
	floodLimit = 400 // connections of clients that the proxy takes in a flood
	liveOnes   = 100 // of them, live clients; those on kept connections take two each
)

// storms are clients that all connect at once, as they do when a proxy or a network comes back.
func storms() (list []report.Workload) {
	for _, n := range []int{1200, 2400} {
		list = append(list, crowded(fmt.Sprint("storm", n), amount(n, "client")+" at once", crowd.Job{
			Kind: crowd.Storm, Clients: n, Seconds: stormLimit, Work: crowdWork,
		}))
	}
	return list
}

// floods are what one address can do to live sessions.
func floods() []report.Workload {
	return []report.Workload{
		crowded("idle400", "400 connections without a byte", crowd.Job{
			Kind: crowd.Idle, Clients: liveOnes, Flood: 400, Seconds: 40, Limit: floodLimit,
		}),
		crowded("halfclosed30", "30 clients a second that pipeline two polls and close their side", crowd.Job{
			Kind: crowd.HalfClosed, Clients: liveOnes, Flood: 30, Seconds: 30, Limit: floodLimit,
		}),
	}
}

func crowded(name, title string, job crowd.Job) report.Workload {
	return report.Workload{Name: name, Title: title, Unit: "client", PerOp: 1, Nodes: crowdNodes, Crowd: &job}
}

// startBusy starts nodes that need a while for a handshake; they choose their addresses.
func (s *stage) startBusy(work time.Duration) func(context.Context, string, *rival.Plan) error {
	return func(ctx context.Context, exe string, p *rival.Plan) error {
		_, err := s.keep(rival.Start(ctx, rival.Command{
			Name: "busy", Dir: s.dir, Address: s.control,
			Argv: []string{exe, "busy", "-nodes", fmt.Sprint(len(p.Nodes)), "-work", work.String(), "-control", s.control},
		}))
		if err != nil {
			return err
		}
		nodes, err := busy.Ask(ctx, s.control)
		for i, n := range nodes {
			p.Nodes[i] = n.Addr
		}
		return err
	}
}

// crowd lets a crowd loose on a stage, in a process of its own.
func (b *bench) crowd(ctx context.Context, s *stage, job crowd.Job) (*crowd.Result, error) {
	job.Addr, job.Control = s.address, s.control
	line, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+time.Duration(job.Seconds*float64(time.Second)))
	defer cancel()
	cmd := exec.CommandContext(ctx, b.exe, "crowd")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for the command, which ends this one
	cmd.Stdin = bytes.NewReader(line)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		return nil, fmt.Errorf("crowd: %w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	r := new(crowd.Result)
	if err := json.Unmarshal(out, r); err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	return r, nil
}

// crowdFamilies are the proxies that a crowd can be told of: the others do not keep a session's requests at one node, and
// in a flood there is no setting of nginx that limits all connections of clients alone.
func (o options) crowdFamilies() []string {
	if o.floods {
		return []string{rival.Sidway, report.HAProxy}
	}
	return []string{rival.Sidway, report.Nginx, report.HAProxy}
}

// fits refuses proxies that a crowd cannot go through.
func (o options) fits(rivals []*rival.Rival) error {
	for _, r := range rivals {
		if o.crowds() && (r == nil || !slices.Contains(o.crowdFamilies(), r.Family)) {
			return fmt.Errorf("-%s is for %s", o.kind(), strings.Join(o.crowdFamilies(), ", "))
		}
	}
	return nil
}

// compared are the proxies of a run that asks for none: of growth sidway alone, of ordinary traffic
// all but Caddy, of crowds those that can be compared.
func compared(o options) string {
	switch {
	case o.proxies != "" || o.sidway != "":
		return o.proxies
	case o.growth:
		return rival.Sidway
	case o.traffic:
		return "direct,sidway,nginx,haproxy,floor"
	case o.floods:
		return "sidway,haproxy-2"
	case o.storm, o.tls, o.moving:
		return "sidway,nginx-2,haproxy-2" + pick(o.newer != "", ",nginx-new,haproxy-new", "")
	}
	return ""
}
