//go:build linux

package rival_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/bench/rival"
	"github.com/sidway/sidway/engineio/engineiotest"
)

// shell starts a group of two processes that say so.
func shell(t *testing.T, script string) *rival.Process {
	t.Helper()
	p, err := rival.Start(t.Context(), rival.Command{Name: "shell", Dir: t.TempDir(), Argv: []string{"sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// until waits for something that another process does.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestUsageCountsTheWholeGroup(t *testing.T) {
	p := shell(t, "(while :; do :; done) & while :; do :; done")
	until(t, "two processes", func() bool {
		pids, err := p.PIDs()
		return err == nil && len(pids) == 2
	})
	before, err := p.Usage()
	if err != nil {
		t.Fatal(err)
	}
	until(t, "50 ms of CPU", func() bool {
		now, err := p.CPU()
		return err == nil && now-before.CPU > 50*time.Millisecond
	})
	if before.Anon <= 0 || before.PSS <= 0 || before.Peak < before.Anon {
		t.Errorf("memory %+v", before)
	}
	pids, err := p.PIDs()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		until(t, "an end of both", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
}

func TestNginxWorkersAreCounted(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	for _, r := range rival.All("")[1:3] {
		p := start(t, r, newPlan(t, node))
		until(t, r.Name+" has its workers", func() bool {
			pids, err := p.PIDs()
			return err == nil && len(pids) == 1+r.Workers
		})
		if u, err := p.Usage(); err != nil || u.Anon <= 0 || u.PSS <= 0 {
			t.Errorf("%s: %+v, %v", r.Name, u, err)
		}
	}
}

func TestProcessThatEndsByItself(t *testing.T) {
	p := shell(t, "echo something broke; exit 3")
	until(t, "an end", func() bool { _, err := p.PIDs(); return err != nil })
	var err error
	until(t, "an error", func() bool { err = p.Stop(); return err != nil })
	if !strings.Contains(err.Error(), "something broke") || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}
}

func TestCancelledContextKills(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := rival.Start(ctx, rival.Command{Name: "sleep", Dir: t.TempDir(), Argv: []string{"sleep", "60"}})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	until(t, "an end", func() bool { _, err := p.PIDs(); return err != nil })
	until(t, "an error", func() bool { return p.Stop() != nil })
}

func TestKernelMemory(t *testing.T) {
	if k, err := rival.ReadKernel(); err != nil || k.Slab <= 0 || k.Sockets < 0 || k.Total() < k.Slab {
		t.Errorf("%+v, %v", k, err)
	}
}
