package e2e_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMoveCost has idle sessions move, MOVE_SESSIONS of them, and tells what their replica spends for each.
func TestMoveCost(t *testing.T) {
	m := newMoveSite(t, 1, []kind{moveGo, moveGo}, "move: true")
	sessions := moveNumber(t, "MOVE_SESSIONS", 100)
	m.movers = startMovers(t, movePlan{URL: scheme + m.entry, Modes: map[string]int{"websocket": sessions}, Rooms: 2, Period: movePeriod})
	var r moveReport
	m.movers.ask(t, map[string]any{"cmd": "connect"}, &r)
	m.restart(t, 0, time.Minute) // so that all are at the second one
	replica := m.replicas[0]
	before, idle := replica.spent(t), replica.status(t, "VmRSS")
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", replica.cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Fatal(err) // the peak is that of the moves from here on
	}
	began := time.Now()
	replica.drainNode(t, m.nodes[1], time.Minute)
	took, spent, more := time.Since(began), replica.spent(t)-before, replica.status(t, "VmHWM")-idle
	m.movers.ask(t, map[string]any{"cmd": "stats"}, &r)
	for _, s := range r.Sessions {
		if s.Disconnects > 0 || s.Connects != 1 {
			t.Errorf("%s was not moved: %+v", s.Name, s)
		}
	}
	each := spent / time.Duration(sessions)
	t.Logf("%d sessions moved in %v; %v of CPU for each, %.0f a second by one processor; %d KiB more in memory at most; %s",
		sessions, took.Round(time.Millisecond), each, float64(time.Second)/float64(each), more, replica.moves(t))
	if limit := 20 * time.Millisecond; each > limit { // with the race detector too
		t.Errorf("a move takes %v of CPU, want %v at most", each, limit)
	}
}

// spent is the processor time that the process has taken (clock_getcpuclockid(3)).
func (p *process) spent(t *testing.T) time.Duration {
	t.Helper()
	const scheduler = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|scheduler), &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// status is a figure of /proc/<pid>/status in KiB.
func (p *process) status(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in\n%s", name, text)
	return 0
}
