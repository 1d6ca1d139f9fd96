package replica_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// reloading is a replica whose configuration a test changes.
type reloading struct {
	*running
	t   *testing.T
	log lockedBuffer
	mu  sync.Mutex
	cfg *config.Config
	err error
}

func startReloading(t *testing.T, cfg *config.Config) *reloading {
	t.Helper()
	r := &reloading{t: t, cfg: cfg}
	rep, err := replica.New(cfg, slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	rep.Load = func() (*config.Config, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.cfg, r.err
	}
	r.running = run(t, rep)
	awaitReady(t, r.running)
	return r
}

// Proxies that everybody is one of are warned of at the start, and where a reload brings them.
func TestProxiesThatAreEverybodyAreWarnedOf(t *testing.T) {
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("0.0.0.0/0")}
	r := startReloading(t, cfg)
	const words = `trusted_proxies has everybody in it, so clients choose their own address, and limits.client_connections does not hold; write the addresses of your balancers alone" network=`
	warned := func(times int, network string) {
		t.Helper()
		affinitytest.Eventually(t, "a replica that serves", func() bool { return strings.Contains(r.log.String(), "msg=serving") })
		if log := r.log.String(); strings.Count(log, words) != times || !strings.Contains(log, words+network+"\n") {
			t.Errorf("not %d times: %s", times, log)
		}
	}
	warned(1, "0.0.0.0/0")
	r.must(func(c *config.Config) { c.AccessLog = true })
	r.must(func(c *config.Config) { c.TrustedProxies = c.TrustedProxies[:1] })
	warned(1, "0.0.0.0/0")
	r.must(func(c *config.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("::/0")} })
	warned(2, "::/0")
}

// change has a configuration loaded that is changed so.
func (r *reloading) change(change func(*config.Config)) error {
	r.mu.Lock()
	cfg := *r.cfg
	cfg.Clusters = append([]config.Cluster(nil), cfg.Clusters...)
	change(&cfg)
	r.cfg = &cfg
	r.mu.Unlock()
	return r.Reload("a test")
}

func (r *reloading) must(change func(*config.Config)) {
	r.t.Helper()
	if err := r.change(change); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reloading) metrics() string {
	_, page := fetch(r.t, r.adminURL("/metrics"))
	return page
}

// nodeOf is a node of a configuration.
func nodeOf(name string, n *engineiotest.Node) config.Node {
	return config.Node{Name: name, URL: n.URL(), Weight: 1}
}

func named(t *testing.T, name string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s
}

// Nodes, routes and limits follow the configuration; sessions go on.
func TestReload(t *testing.T) {
	a, b := engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})
	r := startReloading(t, settings(a))
	old := open(t, r.running)
	r.must(func(c *config.Config) { c.Clusters[0].Nodes = []config.Node{nodeOf("n1", a), nodeOf("n2", b)} })
	for range 3 {
		open(t, r.running)
	}
	if got := r.metrics(); !strings.Contains(got, `sidway_sessions{cluster="chat",node="n2"} 2`) {
		t.Error("the new node has not got its half of the sessions")
	}
	r.must(func(c *config.Config) {
		c.Clusters[0].Nodes = []config.Node{nodeOf("n2", b)}
		c.Clusters[0].Host = []string{"chat.example.com"}
		more := config.Cluster{Name: "more", Path: "/socket.io/", Balance: config.LeastSessions}
		more.Nodes = []config.Node{{Name: "m1", URL: named(t, "more").URL, Weight: 1}}
		c.Clusters = append(c.Clusters, more)
	})
	if _, body := fetch(t, r.url("/")); body != "more" {
		t.Errorf("the new route leads to %q", body)
	}
	old.Write(t.Context(), websocket.MessageText, []byte("4x"))
	if _, said, err := old.Read(t.Context()); err != nil || string(said) != "4x" {
		t.Errorf("a session on a node that went: %q %v", said, err)
	}
	if got := r.metrics(); strings.Contains(got, `node="n1"`) {
		t.Error("a node that went has metrics")
	}
	r.must(func(c *config.Config) { c.Clusters, c.AccessLog = c.Clusters[1:], true })
	affinitytest.Eventually(t, "a cluster that went has no metrics", func() bool { return !strings.Contains(r.metrics(), `cluster="chat"`) })
	fetch(t, r.url("/logged"))
	affinitytest.Eventually(t, "an access log", func() bool { return strings.Contains(r.log.String(), "path=/logged") })
}

// What cannot be is refused whole, and what is the same is no change.
func TestReloadOfABadConfiguration(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	r := startReloading(t, settings(node))
	for want, change := range map[string]func(*config.Config){
		"listen: listen tcp":                       func(c *config.Config) { c.Listen = []config.Listener{{Address: "192.0.2.1:0"}} },
		"admin.listen changes only with a restart": func(c *config.Config) { c.Admin.Listen = "127.0.0.1:1" },
		"is an address of sidway itself":           func(c *config.Config) { c.Clusters[0].Nodes = []config.Node{{Name: "own", URL: r.url("")}} },
		"affinity.redis":                           func(c *config.Config) { c.Affinity.Redis = "redis://:1:2" },
		"sidway.yaml:3: no":                        func(*config.Config) { r.err = errors.New("sidway.yaml:3: no") },
	} {
		before := r.cfg
		err := r.change(func(c *config.Config) {
			change(c)
			c.Clusters[0].Path = "/never/"
		})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(r.log.String(), want) {
			t.Errorf("%s: got %v", want, err)
		}
		r.cfg, r.err = before, nil
		open(t, r.running)
	}
	if err := r.Reload("a test"); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`sidway_reloads_total{outcome="refused"} 5`, `sidway_reloads_total{outcome="unchanged"} 1`} {
		if !strings.Contains(r.metrics(), want) {
			t.Errorf("not there: %s", want)
		}
	}
}

// A session that was made in memory is known to another replica when both use Redis.
func TestReloadToRedis(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	r := startReloading(t, settings(node))
	_, said := fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
	_, sid, _ := strings.Cut(said, `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	rdb := affinitytest.StartRedis(t)
	r.must(func(c *config.Config) { c.Affinity.Redis = rdb.URL() })
	affinitytest.Eventually(t, "the session is in Redis", func() bool { return rdb.Do("EXISTS", "sidway:chat:"+sid) == "1" })
	other := settings(node)
	other.Affinity.Redis = rdb.URL()
	second := start(t, other)
	awaitReady(t, second)
	post := func(to *running) (int, error) {
		res, err := http.Post(to.url("/socket.io/?EIO=4&transport=polling&sid="+sid), "text/plain", strings.NewReader("4x"))
		if err != nil {
			return 0, err
		}
		res.Body.Close()
		return res.StatusCode, nil
	}
	for name, to := range map[string]*running{"this replica": r.running, "another replica": second} {
		if status, err := post(to); status != 200 {
			t.Errorf("%s: %d %v", name, status, err)
		}
	}
	r.must(func(c *config.Config) { c.Affinity.Redis, c.Affinity.Cache = "", 100 })
	if status, err := post(r.running); status != 200 {
		t.Errorf("in memory again: %d %v", status, err)
	}
	if strings.Contains(r.metrics(), "sidway_store_up") {
		t.Error("the store that went has a metric")
	}
}

// A Redis that cannot be used is refused while the replica works, and one that takes another's place costs no readiness.
func TestReloadToABadRedis(t *testing.T) {
	good, locked := affinitytest.StartRedis(t), affinitytest.StartRedis(t)
	locked.Do("ACL", "SETUSER", "few", "on", ">x", "+ping", "+hello", "+client")
	as := func(user string) string { return strings.Replace(locked.URL(), "redis://", "redis://"+user+"@", 1) }
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = good.URL()
	r := startReloading(t, cfg)
	for name, url := range map[string]string{"nobody there": "redis://127.0.0.1:1", "a wrong password": as("few:y")} {
		if err := r.change(func(c *config.Config) { c.Affinity.Redis = url }); err == nil || !strings.Contains(err.Error(), "affinity.redis") {
			t.Errorf("%s: %v", name, err)
		}
		if status, body := fetch(t, r.adminURL("/readyz")); status != 200 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	open(t, r.running)

	// Its user may not do what sidway needs, which a greeting does not show.
	r.must(func(c *config.Config) { c.Affinity.Redis = as("few:x") })
	affinitytest.Eventually(t, "the Redis is known to refuse", func() bool { return strings.Contains(r.metrics(), `sidway_store_up{cluster="chat"} 0`) })
	if status, body := fetch(t, r.adminURL("/readyz")); status != 200 {
		t.Errorf("a replica that serves on: %d %s", status, body)
	}
	open(t, r.running)
}

// An outage is over when a reload names a Redis that answers, and the log says so. It also says what a reload changes.
func TestReloadEndsAnOutage(t *testing.T) {
	gone, good := affinitytest.StartRedis(t), affinitytest.StartRedis(t)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = gone.URL()
	r := startReloading(t, cfg)
	logged := func(want string) {
		t.Helper()
		affinitytest.Eventually(t, "the log says "+want, func() bool { return strings.Count(r.log.String(), want) == 1 })
	}
	gone.Kill()
	logged("so new bindings are kept here")
	r.must(func(c *config.Config) { c.Affinity.Redis, c.Limits.Queue = good.URL(), c.Limits.Queue+1 })
	logged(`msg="configuration reloaded" by="a test" changed="affinity.redis, limits.queue"`)
	logged(`msg="redis is used again" cluster=chat`)
}

// A thousand reloads under load end no connection, and leave nothing behind.
func TestReloadsUnderLoad(t *testing.T) {
	a, b := engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})
	rdb := affinitytest.StartRedis(t)
	cfg := settings(a)
	cfg.Affinity.Redis = rdb.URL()
	r := startReloading(t, cfg)
	var rounds atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		conn := open(t, r.running)
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn.Write(t.Context(), websocket.MessageText, []byte("4x"))
				if _, said, err := conn.Read(t.Context()); err != nil || string(said) != "4x" {
					t.Errorf("round %d: %q %v", rounds.Load(), said, err)
					return
				}
				rounds.Add(1)
				time.Sleep(10 * time.Millisecond) // the node remembers each message
			}
		})
	}
	lists := [][]config.Node{{nodeOf("n1", a), nodeOf("n2", b)}, {nodeOf("n1", a)}, {nodeOf("n2", b), nodeOf("n1", a)}}
	reload := func(n int) {
		for i := range n {
			r.must(func(c *config.Config) {
				c.Clusters[0].Nodes = lists[i%len(lists)]
				c.Clusters[0].MaxBody = int64(1000 + i)
				c.Limits.QueueTime = time.Duration(i+1) * time.Second
			})
		}
	}
	reload(100)
	goroutines, files, memory := runtime.NumGoroutine(), descriptors(), heap()
	reload(900)
	close(stop)
	clients.Wait()
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, and %d before", n, goroutines)
	}
	if n := descriptors(); n > files {
		t.Errorf("%d descriptors, and %d before", n, files)
	}
	if n := heap(); n > memory+memory/4 {
		t.Errorf("%d bytes, and %d before", n, memory)
	}
	t.Logf("%d rounds", rounds.Load())
}

func descriptors() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // a system that does not tell
	}
	return len(all)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
