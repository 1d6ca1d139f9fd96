//go:build linux

package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// reading is what the memory of a stage was at one time.
type reading struct {
	proxy  rival.Usage
	kernel rival.Kernel
}

func (s *stage) read() (r reading, err error) {
	if s.proxy != nil {
		if r.proxy, err = s.proxy.Usage(); err != nil {
			return r, err
		}
	}
	r.kernel, err = rival.ReadKernel()
	return r, err
}

// spending is the processor time that was taken until now, and what Redis was given.
type spending struct {
	proxy, redis time.Duration
	commands     commands
}

func (s *stage) spent(ctx context.Context) (c spending, err error) {
	if s.proxy != nil {
		if c.proxy, err = s.proxy.CPU(); err != nil {
			return c, err
		}
	}
	if s.redis == nil {
		return c, nil
	}
	if c.commands, err = askRedis(ctx, s.store); err != nil {
		return c, err
	}
	c.redis, err = s.redis.CPU()
	return c, err
}

// job is a workload's job with this stage's addresses, and a fifth of its window before it to warm up. Where not all
// connections are busy at once each has its turn before the window only after a while, and until then the proxy's
// connections to the nodes are still being made.
func (s *stage) job(w report.Workload) load.Job {
	j := w.Job
	j.Addr, j.Trigger, j.Warmup = s.address, s.control, j.Seconds/5
	if w.Paced() {
		j.Warmup = max(j.Warmup, 1, float64(j.Conns)/j.Rate)
	}
	if j.Active > 0 {
		j.Warmup = max(j.Warmup, 1)
	}
	return j
}

// settle waits until the kernel has forgotten earlier connections, which it does after a minute: several thousand of them
// that go while others are counted would be seen as memory that a proxy gave back. A few do not matter.
func settle(ctx context.Context) error {
	const few = 1500
	for range 75 {
		k, err := rival.ReadKernel()
		if err != nil || k.Waiting <= few {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil // others keep them coming; the rounds' spread tells
}

// awaitRoom waits until the kernel's table of tracked connections, if it keeps one, is mostly free. Tens of thousands of
// connections a second fill it within seconds, each stays in it for two minutes, and then packets of everybody on the machine
// are dropped.
func awaitRoom(ctx context.Context) error {
	for range 150 {
		count, most := tracked("count"), tracked("max")
		if count <= most/4 {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil // others keep it full; the errors tell
}

// tracked reads a figure of the kernel's table of tracked connections, 0 where it keeps none.
func tracked(name string) int {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_" + name)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
