//go:build linux && cgroup

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// group is a cgroup whose processes have a quota of processors.
type group struct {
	dir     string
	unified bool
}

// newGroup makes one, and fails where the machine does not let it.
func newGroup(t *testing.T) *group {
	t.Helper()
	const why = "this test makes a cgroup of its own: it needs root, and a cpu controller of version 1 in /sys/fs/cgroup/cpu or of version 2 in /sys/fs/cgroup"
	g := &group{dir: "/sys/fs/cgroup/cpu"}
	if _, err := os.Stat(filepath.Join(g.dir, "cpu.cfs_quota_us")); err != nil {
		if _, err := os.Stat(g.dir); err != nil {
			g = &group{dir: "/sys/fs/cgroup", unified: true}
			_ = os.WriteFile(filepath.Join(g.dir, "cgroup.subtree_control"), []byte("+cpu"), 0) // or it is there already
		}
	}
	g.dir = filepath.Join(g.dir, "sidway-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Fatalf("%s: %v", why, err)
	}
	t.Cleanup(func() {
		if err := os.Remove(g.dir); err != nil {
			t.Error(err)
		}
	})
	if err := g.limit("max"); err != nil {
		t.Fatalf("%s: %v", why, err)
	}
	return g
}

// limit sets the quota, in microseconds of each 100 ms; max is none.
func (g *group) limit(quota string) error {
	if g.unified {
		return os.WriteFile(filepath.Join(g.dir, "cpu.max"), []byte(quota+" 100000"), 0)
	}
	if quota == "max" {
		quota = "-1"
	}
	return errors.Join(
		os.WriteFile(filepath.Join(g.dir, "cpu.cfs_period_us"), []byte("100000"), 0),
		os.WriteFile(filepath.Join(g.dir, "cpu.cfs_quota_us"), []byte(quota), 0))
}

// TestAReplicaFollowsItsCgroup starts one with a processor to itself, and one whose quota comes later.
func TestAReplicaFollowsItsCgroup(t *testing.T) {
	g, n := newGroup(t), runtime.NumCPU()
	set := func(quota string) {
		if err := g.limit(quota); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (p *process, procs func(int)) {
		admin := free(t)
		p = startIn(t, g, "serve", "--node", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", admin)
		return p, func(want int) {
			t.Helper()
			if _, metrics := get(t, "http://"+admin+"/metrics"); !strings.Contains(metrics, fmt.Sprintf("\ngo_sched_gomaxprocs_threads %d\n", want)) {
				t.Errorf("GOMAXPROCS is not %d", want)
			}
		}
	}
	stop := func(p *process) {
		p.signal(t, syscall.SIGTERM)
		if state := p.end(t); state.ExitCode() != 0 {
			t.Errorf("got %v", state)
		}
	}

	set("100000")
	p, procs := run()
	p.expect(t, "msg=processors allowed=1 loops=1 busy_loops=true gomaxprocs=2")
	procs(2)
	set("max")
	p.expect(t, fmt.Sprintf("msg=processors allowed=%d loops=1 busy_loops=true gomaxprocs=%d", n, 1+n))
	procs(1 + n)
	stop(p)

	p, procs = run()
	p.expect(t, fmt.Sprintf("msg=processors allowed=%d loops=%d busy_loops=true gomaxprocs=%d", n, n, 2*n))
	procs(2 * n)
	if n > 1 {
		set("50000")
		p.expect(t, fmt.Sprintf("msg=processors allowed=1 loops=%d busy_loops=false gomaxprocs=2", n)) // Go knows nothing below two
		procs(2)
		set("max")
		p.expect(t, fmt.Sprintf("busy_loops=true gomaxprocs=%d", 2*n))
		procs(2 * n)
	}
	stop(p)
}

// startIn starts sidway in a cgroup: a shell goes there first, and becomes sidway.
func startIn(t *testing.T, g *group, args ...string) *process {
	t.Helper()
	into := "echo $$ > " + filepath.Join(g.dir, "cgroup.procs") + ` && exec "$0" "$@"`
	return startCommand(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "sh", append([]string{"-c", into, os.Args[0]}, args...)...)
}
