package replica_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/replica"
)

// A flood of handshakes fills the memory of bindings: that is said once and counted, and what expires is swept away.
func TestFullMemoryIsToldAndSwept(t *testing.T) {
	t.Parallel()
	cfg := settings(engineiotest.Start(t, engineiotest.Options{PingInterval: time.Millisecond, PingTimeout: time.Millisecond}))
	cfg.Affinity.Cache = 8
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	for range 20 {
		if status, body := fetch(t, r.url("/socket.io/?EIO=4&transport=polling")); status != 200 {
			t.Fatalf("%d %q", status, body)
		}
	}
	awaitMetrics := func(line string) {
		t.Helper()
		affinitytest.Eventually(t, line, func() bool {
			_, metrics := fetch(t, r.adminURL("/metrics"))
			return strings.Contains(metrics, line+"\n")
		})
	}
	awaitMetrics(`sidway_bindings_total{cluster="chat",outcome="evicted_unused"} 12`)
	awaitMetrics(`sidway_bindings_held{cluster="chat"} 8`)
	if _, status := fetch(t, r.adminURL("/api/status")); !strings.Contains(status, `"headline":"Live sessions are forgotten, and their clients have to connect anew, since affinity.cache is full (chat): raise it`) {
		t.Errorf("the status does not tell of it: %s", status)
	}
	awaitMetrics(`sidway_bindings_held{cluster="chat"} 0`) // the shortest TTL is 15 s
	if n := strings.Count(log.String(), `msg="affinity.cache is full, live bindings are evicted" cluster=chat store=memory cache=8`); n != 1 {
		t.Errorf("said %d times in\n%s", n, log.String())
	}
}

// A memory that stays full is logged once; one that was not full for a minute is logged again.
func TestFullMemoryIsLoggedOncePerPeriod(t *testing.T) {
	var log lockedBuffer
	m := replica.NewMemory(2, slog.New(slog.NewTextHandler(&log, nil)), func(affinity.Outcome) {}, func(int) {})
	now := time.Now()
	tick := func() { now = now.Add(time.Second); m.Tick(now) }
	n := 0
	handshakes := func(count int) {
		for range count {
			if err := m.Bind(t.Context(), fmt.Sprint("sid", n), affinitytest.Example); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	handshakes(2)
	tick()
	for range 90 {
		handshakes(1)
		tick()
	}
	for range 61 {
		tick()
	}
	handshakes(1)
	tick()
	const full, room = `level=WARN msg="affinity.cache is full`, `level=INFO msg="affinity.cache has room again" cache=2 evicted=0 evicted_unused=90`
	if got := log.String(); strings.Count(got, full) != 2 || strings.Count(got, room) != 1 {
		t.Errorf("want %q twice and %q once in\n%s", full, room, got)
	}
}

// Nodes that make the same sids are told of once a minute, and each refused session is counted.
func TestSameSIDsOfTwoNodesAreTold(t *testing.T) {
	same := engineiotest.Options{SID: func() string { return "AAAAAAAAAAAAAAAAAAAA" }}
	var log lockedBuffer
	r := startLogged(t, settings(engineiotest.Start(t, same), engineiotest.Start(t, same)), slog.New(slog.NewTextHandler(&log, nil)))
	refused := 0
	for range 6 {
		if status, body := fetch(t, r.url("/socket.io/?EIO=4&transport=polling")); status == 502 {
			refused++
		} else if status != 200 {
			t.Fatalf("%d %q", status, body)
		}
	}
	_, metrics := fetch(t, r.adminURL("/metrics"))
	if line := fmt.Sprintf(`sidway_bindings_total{cluster="chat",outcome="taken"} %d`, refused); refused == 0 || !strings.Contains(metrics, line) {
		t.Errorf("%d refused, and /metrics lacks %s", refused, line)
	}
	if f := statusOf(t, r).Faults; len(f) == 0 || f[0].Reason != "same_sids" {
		t.Errorf("the status tells %+v", f)
	}
	const warning = `level=WARN msg="two nodes made the same sid, the second session is refused" cluster=chat node=`
	if n := strings.Count(log.String(), warning); n != 1 || strings.Contains(log.String(), "AAAA") {
		t.Errorf("%d refused, said %d times in\n%s", refused, n, log.String())
	}
}
