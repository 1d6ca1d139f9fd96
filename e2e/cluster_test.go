package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// startSmall starts three nodes behind one replica with these settings of their cluster.
func startSmall(t *testing.T, settings ...string) *site {
	t.Helper()
	s := &site{redis: affinitytest.StartRedis(t), nodes: startNodes(t, pings{}, node48, node48, node48)}
	s.replicas = []*replica{startReplica(t, s.redis.URL(), s.nodes, settings...)}
	s.front = startFront(t, s.replicas[0].listen)
	return s
}

// health sets how the node answers its probes.
func (n *node) health(t *testing.T, status int, says string) {
	t.Helper()
	n.ask(t, map[string]any{"cmd": "health", "status": status, "says": says}, &struct{}{})
}

// fact waits until a figure of a node has a value.
func (r *replica) fact(t *testing.T, figure string, n *node, want int) {
	t.Helper()
	series := fmt.Sprintf(`sidway_node_%s{cluster="chat",node="%s"}`, figure, n.name)
	eventually(t, fmt.Sprintf("%s is %d", series, want), func() bool { return r.metric(t, series) == want })
}

// made counts the sessions that each node made while f ran.
func made(t *testing.T, nodes []*node, f func()) []int {
	t.Helper()
	before, counts := statsOf(t, nodes), make([]int, len(nodes))
	f()
	for i, s := range statsOf(t, nodes) {
		counts[i] = s.Sessions - before[i].Sessions
	}
	return counts
}

// Probes keep new sessions away from nodes that say that they are ill, that want to be drained, and that are stopped; sessions
// which live there go on.
func TestProbedNodes(t *testing.T) {
	s := startSmall(t, "health: {path: /healthz, interval: 1s, timeout: 1s, rise: 1, fall: 2}", "pace: {slow_start: 0s}")
	replica, driver := s.replicas[0], s.startBusy(t, 100)
	come := func() {
		more := startClients(t, s.small(map[string]int{"polling": 8, "websocket": 8}))
		more.exchange(t, 2).flaws(nil).check(t)
		more.leave(t)
	}

	s.nodes[0].health(t, 503, "")
	replica.fact(t, "healthy", s.nodes[0], 0)
	if n := made(t, s.nodes, come); n[0] != 0 || n[1]+n[2] != 16 {
		t.Errorf("with an unhealthy node first, the nodes made %v sessions", n)
	}
	s.nodes[1].health(t, 200, "drain")
	replica.fact(t, "draining", s.nodes[1], 1)
	if n := made(t, s.nodes, come); n[0] != 0 || n[1] != 0 || n[2] != 16 {
		t.Errorf("with one unhealthy and one draining, the nodes made %v sessions", n)
	}
	s.nodes[0].health(t, 200, "ready")
	s.nodes[1].health(t, 200, "ready")
	replica.fact(t, "healthy", s.nodes[0], 1)
	replica.fact(t, "draining", s.nodes[1], 0)
	s.nodes[2].signal(t, syscall.SIGSTOP)
	replica.fact(t, "healthy", s.nodes[2], 0)
	s.nodes[2].signal(t, syscall.SIGCONT)
	replica.fact(t, "healthy", s.nodes[2], 1)
	driver.sent(t, 400)

	driver.finish(t).flaws(statsOf(t, s.nodes)).check(t)
	driver.leave(t)
}

// 300 clients at once wait for their turn and see no error; those of a killed node come back as the others may take them.
func TestPacedClients(t *testing.T) {
	const rate, burst = 20, 20
	s := startSmall(t, fmt.Sprintf("pace: {handshakes: %d/s, burst: %d, slow_start: 0s}", rate, burst))
	watch := &paces{t: t, rate: rate, burst: burst, seen: map[string][]sample{}}
	driver := startClients(t, s.small(map[string]int{"polling": 100, "upgrade": 100, "websocket": 100}))
	driver.begin(t, 500)
	back := func(nodes []*node) {
		eventually(t, "all are connected", func() bool {
			watch.look(nodes)
			for _, c := range driver.stats(t).Sessions {
				if !c.Connected {
					return false
				}
			}
			return true
		})
	}
	back(s.nodes)
	if n := spread(statsOf(t, s.nodes)); n > 10 {
		t.Errorf("one node has %d sessions more than another", n)
	}
	s.nodes[0].kill()
	eventually(t, "a session is cut", func() bool {
		return len(driver.stats(t).where(func(s session) bool { return s.Disconnects > 0 }).Sessions) > 0
	})
	back(s.nodes[1:])

	r := driver.finish(t)
	r.messageFlaws(statsOf(t, s.nodes[1:])).check(t)
	for _, c := range r.Sessions {
		if c.ConnectErrors != 0 || c.Disconnects > 1 || (c.Disconnects == 1) != (c.Nodes[0] == "n1") {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	driver.leave(t)
}

// The file brings a label and a release, then a mistake, then another node: no session sees any of it.
func TestChangedFile(t *testing.T) {
	s := startSmall(t, "pace: {slow_start: 0s}")
	replica, driver := s.replicas[0], s.startBusy(t, 100)
	come := func() {
		more := startClients(t, s.small(map[string]int{"polling": 10, "upgrade": 10, "websocket": 20}))
		more.exchange(t, 2).flaws(nil).check(t)
		more.leave(t)
	}
	reloads := func(outcome string, want int) {
		eventually(t, fmt.Sprintf("%d reloads %s", want, outcome), func() bool {
			return replica.metric(t, fmt.Sprintf("sidway_reloads_total{outcome=%q}", outcome)) == want
		})
	}

	third := s.nodes[2].address() + "}"
	replica.reconfigure(t, third, s.nodes[2].address()+", labels: {version: v2}}\n    release: {version: v2, share: 50%}")
	replica.signal(t, syscall.SIGHUP)
	reloads("applied", 1)
	if n := made(t, s.nodes, come); n[2] != 20 || n[0]+n[1] != 20 {
		t.Errorf("with half of the new sessions for the third node, the nodes made %v", n)
	}
	replica.reconfigure(t, "share: 50%", "share: 500%")
	reloads("refused", 1)
	if n := made(t, s.nodes, come); n[2] != 20 || n[0]+n[1] != 20 {
		t.Errorf("after a reload that was refused, the nodes made %v", n)
	}
	fourth := startNode(t, node48, "n4", pings{})
	replica.reconfigure(t, "release: {version: v2, share: 500%}", fmt.Sprintf("  - {name: n4, url: http://%s}", fourth.address()))
	reloads("applied", 2)
	if n := made(t, append(s.nodes, fourth), come); n[3] < 20 {
		t.Errorf("with an empty node, the nodes made %v", n)
	}
	driver.sent(t, 200)
	driver.finish(t).flaws(statsOf(t, s.nodes)).check(t)
	driver.leave(t)
}

// Sessions that ask for the same room meet on one node, as far as the nodes' load allows.
func TestHashedRooms(t *testing.T) {
	s := startSmall(t, "balance: hash", "hash_by: query:room", "pace: {slow_start: 0s}")
	p := s.small(map[string]int{"polling": 30, "upgrade": 30, "websocket": 60})
	p.Rooms = 30
	driver := startClients(t, p)
	r := driver.exchange(t, 3)
	r.flaws(statsOf(t, s.nodes)).check(t)

	rooms, nodes := map[int]map[string]bool{}, map[string]int{}
	for i, c := range r.Sessions {
		if rooms[i%30] == nil {
			rooms[i%30] = map[string]bool{}
		}
		rooms[i%30][c.Nodes[0]] = true
		nodes[c.Nodes[0]]++
	}
	whole := 0
	for _, on := range rooms {
		if len(on) == 1 {
			whole++
		}
	}
	if whole < 12 { // by chance one of 27 would be
		t.Errorf("%d of 30 rooms of four sessions are on one node", whole)
	}
	for name, n := range nodes {
		if n > 52 { // a quarter more than 40, and what comes at the same time
			t.Errorf("%s has %d of 120 sessions", name, n)
		}
	}
	driver.leave(t)
}

// What a cluster says of headers, files and its absence holds beside its sessions.
func TestHeadersFilesMaintenance(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"app.js": "let it = 1", "app.js.gz": "packed", "sorry.html": "<p>back soon"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startSmall(t, "request_headers: {set: {X-Env: test}, remove: [X-Debug]}",
		fmt.Sprintf("static: {/assets/: {dir: %q, max_age: 1h}}", dir), fmt.Sprintf("maintenance: %q", filepath.Join(dir, "sorry.html")))
	driver, c := s.startBusy(t, 100), browser(t)
	get := func(path string, headers ...string) page {
		q := request(t, http.MethodGet, s.front.url()+path, nil)
		for i := 0; i < len(headers); i += 2 {
			q.Header.Set(headers[i], headers[i+1])
		}
		return fetch(t, c, q)
	}
	if p := get("/upload", "X-Debug", "1", "X-Env", "mine"); !strings.Contains(p.body, `"x-env":"test"`) || strings.Contains(p.body, "x-debug") {
		t.Errorf("the node got %s", p.body)
	}
	p := get("/assets/app.js")
	if p.status != 200 || p.body != "let it = 1" || p.header.Get("Cache-Control") != "max-age=3600" {
		t.Errorf("file: %+v", p)
	}
	if p := get("/assets/app.js", "If-None-Match", p.header.Get("ETag")); p.status != 304 {
		t.Errorf("the same file again: %+v", p)
	}
	if p := get("/assets/app.js", "Accept-Encoding", "gzip"); p.header.Get("Content-Encoding") != "gzip" || p.body != "packed" {
		t.Errorf("packed file: %+v", p)
	}
	if p := get("/assets/app.js", "Range", "bytes=4-5"); p.status != 206 || p.body != "it" {
		t.Errorf("part of a file: %+v", p)
	}
	driver.finish(t).flaws(statsOf(t, s.nodes)).check(t)
	driver.leave(t)

	for _, n := range s.nodes {
		n.kill()
	}
	s.replicas[0].reconfigure(t, "queue_time: 20s", "queue_time: 1s")
	s.replicas[0].signal(t, syscall.SIGHUP)
	if p := get("/"); p.status != 503 || p.body != "<p>back soon" {
		t.Errorf("page without nodes: %+v", p)
	}
	if p := get("/socket.io/?EIO=4&transport=polling"); p.status != 503 || strings.Contains(p.body, "back soon") {
		t.Errorf("handshake without nodes: %+v", p)
	}
	if p := get("/assets/app.js"); p.status != 200 {
		t.Errorf("file without nodes: %+v", p)
	}
}
