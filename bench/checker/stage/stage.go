//go:build linux

// Package stage is a site in miniature: Redis servers, Socket.IO nodes and replicas of sidway (or HAProxy), each a real
// program on a host of its own, which is a network namespace. Between any two hosts packets can be delayed or lost.
//
//	s, err := stage.Open(ctx, stage.Plan{Dir: dir, Sidway: path, Nodes: programs, Replicas: 2, Redis: stage.Single})
//	defer s.Close()
//	… s.Fronts() …
//	err = s.Replicas[0].Kill()
//	s.Wire.Set(s.Replicas[1].Host.Addr, s.Redis.Servers[0].Host.Addr, stage.Link{Cut: true})
//
// It has to run as root and in a network namespace that nobody else uses, since the first host is the caller's own. Clients
// are no part of it.
package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/checker/stage/clock"
)

// A Program is what a node runs. It has to listen on all addresses at the port that PORT in its environment names.
type Program struct {
	Argv []string
	Env  []string
}

// A Plan is what a stage consists of.
type Plan struct {
	Dir      string // for configurations, logs and histories; has to exist
	Seed     uint64 // of the packets that are lost
	Nodes    []Program
	Spare    bool // the last node gets no sessions before a Release
	Replicas int
	Redis    string   // Single, Sentinel or Cluster
	Sidway   string   // path of the program; empty for HAProxy
	Clock    string   // file by which the clock of sidway is set; it has to be built for that, see package clock
	Cluster  []string // lines of the settings of sidway's cluster: health: {}
}

// A Stage is a site that runs.
type Stage struct {
	Wire     *Wire
	Clients  *Host // whose namespace is the caller's
	Redis    *Redis
	Nodes    []*Process
	Spare    *Process // another node, or nil
	Replicas []*Replica

	plan Plan
	all  []*Process
}

// Open starts everything and returns when it is ready. What it has started is ended where that fails.
func Open(ctx context.Context, p Plan) (_ *Stage, err error) {
	s := &Stage{Wire: newWire(p.Seed), plan: p}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.Clients, err = s.Wire.host("clients"); err != nil {
		return nil, err
	}
	if p.Sidway != "" {
		if err := s.startRedis(ctx, p.Redis); err != nil {
			return nil, err
		}
	}
	if err := s.startNodes(ctx); err != nil {
		return nil, err
	}
	return s, s.startReplicas(ctx)
}

// Close ends everything. What was started is gone when it returns.
func (s *Stage) Close() {
	for _, p := range s.all {
		_ = p.Kill()
	}
	s.Wire.close()
}

// process is a program to be started on a host of its own.
func (s *Stage) process(name string, port int) (*Process, error) {
	h, err := s.Wire.host(name)
	if err != nil {
		return nil, err
	}
	p := &Process{Name: name, Host: h, port: port, log: filepath.Join(s.plan.Dir, name+".log")}
	s.all = append(s.all, p)
	return p, nil
}

const nodePort = 3000

// startNodes starts all at once: each takes the better part of a second of a processor.
func (s *Stage) startNodes(ctx context.Context) error {
	started := make(chan error)
	for i, program := range s.plan.Nodes {
		p, err := s.process(fmt.Sprintf("n%d", i+1), nodePort)
		if err != nil {
			return err
		}
		p.argv = program.Argv
		p.env = append(program.Env, "NODE_NAME="+p.Name, fmt.Sprint("PORT=", nodePort), "HOST="+p.Host.Addr.String())
		s.Nodes = append(s.Nodes, p)
	}
	for _, p := range s.Nodes {
		go func() { started <- p.Start(ctx) }()
	}
	var errs []error
	for range s.Nodes {
		errs = append(errs, <-started)
	}
	if last := len(s.Nodes) - 1; s.plan.Spare {
		s.Nodes, s.Spare = s.Nodes[:last], s.Nodes[last]
	}
	return errors.Join(errs...)
}

// Fronts are the addresses that clients connect to.
func (s *Stage) Fronts() []string {
	var list []string
	for _, r := range s.Replicas {
		list = append(list, r.Addr())
	}
	return list
}

// Clock has the clock of all replicas go wrong by so much.
func (s *Stage) Clock(by time.Duration) error { return clock.Set(s.plan.Clock, by) }

// Pause stops a process as if its machine had stopped, but for the kernel; Resume has it go on.
func (p *Process) Pause() error { return p.Signal(syscall.SIGSTOP) }

// Resume has a paused process go on.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }
