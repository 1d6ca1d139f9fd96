//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/checker/nemesis"
	"github.com/sidway/sidway/bench/checker/table"
)

// job is one run, as its process is told of it.
type job struct {
	Fault, Through string
	Seed           uint64
	Full           bool
	Slack          float64
	Sessions       int
	Seconds        int
	Dir            string // of this run
	Programs       string // where sidway is
}

// oneRun is the argument before a job.
const oneRun = "run"

func jobs(o options, programs string) (list []job) {
	for n := range o.seeds {
		seed := o.seed + uint64(n)
		for _, f := range o.faults {
			for _, p := range o.through {
				list = append(list, job{
					Fault: f.Name, Through: p, Seed: seed, Full: o.full, Slack: o.slack, Sessions: o.sessions, Seconds: o.seconds,
					Dir: filepath.Join(o.out, fmt.Sprintf("%s-%s-%d", f.Name, p, seed)), Programs: programs,
				})
			}
		}
	}
	return list
}

// schedule does the runs, some at a time, and returns their results in the order of the jobs.
func schedule(ctx context.Context, o options, list []job) ([]table.Result, error) {
	results := make([]table.Result, len(list))
	next := make(chan int)
	var workers sync.WaitGroup
	for range o.parallel {
		workers.Go(func() {
			for i := range next {
				results[i] = start(ctx, list[i], o.clock)
				said(results[i])
				if results[i].Sound() && !o.keep {
					_ = os.RemoveAll(list[i].Dir)
				}
			}
		})
	}
	for i := range list {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	return results, context.Cause(ctx)
}

func said(r table.Result) {
	word := "as asked for"
	if r.None != "" {
		word = r.None
	} else if !r.Sound() {
		word = "NOT as asked for"
	}
	fmt.Fprintf(os.Stderr, "%s through %s, seed %d: %s, %v %v\n", r.Fault, r.Through, r.Seed, word, r.Took.Round(time.Second), r.Figures)
}

// limit is how long a run may take; it is reached only when something is broken.
const limit = 8 * time.Minute

// start does one run in a process of its own, which takes all that it has started with it.
func start(ctx context.Context, j job, clock func() error) table.Result {
	began := time.Now()
	if f, err := nemesis.Named(j.Fault); err == nil && f.Clock && j.Through == sidway {
		if err := clock(); err != nil {
			return table.Result{Fault: j.Fault, Through: j.Through, Seed: j.Seed, Error: err.Error()}
		}
	}
	r := table.Result{Fault: j.Fault, Through: j.Through, Seed: j.Seed, Dir: j.Dir}
	err := os.RemoveAll(j.Dir) // of an earlier run of the same name
	if err == nil {
		err = os.MkdirAll(j.Dir, 0o755)
	}
	if err == nil {
		err = spawn(ctx, j)
	}
	text, rerr := os.ReadFile(j.result())
	if rerr == nil {
		rerr = json.Unmarshal(text, &r)
	}
	if err = errors.Join(err, rerr); err != nil && r.Error == "" {
		r.Error = err.Error()
	}
	r.Took = time.Since(began)
	return r
}

func (j job) result() string { return filepath.Join(j.Dir, "result.json") }

func spawn(ctx context.Context, j job) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", oneRun, string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // an interrupt at the terminal is for us
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out[max(0, len(out)-4000):])
	}
	return nil
}
