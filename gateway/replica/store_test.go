package replica_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/api"
)

// TestStoreIsSeen has a Redis go down and come back without the replica's user, twice.
func TestStoreIsSeen(t *testing.T) {
	rdb := affinitytest.StartRedis(t)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = "redis://sidway:hush@" + rdb.Addr() + "/0"
	second := cfg.Clusters[0]
	second.Name, second.Path = "talk", "/talk/"
	cfg.Clusters = append(cfg.Clusters, second)
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	seen := func(status, up, words string) {
		t.Helper()
		affinitytest.Eventually(t, "a store that is "+words, func() bool {
			code, body := fetch(t, r.adminURL("/readyz"))
			_, metrics := fetch(t, r.adminURL("/metrics"))
			return (code == 200) == (status == "ready") && strings.HasPrefix(body, `{"status":"`+status+`"`) && strings.Contains(body, words) &&
				strings.Contains(metrics, `sidway_store_up{cluster="chat"} `+up) && strings.Contains(metrics, `sidway_store_up{cluster="talk"} `+up)
		})
	}
	seen("not ready", "0", `cluster talk: affinity: try: Redis refuses this replica: WRONGPASS`)
	for outage := 1; outage <= 2; outage++ {
		const refused, again = `level=ERROR msg="redis refuses this replica, so new bindings are kept here until that is mended" cluster=`, `msg="redis is used again" cluster=`
		for _, cluster := range []string{"chat", "talk"} {
			affinitytest.Eventually(t, "the refusal in the log", func() bool { return strings.Count(log.String(), refused+cluster) == outage })
		}
		allow(rdb, "sidway", "on", ">hush", "~sidway:*", affinity.Rights)
		seen("ready", "1", `"store":"up"}`)
		for _, cluster := range []string{"chat", "talk"} {
			affinitytest.Eventually(t, "the end in the log", func() bool { return strings.Count(log.String(), again+cluster) == outage })
			if n := strings.Count(log.String(), refused+cluster); n != outage {
				t.Errorf("told %d times in %d outages:\n%s", n, outage, log.String())
			}
		}
		rdb.Kill()
		seen("ready", "0", `"store":"down","reasons":["affinity.redis: cluster chat: affinity: `)
		seen("ready", "0", "connection refused")
		rdb.Restart()
		seen("ready", "0", "mend the user or the password in its URL")
	}
	if strings.Contains(log.String(), "hush") {
		t.Errorf("the password is told:\n%s", log.String())
	}
}

// Of a Redis that takes longer than the 100 ms that an operation has it is found out whether it is slow or hangs.
func TestRedisThatHangsIsSaidToHang(t *testing.T) {
	rdb := affinitytest.StartRedis(t)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = rdb.URL()
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	awaitReady(t, r)
	rdb.Pause()
	for _, told := range []string{
		`level=WARN msg="redis does not answer in time, so new bindings are kept here" cluster=chat state=down error="affinity: probe: Redis gave no answer within 100ms"` + "\n",
		`level=WARN msg="redis hangs, so new bindings are kept here" cluster=chat state=down error="affinity: probe: Redis hangs: it takes a connection, and answers nothing within 1s"` + "\n",
	} {
		affinitytest.Eventually(t, "the cause in the log", func() bool { return strings.Contains(log.String(), told) })
	}
	rdb.Resume()
	affinitytest.Eventually(t, "the end in the log", func() bool { return strings.Contains(log.String(), `msg="redis is used again" cluster=chat`) })
}

// A Redis that is away by turns is told of in between.
func TestRedisThatIsAwayByTurns(t *testing.T) {
	rdb := affinitytest.StartRedis(t)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = rdb.URL()
	r := start(t, cfg)
	awaitReady(t, r)
	var s api.Status
	up := func(want bool) func() bool {
		return func() bool {
			_, text := fetch(t, r.adminURL("/api/status"))
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatal(err)
			}
			return s.Store.Up == want
		}
	}
	for range 2 {
		rdb.Pause()
		affinitytest.Eventually(t, "Redis is away", up(false))
		time.Sleep(1100 * time.Millisecond)
		rdb.Resume()
		affinitytest.Eventually(t, "Redis is used", up(true))
	}
	if s.Store.Fell < 2 || !strings.HasPrefix(s.Headline, "Redis cannot be used again and again, ") {
		t.Errorf("%+v, %q", s.Store, s.Headline)
	}
}

func TestWithoutRedisThereIsNoStoreToSee(t *testing.T) {
	r := start(t, settings(engineiotest.Start(t, engineiotest.Options{})))
	if _, body := fetch(t, r.adminURL("/readyz")); body != `{"status":"ready"}` {
		t.Errorf("/readyz says %s", body)
	}
	if _, metrics := fetch(t, r.adminURL("/metrics")); strings.Contains(metrics, "sidway_store_up") {
		t.Error("there is sidway_store_up")
	}
}
