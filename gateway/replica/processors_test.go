package replica_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/quota"
	"github.com/sidway/sidway/gateway/replica"
)

// limited is a system with eight processors and a cgroup that has this quota.
func limited(quota string) fstest.MapFS {
	system := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/self/status":      "Cpus_allowed:\tff\n",
		"proc/self/cgroup":      "0::/\n",
		"proc/self/mountinfo":   "25 30 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/cpu.max": quota,
	} {
		system[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return system
}

// sharing is a replica that does not serve yet, and its log.
type sharing struct {
	*replica.Replica
	log lockedBuffer
}

func newSharing(t *testing.T, busy bool) *sharing {
	t.Helper()
	t.Cleanup(runtime.SetDefaultGOMAXPROCS)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Runtime.BusyLoops = busy
	s := &sharing{}
	var err error
	if s.Replica, err = replica.New(cfg, slog.New(slog.NewTextHandler(&s.log, nil))); err != nil {
		t.Fatal(err)
	}
	return s
}

// expect fails unless the replica shares processors like this, and has said so.
func (s *sharing) expect(t *testing.T, when string, allowed, loops int, busy bool, procs int) {
	t.Helper()
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("%s: GOMAXPROCS is %d, want %d", when, got, procs)
	}
	want := fmt.Sprintf("msg=processors allowed=%d loops=%d busy_loops=%v gomaxprocs=%d\n", allowed, loops, busy, procs)
	if !strings.HasSuffix(s.log.String(), want) {
		t.Errorf("%s: the log is\n%swant\n%s", when, s.log.String(), want)
	}
}

func (s *sharing) end(t *testing.T) {
	t.Helper()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(done); err != nil {
		t.Error(err)
	}
}

// TestProcessorsAreFollowed has a quota come and go. As many loops as there are at start need as many processors.
func TestProcessorsAreFollowed(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	runtime.SetDefaultGOMAXPROCS()
	usual := runtime.GOMAXPROCS(0)
	s := newSharing(t, true)
	n := quota.Processors(os.DirFS("/"))
	s.expect(t, "at start", n, n, true, 2*n)
	s.SetSystem(limited("max 100000"))
	s.expect(t, "without a quota", 8, n, true, n+8)
	s.SetSystem(limited("799999 100000"))
	s.expect(t, "with a quota that is no full one", 8, n, true, n+8)
	if n > 1 {
		s.SetSystem(limited("50000 100000"))
		s.expect(t, "with less than one", 1, n, false, usual)
	}
	s.SetSystem(limited("700000 100000"))
	s.expect(t, "with more again", 7, n, true, n+7)
	s.end(t)
}

// TestTheEnvironmentsGOMAXPROCSWins has it say three, whatever the cgroup's quota is.
func TestTheEnvironmentsGOMAXPROCSWins(t *testing.T) {
	t.Setenv("GOMAXPROCS", "3")
	s := newSharing(t, true)
	s.expect(t, "at start", 3, 3, true, 6)
	s.SetSystem(limited("100000 100000"))
	s.expect(t, "with a quota", 3, 3, true, 6)
	s.end(t)
}

// TestWithoutBusyLoops leaves GOMAXPROCS to Go.
func TestWithoutBusyLoops(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	runtime.SetDefaultGOMAXPROCS()
	usual, n := runtime.GOMAXPROCS(0), quota.Processors(os.DirFS("/"))
	s := newSharing(t, false)
	s.expect(t, "at start", n, n, false, usual)
	s.SetSystem(limited("max 100000"))
	s.expect(t, "with more", 8, n, false, usual)
	s.end(t)
}
