package adapter_test

import (
	"testing"
	"time"

	"github.com/sidway/sidway/adapter/internal/redistest"
)

// outageMessages are sent, one every 100 ms; Redis goes away behind the 15th for 3 s, which is 30 of them.
const (
	outageMessages = 80
	outageBegins   = 15
	outageEnds     = 45
)

// TestOutage takes Redis away from two Go servers while one of them broadcasts.
func TestOutage(t *testing.T) {
	for _, kind := range []string{"pubsub", "sharded", "streams", "streams with recovery"} {
		for _, how := range []string{"killed and restarted", "stopped"} {
			t.Run(kind+"/"+how, func(t *testing.T) {
				t.Parallel()
				outage(t, kind, how == "stopped")
			})
		}
	}
}

func outage(t *testing.T, kind string, stop bool) {
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	options := "{}"
	streams := kind != "pubsub" && kind != "sharded"
	if kind == "streams with recovery" {
		kind, options = "streams", recovering
	}
	a, clients := outageServers(t, kind, redis.Port(), options)
	sent := a.send(nil, "flood", "n", outageMessages, 100)
	clients.await("a", "n", outageBegins)
	before, began := a.do(nil, "cpu").(float64), time.Now()
	if stop {
		redis.Pause()
	} else {
		redis.Kill()
	}
	clients.await("a", "n", outageEnds) // local delivery goes on
	share := (a.do(nil, "cpu").(float64) - before) / float64(time.Since(began).Microseconds())
	if stop {
		redis.Resume()
	} else {
		redis.Restart()
	}
	back := time.Now()
	seen := len(clients.got("b", "n"))
	clients.until("b receives again", func() bool { return len(clients.gotLocked("b", "n")) > seen })
	again := time.Since(back)
	<-sent
	a.do(nil, "emit", "end")
	clients.await("b", "end", 1)
	clients.await("a", "end", 1)

	if lost := ascending(t, "a", clients.got("a", "n")); lost != 0 {
		t.Errorf("%d of %d events did not reach the server's own client", lost, outageMessages)
	}
	lost := ascending(t, "b", clients.got("b", "n"))
	if limit := outageEnds - outageBegins; lost > limit || streams && lost > 0 {
		t.Errorf("%d events lost, the outage was %d long", lost, limit)
	}
	if share > 0.1 { // 54 % without a pause between tries, under 1 % where nothing else runs, and a few where all is busy
		t.Errorf("%.1f %% of a processor while Redis was away", 100*share)
	}
	t.Logf("lost %d, CPU while away %.2f %%, received again after %v", lost, 100*share, again.Round(time.Millisecond))
}

// outageServers starts two servers, each with a client of its name, and returns the first.
func outageServers(t *testing.T, kind string, port int, options string) (a, clients *proc) {
	t.Helper()
	a = startServer(t, serverSpec{"go", kind, port, "outage", options})
	b := startServer(t, serverSpec{"go", kind, port, "outage", options})
	clients = startClients(t)
	for name, p := range map[string]*proc{"a": a, "b": b} {
		clients.do(nil, "connect", name, p.url(), m{"transports": []any{"websocket"}})
		clients.await(name, "connect", 1)
	}
	redistest.Eventually(t, "two servers", func() bool {
		return a.do(nil, "serverCount") == 2.0 && b.do(nil, "serverCount") == 2.0
	})
	return a, clients
}

// ascending checks that events came in order and none twice, and returns how many are missing.
func ascending(t *testing.T, client string, got [][]any) (missing int) {
	t.Helper()
	last := -1.0
	for _, args := range got {
		n, _ := args[0].(float64)
		if n <= last {
			t.Errorf("%s received %v behind %v", client, n, last)
		}
		last = n
	}
	return outageMessages - len(got)
}
