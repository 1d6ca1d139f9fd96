//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/checker/app"
	"github.com/sidway/sidway/bench/checker/client"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/nemesis"
	"github.com/sidway/sidway/bench/checker/stage"
	"github.com/sidway/sidway/bench/checker/stage/clock"
	"github.com/sidway/sidway/bench/checker/table"
)

// single is the process of one run: it goes into namespaces of its own, and leaves a result behind.
func single(text string) error {
	if code, err := stage.Enclose(); err != nil {
		return err
	} else if code > 0 {
		return fmt.Errorf("the run ended with %d", code)
	} else if code == 0 {
		return nil
	}
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := do(ctx, j)
	if err != nil {
		r.Error = err.Error()
	}
	out, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(j.result(), out, 0o600)
}

// crowds are the clients of a run: those that are there from the beginning, and those that come while a part is away.
type crowds struct {
	j   job
	ctx context.Context
	dir string
	to  []string
	// usual is how many clients there are from the beginning. The more they are, the less each says, so that a machine can bear it.
	usual time.Duration

	mu  sync.Mutex
	all []*client.Running
}

// start starts clients with what the plan leaves open filled in.
func (c *crowds) start(plan client.Crowd) (*client.Running, error) {
	plan.Seed, plan.Dir, plan.Fresh = c.j.Seed, c.dir, 0.3
	plan.Pace = max(150*time.Millisecond, c.usual*4*time.Millisecond)
	if plan.Fronts == nil {
		plan.Fronts = c.to
	}
	r, err := client.Start(c.ctx, plan)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, r)
	return r, nil
}

// stop ends them all at once.
func (c *crowds) stop(ctx context.Context) error {
	errs := make([]error, len(c.all))
	var all sync.WaitGroup
	for i, r := range c.all {
		all.Go(func() { errs[i] = r.Stop(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// do does the run and judges it.
func do(ctx context.Context, j job) (table.Result, error) {
	r := table.Result{Fault: j.Fault, Through: j.Through, Seed: j.Seed, Dir: j.Dir}
	f, err := nemesis.Named(j.Fault)
	if err != nil {
		return r, err
	}
	if j.Through == haproxy && f.Only != "" {
		r.None = f.Only
		return r, nil
	}
	c := &crowds{j: j, ctx: ctx, dir: filepath.Join(j.Dir, "history")}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return r, err
	}
	plan, silence, err := planned(j, f, c.dir)
	if err != nil {
		return r, err
	}
	s, err := stage.Open(ctx, plan)
	if err != nil {
		return r, err
	}
	defer s.Close()
	c.to = s.Fronts()
	run := &nemesis.Run{
		Stage: s, Start: c.start, Sidway: j.Through == sidway, Full: j.Full, Slack: j.Slack, Silence: silence,
		Rand: rand.New(rand.NewPCG(j.Seed, 2)),
	}
	if err := talk(ctx, run, c, f); err != nil {
		return r, err
	}
	dropped, err := s.Wire.Dropped()
	if err != nil {
		return r, err
	}
	if dropped > 0 {
		r.Figures = append(r.Figures, fmt.Sprintf("the wire has dropped %d packets", dropped))
	}
	events, err := history.Read(c.dir)
	if err != nil {
		return r, err
	}
	r.Verdict = history.Judge(events, run.Injuries())
	run.Examine(events)
	answers, err := s.Access()
	if err != nil {
		return r, err
	}
	r.Failures = failures(answers)
	r.Flaws, r.Figures = run.Flaws(), append(r.Figures, run.Figures()...)
	r.Flaws = append(r.Flaws, strayed(answers, events)...)
	if f.NoFailures && r.Failures > 0 {
		r.Flaws = append(r.Flaws, fmt.Sprintf("%d answers of 5xx", r.Failures))
	}
	return r, nil
}

// talk has clients talk before, during and after the fault.
func talk(ctx context.Context, run *nemesis.Run, c *crowds, f nemesis.Fault) error {
	plan := usual(c.j, f)
	c.usual = time.Duration(plan.Total())
	var err error
	if run.Crowd, err = c.start(plan); err != nil {
		return err
	}
	ready, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	if err := run.Crowd.Ready(ready); err != nil {
		return err
	}
	seconds := time.Duration(c.j.Seconds) * time.Second
	early := time.Duration(run.Rand.IntN(1000)) * time.Millisecond
	for _, do := range []func() error{
		func() error { return nemesis.Sleep(ctx, seconds+early) },
		func() error { return run.Do(ctx, f) },
		func() error { return nemesis.Sleep(ctx, seconds) },
		func() error { return c.stop(ctx) },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// usual are the clients that are there from the beginning.
func usual(j job, f nemesis.Fault) client.Crowd {
	n := j.Sessions / 3
	c := client.Crowd{
		Raw: client.Modes{Polling: n, Upgrade: n, WebSocket: n},
		Real: []client.Real{
			{Library: 4, Modes: client.Modes{Polling: 4, Upgrade: 4, WebSocket: 2}},
			{Library: 2, Modes: client.Modes{Polling: 2, Upgrade: 2, WebSocket: 1}},
		},
	}
	more := f.Clients.Small
	if f.Alike {
		c.Real[1].Library = 4
	}
	if j.Full {
		more = f.Clients.Full
		c.Real[0].Modes = client.Modes{Polling: 10, Upgrade: 10, WebSocket: 4}
		c.Real[1].Modes = client.Modes{Polling: 5, Upgrade: 5, WebSocket: 2}
	}
	c.Raw.Polling += more.Polling
	c.Raw.Upgrade += more.Upgrade
	c.Raw.WebSocket += more.WebSocket
	return c
}

// planned says what the stage consists of, and for how long its nodes bear silence.
func planned(j job, f nemesis.Fault, dir string) (p stage.Plan, silence time.Duration, err error) {
	push := max(500*time.Millisecond, time.Duration(usual(j, f).Total())*10*time.Millisecond)
	o := app.Options{Kind: app.SocketIO4, History: dir, PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, Push: push}
	if f.Pings && !j.Full {
		o.PingInterval, o.PingTimeout = 2*time.Second, 3*time.Second
	}
	p = stage.Plan{Dir: j.Dir, Seed: j.Seed, Replicas: 2, Redis: cmp.Or(f.Redis, stage.Single), Spare: f.Spare, Cluster: f.Cluster}
	count := 3
	if f.Spare {
		count++
	}
	for i := range count {
		if o.Kind = app.SocketIO4; i == 2 {
			o.Kind = app.Go
		}
		n, err := app.Node(o)
		if err != nil {
			return p, 0, err
		}
		if o.Kind == app.Go {
			n.Argv[0] = filepath.Join(j.Programs, filepath.Base(n.Argv[0]))
		}
		p.Nodes = append(p.Nodes, stage.Program(n))
	}
	if j.Through == sidway {
		p.Sidway = filepath.Join(j.Programs, sidway)
		if f.Clock {
			p.Sidway, p.Clock = filepath.Join(j.Programs, sidwayClock), filepath.Join(j.Dir, "clock")
			err = clock.Set(p.Clock, 0)
		}
	}
	return p, o.PingInterval + o.PingTimeout, err
}
