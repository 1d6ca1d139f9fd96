package adapter_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/adapter/internal/redistest"
)

// recoveryDir is where @sidway/recovery is installed, once it is.
var recoveryDir string

// recoveryPackage packs @sidway/recovery, installs the tarball as its users do, and returns the path of its entry.
var recoveryPackage = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "recovery")
	if err != nil {
		return "", err
	}
	recoveryDir = dir
	npm := func(args ...string) (string, error) {
		cmd := exec.Command("npm", args...)
		cmd.Env = append(os.Environ(), "npm_config_update_notifier=false")
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("npm %s: %w", args[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	tarball, err := npm("pack", "./node", "--pack-destination", dir, "--silent")
	if err != nil {
		return "", err
	}
	// Its peers are those of the tests, so that nothing is asked of a registry.
	if _, err := npm("install", "--prefix", dir, "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund", filepath.Join(dir, tarball)); err != nil {
		return "", err
	}
	modules, err := filepath.Abs("../node_modules")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, "node_modules/@socket.io"), 0o700); err != nil {
		return "", err
	}
	peer := "@socket.io/redis-streams-adapter"
	if err := os.Symlink(filepath.Join(modules, peer), filepath.Join(dir, "node_modules", peer)); err != nil {
		return "", err
	}
	return filepath.Join(dir, "node_modules/@sidway/recovery/index.js"), nil
})

func installedRecovery(t *testing.T) string {
	t.Helper()
	path, err := recoveryPackage()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Rooms and data are followed while the client is connected, and a client that changes rooms without end costs few writes.
func TestRecoveryPackageFollows(t *testing.T) {
	redis := redistest.Start(t)
	server := startServer(t, serverSpec{"recovery", "streams", redis.Port(), "follows", recovering})
	clients := startClients(t)
	clients.do(nil, "connect", "c", server.url()+"/", m{"transports": []any{"websocket"}})
	clients.await("c", "connect", 1)
	rdb := redisClient(t, redis.Port())
	holds := func(words ...string) bool { return sessionHolds(t, rdb, "follows:session:", words...) }

	began, before := time.Now(), calls(t, redis, "set")
	for i := range 100 {
		clients.do(nil, "ask", "c", "join", fmt.Sprintf("room-%d-", i))
		if i < 99 {
			clients.do(nil, "ask", "c", "leave", fmt.Sprintf("room-%d-", i))
		}
	}
	redistest.Eventually(t, "the last room alone is kept", func() bool { return holds("room-99-") && !holds("room-98-") })
	if n, most := calls(t, redis, "set")-before, 2+int(time.Since(began)/(200*time.Millisecond)); n > most {
		t.Errorf("199 changes of rooms cost %d writes, want at most %d", n, most)
	}
	clients.do(nil, "ask", "c", "data", m{"nick": "first"})
	redistest.Eventually(t, "data is kept", func() bool { return holds("room-99-", "first") })
	clients.do(nil, "ask", "c", "data", m{"nick": "second"})
	redistest.Eventually(t, "changed data is kept", func() bool { return holds("room-99-", "second") && !holds("first") })
}

// calls is how often Redis was given a command.
func calls(t *testing.T, r *redistest.Server, command string) int {
	t.Helper()
	_, rest, _ := strings.Cut(r.Do("INFO", "commandstats"), "cmdstat_"+command+":calls=")
	var n int
	_, _ = fmt.Sscanf(rest, "%d", &n)
	return n
}

// A client that comes back while events pour in finds each of them once and in order, at whichever node.
func TestRecoveryPackageUnderFlood(t *testing.T) {
	redis := redistest.Start(t)
	servers := []*proc{}
	for range 2 {
		servers = append(servers, startServer(t, serverSpec{"recovery", "streams", redis.Port(), "flood", recovering}))
	}
	source := startServer(t, serverSpec{"node", "streams", redis.Port(), "flood", recovering})
	clients := startClients(t)
	redistest.Eventually(t, "three servers", func() bool { return source.do(nil, "serverCount") == 3.0 })
	clients.do(nil, "connect", "c", servers[0].url()+"/", m{"transports": []any{"websocket"}})
	id := clients.await("c", "connect", 1)[0][0]

	const events = 3000
	done := source.send(nil, "flood", "n", events, 1)
	for i := range 20 {
		clients.await("c", "n", (i+1)*100)
		clients.do(nil, "cut", "c")
		clients.await("c", "disconnect", i+1)
		redistest.Eventually(t, "the server has seen it", func() bool {
			return len(servers[i%2].do(nil, "fetchSockets").([]any)) == 0
		})
		clients.do(nil, "reopen", "c", servers[(i+1)%2].url()+"/")
		if got := clients.await("c", "connect", i+2)[i+1]; got[0] != id || got[1] != true {
			t.Fatalf("return %d: connected as %v, want %v recovered", i, got, id)
		}
	}
	<-done
	clients.await("c", "n", events)
	if n := calls(t, redis, "xrange"); n > 2*20 { // for the offset, and for what was missed
		t.Errorf("the stream was read %d times for 20 returns", n)
	}
	for i, args := range clients.got("c", "n") {
		if args[0] != float64(i) {
			t.Fatalf("event %d is %v", i, args[0])
		}
	}
}

// A question that was received is not sent again without its acknowledgement, as the adapter alone sends it.
func TestRecoveryPackageAsksOnce(t *testing.T) {
	redis := redistest.Start(t)
	server := startServer(t, serverSpec{"recovery", "streams", redis.Port(), "asks", recovering})
	clients := startClients(t)
	clients.do(nil, "connect", "c", server.url()+"/", m{"transports": []any{"websocket"}})
	clients.await("c", "connect", 1)
	server.do(nil, "emit", "before", 1)
	clients.await("c", "before", 1)
	clients.do(nil, "emit", "c", "ask-back", "ask-empty")
	clients.await("c", "ask-empty", 1)
	clients.do(nil, "cut", "c")
	clients.await("c", "disconnect", 1)
	rdb := redisClient(t, redis.Port())
	redistest.Eventually(t, "the server has seen it", func() bool { return len(server.do(nil, "fetchSockets").([]any)) == 0 })
	redistest.Eventually(t, "the session is kept", func() bool { return sessionHolds(t, rdb, "asks:session:") })
	server.do(nil, "emit", "missed", 1)
	clients.do(nil, "reopen", "c", server.url()+"/")
	if got := clients.await("c", "connect", 2)[1]; got[1] != true {
		t.Fatalf("connected as %v, want recovered", got)
	}
	clients.await("c", "missed", 1)
	if n := len(clients.got("c", "ask-empty")); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}
