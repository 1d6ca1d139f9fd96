package replica_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// patience bounds every wait: what has not come by then never comes.
const patience = 20 * time.Second

// running is a replica that serves.
type running struct {
	*replica.Replica
	stop context.CancelFunc
	done chan error
}

// settings returns a configuration for these nodes on free ports, with a quick end.
func settings(nodes ...*engineiotest.Node) *config.Config {
	cfg := config.Default()
	cfg.Listen = []config.Listener{{Address: "127.0.0.1:0"}, {Address: "[::1]:0"}}
	cfg.Admin.Listen = "127.0.0.1:0"
	cfg.Runtime.BusyLoops = false // a test has several replicas in its process
	cfg.Shutdown = config.Shutdown{Notice: 100 * time.Millisecond, Deadline: 5 * time.Second, Waves: 2}
	c := config.Cluster{Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions}
	for i, n := range nodes {
		c.Nodes = append(c.Nodes, config.Node{Name: fmt.Sprintf("n%d", i+1), URL: n.URL(), Weight: 1})
	}
	cfg.Clusters = []config.Cluster{c}
	return cfg
}

func start(t *testing.T, cfg *config.Config) *running {
	t.Helper()
	return startLogged(t, cfg, slog.New(slog.DiscardHandler))
}

func startLogged(t *testing.T, cfg *config.Config, log *slog.Logger) *running {
	t.Helper()
	rep, err := replica.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, rep)
}

// run has a replica serve until the test ends.
func run(t *testing.T, rep *replica.Replica) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Replica: rep, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- rep.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

// wait returns what Run returned.
func (r *running) wait() error {
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(patience):
		return fmt.Errorf("the replica did not end")
	}
}

func (r *running) url(path string) string { return "http://" + r.Addrs()[0].String() + path }

func (r *running) adminURL(path string) string { return "http://" + r.AdminAddr().String() + path }

func awaitReady(t *testing.T, r *running) {
	t.Helper()
	affinitytest.Eventually(t, "a replica that is ready", func() bool {
		status, _ := fetch(t, r.adminURL("/readyz"))
		return status == 200
	})
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// open makes a WebSocket session and returns it behind its open packet.
func open(t *testing.T, r *running) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(r.url("/socket.io/?EIO=4&transport=websocket"), "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	if _, b, err := conn.Read(t.Context()); err != nil || !strings.HasPrefix(string(b), "0{") {
		t.Fatalf("%q %v", b, err)
	}
	return conn
}

func TestServesOnAllItsAddresses(t *testing.T) {
	r := start(t, settings(engineiotest.Start(t, engineiotest.Options{})))
	for _, a := range r.Addrs() {
		if status, body := fetch(t, "http://"+a.String()+"/socket.io/?EIO=4&transport=polling"); status != 200 || !strings.HasPrefix(body, "0{") {
			t.Errorf("%s: %d %q", a, status, body)
		}
	}
	if status, _ := fetch(t, r.adminURL("/healthz")); status != 200 {
		t.Errorf("healthz: %d", status)
	}
	if status, _ := fetch(t, r.adminURL("/readyz")); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	for _, line := range []string{
		`sidway_sessions{cluster="chat",node="n1"} 2`,
		`sidway_handshakes_total{cluster="chat",outcome="made",transport="polling"} 2`,
		`sidway_connections `, `sidway_overhead_seconds_count{cluster="chat"} 2`, `go_goroutines `, `process_open_fds `,
	} {
		metrics := ""
		for end := time.Now().Add(patience); !strings.Contains(metrics, line); { // some are counted after the answer
			if time.Now().After(end) {
				t.Fatalf("/metrics lacks %s", line)
			}
			_, metrics = fetch(t, r.adminURL("/metrics"))
		}
	}
}

func TestReplicasShareSessionsThroughRedis(t *testing.T) {
	rdb := affinitytest.StartRedis(t)
	nodes := []*engineiotest.Node{engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})}
	cfg := settings(nodes...)
	cfg.Affinity.Redis = rdb.URL()
	a, b := start(t, cfg), start(t, cfg)
	for range 10 {
		_, body := fetch(t, a.url("/socket.io/?EIO=4&transport=polling"))
		sid := strings.Split(body, `"`)[3]
		resp, err := http.Post(b.url("/socket.io/?EIO=4&transport=polling&sid="+sid), "text/plain", strings.NewReader("4hello"))
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
		if status, body := fetch(t, b.url("/socket.io/?EIO=4&transport=polling&sid="+sid)); status != 200 || body != "4hello" {
			t.Fatalf("%d %q", status, body)
		}
	}
	b.stop()
	if err := b.wait(); err != nil {
		t.Error(err)
	}
	c := start(t, cfg) // it never saw a handshake
	_, body := fetch(t, a.url("/socket.io/?EIO=4&transport=polling"))
	sid := strings.Split(body, `"`)[3]
	resp, err := http.Post(c.url("/socket.io/?EIO=4&transport=polling&sid="+sid), "text/plain", strings.NewReader("4hello"))
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}

// TestOutagesAreLoggedOnce has a Redis that refuses and a node that does.
func TestOutagesAreLoggedOnce(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	cfg := settings(node)
	cfg.Affinity.Redis = "redis://127.0.0.1:1"
	cfg.Clusters[0].Nodes = append(cfg.Clusters[0].Nodes, config.Node{Name: "gone", URL: "http://127.0.0.1:1", Weight: 1})
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	for range 4 {
		if status, body := fetch(t, r.url("/socket.io/?EIO=4&transport=polling")); status != 200 {
			t.Fatalf("%d %q", status, body)
		}
	}
	for _, want := range []string{
		`msg="redis is down, so new bindings are kept here" cluster=chat state=down error=`, "connection refused",
		`msg="node ejected: it gets no new sessions until it is tried again, and then for twice as long with each failure" cluster=chat node=gone address=127.0.0.1:1 reason=refused for=500ms at_most=15s`,
	} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%d times %q in\n%s", n, want, log.String())
		}
	}
}

// TestNotReadyWithoutItsRedis has a Redis that refuses the replica until its user is made, and goes down after that.
func TestNotReadyWithoutItsRedis(t *testing.T) {
	rdb := affinitytest.StartRedis(t)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = "redis://sidway:hush@" + rdb.Addr() + "/0"
	r := start(t, cfg)
	readyz := func(what string, status int, words string) {
		t.Helper()
		for end := time.Now().Add(patience); ; {
			got, body := fetch(t, r.adminURL("/readyz"))
			if strings.Contains(body, "hush") {
				t.Fatalf("the password is told: %s", body)
			}
			if got == status && strings.Contains(body, words) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %d %s", what, got, body)
			}
		}
	}
	readyz("before the user is made", 503, "affinity.redis: cluster chat: affinity: try: Redis refuses this replica: WRONGPASS")
	rdb.Do("ACL", "SETUSER", "sidway", "on", ">hush", "~sidway:*", "+get", "+set", "+del", "+pttl", "+incrby", "+pexpire")
	readyz("with the user", 200, "ready")
	rdb.Kill()
	for range 4 {
		if status, body := fetch(t, r.url("/socket.io/?EIO=4&transport=polling")); status != 200 {
			t.Fatalf("%d %q", status, body)
		}
	}
	readyz("without redis", 200, "ready")
}

// A replica that is told to is not ready while Redis has been away for a while.
func TestNotReadyWhileRedisIsAwayForLong(t *testing.T) {
	rdb := affinitytest.StartRedis(t)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis, cfg.Affinity.UnreadyAfter = rdb.URL(), 2*time.Second
	r := start(t, cfg)
	says := func(what string, status int) {
		t.Helper()
		affinitytest.Eventually(t, what, func() bool { got, _ := fetch(t, r.adminURL("/readyz")); return got == status })
	}
	says("ready", 200)
	rdb.Kill()
	killed := time.Now()
	says("not ready", 503)
	if took := time.Since(killed); took < 2*time.Second {
		t.Errorf("not ready after %v", took)
	}
	if _, body := fetch(t, r.adminURL("/readyz")); !strings.Contains(body, "affinity.redis: cluster chat: ") {
		t.Errorf("it says %s", body)
	}
	rdb.Restart()
	says("ready again", 200)
}

// TestNoNodeIsLoggedOnceAndWhenItIsOver has both nodes of a cluster go, and one come back.
func TestNoNodeIsLoggedOnceAndWhenItIsOver(t *testing.T) {
	nodes := []*engineiotest.Node{engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})}
	cfg := settings(nodes...)
	cfg.Limits.QueueTime = time.Millisecond
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	none, over := `level=ERROR msg="no node available" cluster=chat`, `msg="a node is available again" cluster=chat`
	for outage := 1; outage <= 2; outage++ {
		nodes[0].Down()
		nodes[1].Down()
		for range 4 {
			if status, body := fetch(t, r.url("/socket.io/?EIO=4&transport=polling")); status != 503 {
				t.Fatalf("%d %q", status, body)
			}
		}
		nodes[1].Up()
		for end := time.Now().Add(patience); ; {
			if status, _ := fetch(t, r.url("/socket.io/?EIO=4&transport=polling")); status == 200 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the node that came back is not found")
			}
		}
		if strings.Count(log.String(), none) != outage || strings.Count(log.String(), over) != outage {
			t.Errorf("after %d outages the log says\n%s", outage, log.String())
		}
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestConnectionsBeyondTheLimit(t *testing.T) {
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Limits.Connections = 1
	r := start(t, cfg)
	open(t, r)
	resp, err := http.Get(r.url("/socket.io/?EIO=4&transport=polling"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestWhatCannotStartSaysWhy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, change := range map[string]func(*config.Config){
		"listen: ":       func(c *config.Config) { c.Listen = []config.Listener{{Address: taken.Addr().String()}} },
		"admin.listen: ": func(c *config.Config) { c.Admin.Listen = taken.Addr().String() },
		"affinity.redis: ": func(c *config.Config) {
			c.Affinity.Redis = "rediss://127.0.0.1:1/?ca=" + filepath.Join(t.TempDir(), "none.pem")
		},
	} {
		cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
		change(cfg)
		if r, err := replica.New(cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%sno error: %v", want, r.Addrs())
		} else if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q does not begin with %q", err, want)
		}
	}
}
