//go:build linux

package load_test

import (
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/node"
)

func TestEveryKindAgainstTheNode(t *testing.T) {
	for name, c := range map[string]struct {
		job  load.Job
		seen func(node.Stats) int64 // the node's count of operations
	}{
		"poll":      {load.Job{Kind: load.Poll, Conns: 8}, func(s node.Stats) int64 { return s.Polls }},
		"post":      {load.Job{Kind: load.Post, Conns: 8, Size: 100}, func(s node.Stats) int64 { return s.Posts }},
		"frame":     {load.Job{Kind: load.Frame, Conns: 20, Size: 60}, func(s node.Stats) int64 { return s.Frames }},
		"big frame": {load.Job{Kind: load.Frame, Conns: 4, Size: 16 << 10}, func(s node.Stats) int64 { return s.Frames }},
		"huge":      {load.Job{Kind: load.Frame, Conns: 4, Size: 100_000}, func(s node.Stats) int64 { return s.Frames }},
		"empty":     {load.Job{Kind: load.Frame, Conns: 4}, func(s node.Stats) int64 { return s.Frames }},
		"connect":   {load.Job{Kind: load.Connect, Conns: 8}, func(s node.Stats) int64 { return s.Connects }},
		"handshake": {load.Job{Kind: load.Handshake, Conns: 8}, func(s node.Stats) int64 { return s.Handshakes }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := startNodes(t, 2)
			c.job.Addr, c.job.Seconds, c.job.Warmup = nodes.addrs[1], 0.15, 0.02
			r := run(t, c.job, nil, nil)
			seen := c.seen(nodes.stats(t))
			if r.Ops == 0 || r.Errors != 0 || r.Foreign != 0 || r.Open != c.job.Conns || seen < r.Ops {
				t.Errorf("%+v; the node saw %d", r, seen)
			}
			if q := r.Latency; q.P50 <= 0 || q.P50 > q.P90 || q.P90 > q.P99 || q.P99 > q.P999 || q.P999 > q.Max || r.Elapsed < 0.15 || r.CPU <= 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestPacedOperationsComeAtTheirRate(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 1)
	for _, kind := range []string{load.Poll, load.Connect, load.Frame} {
		r := run(t, load.Job{Kind: kind, Addr: nodes.addrs[0], Conns: 7, Size: 60, Seconds: 0.25, Warmup: 0.02, Rate: 400}, nil, nil)
		late := int64(400 * r.Latency.Max / 1e6) // what a machine that stood still for so long kept from its turn
		if r.Ops > 101 || r.Ops < 99-late || r.Errors != 0 {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

// TestOnlySomeAreBusyInTurn watches the server's side: never more requests than asked for, and each session as often as
// the others.
func TestOnlySomeAreBusyInTurn(t *testing.T) {
	t.Parallel()
	const conns, active = 7, 3
	var mu sync.Mutex
	busy, most, polls := 0, 0, map[string]int{}
	addr := serve(t, pollServer(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		busy++
		most = max(most, busy)
		polls[r.RemoteAddr]++
		mu.Unlock()
		<-time.After(time.Millisecond)
		mu.Lock()
		busy--
		mu.Unlock()
		_, _ = io.WriteString(w, "4")
	}))
	r := run(t, load.Job{Kind: load.Poll, Addr: addr, Conns: conns, Active: active, Seconds: 0.2, Warmup: 0.02}, nil, nil)
	if r.Ops == 0 || r.Errors != 0 || r.Open != conns {
		t.Errorf("%+v", r)
	}
	mu.Lock()
	defer mu.Unlock()
	counts := slices.Collect(maps.Values(polls))
	if most != active || len(counts) != conns || slices.Max(counts) > slices.Min(counts)+active {
		t.Errorf("%d busy at a time, %v polls", most, counts)
	}
}

func TestFramesToEverybody(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 2)
	r := run(t, load.Job{Kind: load.Fanout, Addr: nodes.addrs[0], Trigger: nodes.control, Conns: 50, Size: 300, Seconds: 0.2, Warmup: 0.02}, nil, nil)
	if r.Ops == 0 || r.Ops%50 != 0 || r.Errors != 0 || r.Latency.Max <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestIdleTunnelsStandUntilTheInputEnds(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 1)
	r := run(t, load.Job{Kind: load.Idle, Addr: nodes.addrs[0], Conns: 30, Seconds: 0.05}, nil, func() {
		if s := nodes.stats(t); s.Tunnels != 30 {
			t.Errorf("%+v", s)
		}
	})
	if r.Ops != 0 || r.Errors != 0 || r.Open != 30 {
		t.Errorf("%+v", r)
	}
}

func TestANodeThatDiesGivesErrors(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{load.Poll, load.Frame, load.Connect, load.Handshake, load.Fanout, load.Idle} {
		for _, rate := range []float64{0, 1000} {
			nodes := startNodes(t, 1)
			r := run(t, load.Job{Kind: kind, Addr: nodes.addrs[0], Trigger: nodes.control, Conns: 5, Size: 60, Seconds: 0.2, Warmup: 0.02, Rate: rate}, nodes.stop, nil)
			if r.Errors == 0 || r.FirstError == "" || r.Open == 5 && kind != load.Connect {
				t.Errorf("%s: %+v", kind, r)
			}
		}
	}
}

func TestJobsThatCannotBeDone(t *testing.T) {
	t.Parallel()
	for job, want := range map[string]string{
		``:                           "read the job",
		`{`:                          "read the job",
		`{"kind":"dance"}`:           "dance",
		`{"kind":"poll"}`:            "conns",
		`{"kind":"poll","conns":1}`:  "seconds",
		`{"kind":"poll","conns":-1}`: "conns",
		`{"kind":"fanout","conns":1,"seconds":1}`:                       "trigger",
		`{"kind":"poll","conns":1,"seconds":1,"rate":-1}`:               "rate",
		`{"kind":"poll","conns":1,"seconds":1,"active":-1}`:             "active",
		`{"kind":"poll","conns":1,"seconds":1,"split":2}`:               "split",
		`{"kind":"frame","conns":1,"seconds":1,"split":1}`:              "split",
		`{"kind":"poll","conns":1,"seconds":1,"addr":"nowhere"}`:        "nowhere",
		`{"kind":"poll","conns":1,"seconds":0.01,"addr":"127.0.0.1:1"}`: "refused",
	} {
		err := load.Main(strings.NewReader(job+"\n"), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", job, err)
		}
	}
}

func TestOperationsDoNotAllocate(t *testing.T) {
	for _, kind := range []string{
		load.Poll, load.Post, load.Frame, load.Connect, load.Handshake, load.Page, load.Preflight, load.Malformed, load.Unknown,
	} {
		nodes := startNodes(t, 1)
		var before, after runtime.MemStats
		r := run(t, load.Job{Kind: kind, Addr: nodes.addrs[0], Conns: 4, Size: 60, Seconds: 0.2, Warmup: 0.05}, func() { runtime.ReadMemStats(&before) }, nil)
		runtime.ReadMemStats(&after)
		const once = 200 // of the run itself, which may be of few operations on a busy machine
		if all := after.Mallocs - before.Mallocs; float64(all) > once+0.05*float64(r.Ops) {
			t.Errorf("%s: %d allocations of load and node in %d operations", kind, all, r.Ops)
		}
	}
}
