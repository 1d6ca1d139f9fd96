package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// api asks the replica's API, and fails the test unless the answer is 200; into may be nil.
func (r *replica) api(t *testing.T, method, path, body string, into any) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, text, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
}

// paces watches that nodes get no more new sessions than their pace allows: burst at once and rate a second.
type paces struct {
	t           *testing.T
	rate, burst float64
	mu          sync.Mutex
	seen        map[string][]sample
}

type sample struct {
	at       time.Time
	sessions int
}

func (p *paces) look(nodes []*node) {
	for _, n := range nodes {
		before := time.Now() // what was made since is counted with the next look at the latest
		made := n.stats(p.t).Sessions
		p.mu.Lock()
		for _, s := range p.seen[n.name] {
			if most := p.burst + p.rate*time.Since(s.at).Seconds(); float64(made-s.sessions) > most+1 {
				p.t.Errorf("%s got %d sessions within %v, its pace allows %.0f", n.name, made-s.sessions, time.Since(s.at), most)
			}
		}
		p.seen[n.name] = append(p.seen[n.name], sample{before, made})
		p.mu.Unlock()
	}
}

// All nodes are replaced one after the other while 400 sessions are busy, by drains alone: with one node more than before and a
// release that sends new sessions to those that are new, each session comes back once, by itself, and nothing else is seen.
func TestRollingRestartByDrain(t *testing.T) {
	const rate, burst = 50, 100
	s := &site{nodes: startNodes(t, pings{}, four(node48)...)}
	s.redis = affinitytest.StartRedis(t)
	for range 2 {
		s.replicas = append(s.replicas, startReplica(t, s.redis.URL(), s.nodes,
			fmt.Sprintf("pace: {handshakes: %d/s, burst: %d, slow_start: 0s}", rate, burst), "health: {}"))
	}
	s.front = startFront(t, s.replicas[0].listen, s.replicas[1].listen)
	watch := &paces{t: t, rate: rate, burst: burst, seen: map[string][]sample{}}
	driver := startClients(t, s.small(map[string]int{"polling": 134, "upgrade": 133, "websocket": 133}))
	driver.connect(t)
	driver.begin(t, 500)
	driver.sent(t, 400)

	operator := s.replicas[0]
	path := func(name string) string { return "/api/clusters/chat/nodes/" + name }
	put := func(n *node) {
		operator.api(t, "PUT", path(n.name), fmt.Sprintf(`{"url": "http://%s", "labels": {"version": "v2"}}`, n.address()), nil)
	}
	fresh := startNode(t, node48, "n5", pings{})
	put(fresh)
	operator.api(t, "PUT", "/api/clusters/chat/release", `{"label": "version", "value": "v2", "share": "100%"}`, nil)
	live := []*node{fresh}
	for _, old := range s.nodes {
		operator.api(t, "POST", path(old.name)+"/drain", `{"deadline": "0s"}`, nil)
		eventually(t, old.name+" is empty", func() bool {
			watch.look(live)
			var n struct{ Total int }
			operator.api(t, "GET", path(old.name), "", &n)
			return n.Total == 0
		})
		old.kill()
		again := startNode(t, node48, old.name, pings{})
		put(again)
		operator.api(t, "DELETE", path(old.name)+"/drain", "", nil)
		live = append(live, again)
	}
	eventually(t, "all sessions are back", func() bool {
		watch.look(live)
		for _, c := range driver.stats(t).Sessions {
			if !c.Connected || c.Connects != 2 {
				return false
			}
		}
		return true
	})
	driver.sent(t, 400)

	r := driver.finish(t)
	r.messageFlaws(statsOf(t, live)).check(t)
	for _, c := range r.Sessions {
		if c.Disconnects != 1 || c.ConnectErrors != 0 || len(c.Events) != 1 || !strings.HasSuffix(c.Events[0], "disconnect: transport close") {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	driver.leave(t)
}
