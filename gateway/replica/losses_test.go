package replica_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/replica"
)

const lostWords = `level=WARN msg="redis has lost bindings that had not expired: is its maxmemory-policy noeviction? or was it emptied, or restarted without its data?"`

// A Redis that is emptied is filled again, and somebody is told.
func TestLostBindingsAreLogged(t *testing.T) {
	rdb := affinitytest.StartRedis(t)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = rdb.URL()
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	awaitReady(t, r)
	for range 5 {
		fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
	}
	affinitytest.Eventually(t, "the bindings in Redis", func() bool { return strings.Count(rdb.Do("KEYS", "sidway:chat:*"), "sidway:chat:") >= 5 })
	var emptied time.Time
	affinitytest.Eventually(t, "the loss in the log", func() bool {
		if time.Since(emptied) > 5*time.Second { // on a busy machine an answer may be late, and a loss not be seen
			emptied = time.Now()
			rdb.Do("FLUSHALL")
		}
		return strings.Contains(log.String(), lostWords+" cluster=chat lost=")
	})
	if _, metrics := fetch(t, r.adminURL("/metrics")); strings.Contains(metrics, `sidway_bindings_total{cluster="chat",outcome="lost"} 0`) {
		t.Error("they were not counted")
	}
	if _, status := fetch(t, r.adminURL("/api/status")); !strings.Contains(status, `"text":"Redis has lost bindings that had not expired, which are written again (chat): is its`) {
		t.Errorf("the status does not tell of it: %s", status)
	}
}

// The log tells how many were lost when no more come, or after ten seconds, once an hour, and not of one or two; and that it is over.
func TestLossesAreLoggedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		faults := 0
		l := replica.NewLosses(slog.New(slog.NewTextHandler(&log, nil)), func(string) { faults++ })
		for _, step := range []struct {
			lost  int // a second
			lasts time.Duration
			want  string // what is logged then, no more than once
			fault bool   // it is counted
		}{
			{2, time.Second, "", false},
			{0, 5 * time.Second, "", false},
			{300, 3 * time.Second, "", false},
			{0, time.Second, "lost=902", true},
			{300, time.Minute, "", true},
			{0, time.Hour, `msg="redis loses no bindings any more" lost=18902 for=5m0s`, false},
			{0, time.Hour, "", false},
			{10, 30 * time.Second, "lost=110", true},
			{0, 10 * time.Minute, "lost=300 for=5m0s", false},
			{10, 30 * time.Second, "", true},
			{0, 10 * time.Minute, "", false},
		} {
			log.Reset()
			before := faults
			for end := time.Now().Add(step.lasts); time.Now().Before(end); time.Sleep(time.Second) {
				l.Add(step.lost)
				l.Tick(time.Now())
			}
			if got := log.String(); strings.Count(got, "lost=") > 1 || !strings.HasSuffix(strings.TrimSpace(got), step.want) || step.want == "" && got != "" {
				t.Errorf("%d a second for %v: logged %q, want %q", step.lost, step.lasts, got, step.want)
			}
			if step.fault != (faults > before) {
				t.Errorf("%d a second for %v: %d faults", step.lost, step.lasts, faults-before)
			}
		}
	})
}

// A Redis that evicts slowly is told of like one that is emptied, once, and so is its end; one or two in some minutes are not.
func TestSlowLossesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			every time.Duration // one is lost
			told  bool
		}{{40 * time.Second, true}, {2 * time.Minute, false}} {
			var log bytes.Buffer
			faults := 0
			l := replica.NewLosses(slog.New(slog.NewTextHandler(&log, nil)), func(string) { faults++ })
			for range 20 {
				l.Add(1)
				for end := time.Now().Add(c.every); time.Now().Before(end); time.Sleep(time.Second) {
					l.Tick(time.Now())
				}
			}
			if n := strings.Count(log.String(), lostWords+" lost=5"); c.told != (n == 1) || c.told != (faults > 0) || c.told == (log.Len() == 0) {
				t.Errorf("one each %v: %d faults, and logged %q", c.every, faults, log.String())
			}
			log.Reset()
			for range 600 {
				time.Sleep(time.Second)
				l.Tick(time.Now())
			}
			if over := strings.Count(log.String(), "redis loses no bindings any more"); over != strings.Count(log.String(), "\n") || c.told != (over == 1) {
				t.Errorf("one each %v, and then none: logged %q", c.every, log.String())
			}
		}
	})
}
