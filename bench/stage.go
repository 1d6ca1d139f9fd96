//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// nodes is how many stand behind each proxy, where the workload does not say.
const nodes = 4

// stage is one proxy with its nodes and its Redis, all of them fresh: whatever one sample left behind, in memory or in
// tables, the next one does not find.
type stage struct {
	dir     string
	address string         // where the load goes
	control string         // the nodes' control port
	proxy   *rival.Process // nil on the direct line
	redis   *rival.Process // nil unless the proxy is sidway
	store   string         // where that is
	all     []*rival.Process
}

// open starts everything for a proxy, nil for the direct line, and a workload. The caller closes the stage.
func (b *bench) open(ctx context.Context, r *rival.Rival, w report.Workload) (s *stage, err error) {
	if j := w.Job; (j.Kind == load.Connect || j.Kind == load.Malformed) && j.Seconds >= 1 {
		if err := awaitRoom(ctx); err != nil {
			return nil, err
		}
	}
	nodes := cmp.Or(w.Nodes, nodes)
	free, err := rival.Addresses(nodes + 4)
	if err != nil {
		return nil, err
	}
	s = &stage{control: free[nodes], address: free[0]}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp(b.dir, "stage"); err != nil {
		return s, err
	}
	// nginx's workers are somebody else where the command is root.
	if err = os.Chmod(s.dir, 0o755); err != nil {
		return s, err
	}
	plan := rival.Plan{Nodes: free[:nodes], Listen: free[nodes+1], Admin: free[nodes+2], Redis: free[nodes+3], Dir: s.dir}
	if w.Job.TLS != "" {
		if plan.TLS, err = certificate(s.dir, w.Job.TLS == load.Resume); err != nil {
			return s, err
		}
	}
	start := s.startNodes
	if w.Crowd != nil {
		plan.Limit, plan.ByAddress = w.Crowd.Limit, true
		start = s.startBusy(w.Crowd.Work)
	}
	if err = start(ctx, b.exe, &plan); err != nil || r == nil {
		return s, err
	}
	if r.Family == rival.Sidway {
		if err = s.startRedis(ctx, plan); err != nil {
			return s, err
		}
	}
	s.address = plan.Listen
	s.proxy, err = s.keep(r.Start(ctx, plan))
	return s, err
}

func (s *stage) startNodes(ctx context.Context, exe string, p *rival.Plan) error {
	_, err := s.keep(rival.Start(ctx, rival.Command{
		Name: "node", Dir: s.dir, Address: s.control,
		Argv: []string{exe, "node", "-listen", strings.Join(p.Nodes, ","), "-control", s.control},
	}))
	return err
}

// startRedis starts one that keeps nothing on disk, since bindings do not need it.
func (s *stage) startRedis(ctx context.Context, p rival.Plan) (err error) {
	s.store = p.Redis
	_, port, _ := strings.Cut(p.Redis, ":")
	s.redis, err = s.keep(rival.Start(ctx, rival.Command{
		Name: "redis", Dir: s.dir, Address: p.Redis,
		Argv: []string{
			"redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", s.dir, "--save", "", "--appendonly", "no",
		},
	}))
	return err
}

// keep remembers a process for close.
func (s *stage) keep(p *rival.Process, err error) (*rival.Process, error) {
	if p != nil {
		s.all = append(s.all, p)
	}
	return p, err
}

// close ends every process. One that ended by itself is an error.
func (s *stage) close() error {
	var errs []error
	for i := len(s.all) - 1; i >= 0; i-- {
		errs = append(errs, s.all[i].Stop())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// build makes sidway as a release is made: static, without the race detector.
func (b *bench) build(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "github.com/sidway/sidway/cmd/sidway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build sidway: %w\n%s", err, out)
	}
	return nil
}
