package replica_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/api"
)

func statusOf(t *testing.T, r *running) (s api.Status) {
	t.Helper()
	code, text := call(t, r, "GET", "/api/status", "")
	if err := json.Unmarshal([]byte(text), &s); err != nil || code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	return s
}

// polling makes a session by polling and returns its sid.
func polling(t *testing.T, r *running) string {
	t.Helper()
	_, said := fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
	_, sid, _ := strings.Cut(said, `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	return sid
}

// upgraded has a session leave polling.
func upgraded(t *testing.T, r *running, sid string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(r.url("/socket.io/?EIO=4&transport=websocket&sid="+sid), "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	for _, say := range []string{"2probe", "5"} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(say)); err != nil {
			t.Fatal(err)
		}
		if say == "2probe" {
			if _, b, err := conn.Read(t.Context()); err != nil || string(b) != "3probe" {
				t.Fatalf("%q %v", b, err)
			}
		}
	}
	return conn
}

// The status counts what clients do, by the same counters as the metrics, and says what seems to be wrong.
func TestStatusCounts(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	r := start(t, settings(node))
	polls, upgrades, direct := polling(t, r), polling(t, r), open(t, r)
	conn := upgraded(t, r, upgrades)
	c := statusOf(t, r).Clusters[0]
	if n := c.Nodes[0]; n.Sessions != 3 || n.Polling != 1 || n.Sockets != 2 || n.Tunnels != 2 || n.Handshakes != 3 || n.Errors != 0 {
		t.Errorf("node: %+v", n)
	}
	if c.Handshakes != (api.Made{Made: 3}) || c.Upgrades != (api.Made{Made: 1}) || c.Tunnels != 2 || c.Old != (api.Old{}) || c.Ended != 0 {
		t.Errorf("cluster: %+v", c)
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
	_ = direct.CloseNow()
	affinitytest.Eventually(t, "both WebSockets have ended", func() bool { return statusOf(t, r).Clusters[0].Tunnels == 0 })
	fetch(t, r.url("/elsewhere/?EIO=4&transport=polling"))
	node.Down()
	fetch(t, r.url("/socket.io/?EIO=4&transport=polling&sid="+polls))
	fetch(t, r.url("/socket.io/?EIO=4&transport=polling&sid=unknown"))
	s := statusOf(t, r)
	c = s.Clusters[0]
	ends := c.Ends["node_closed"] + c.Ends["client_closed"]
	if ends != 2 || c.Ended != 3 || c.Nodes[0].Sessions != 0 || c.Nodes[0].Errors != 1 || c.Nodes[0].Why != "refused" || time.Since(c.Nodes[0].Since) > time.Minute {
		t.Errorf("%d ends, %d sessions, node: %+v", ends, c.Ended, c.Nodes[0])
	}
	if want := map[string]uint64{"session_gone": 1, "sid_unknown": 1}; !maps.Equal(c.Responses, want) {
		t.Errorf("responses %v, want %v", c.Responses, want)
	}
	if len(s.Faults) != 1 || s.Faults[0].Reason != "path" || s.Faults[0].Subject != "/elsewhere/" || s.Faults[0].Count != 1 || s.Faults[0].Text == "" || s.Faults[0].Cluster != "chat" {
		t.Errorf("faults: %+v", s.Faults)
	}
	if e := event(t, r, "fault"); e.Cluster != "chat" || e.Node != "" || !strings.HasSuffix(e.Text, "write it as the path of a cluster (/elsewhere/)") {
		t.Errorf("event: %+v", e)
	}
	if s.Replica.Token || len(s.Replicas) != 1 || !s.Replicas[0].Self {
		t.Errorf("replicas: %+v", s.Replicas)
	}
	_, metrics := fetch(t, r.adminURL("/metrics"))
	for _, line := range []string{
		`sidway_handshakes_total{cluster="chat",outcome="made",transport="polling"} 2`,
		`sidway_handshakes_total{cluster="chat",outcome="made",transport="websocket"} 1`,
		`sidway_local_responses_total{cluster="chat",node="n1",reason="session_gone"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// event awaits an event of a kind.
func event(t *testing.T, r *running, kind string) (e api.Event) {
	t.Helper()
	res, err := http.Get(r.adminURL("/api/events"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewScanner(res.Body)
	for its := false; in.Scan(); {
		switch what, value, _ := strings.Cut(in.Text(), ": "); {
		case what == "event":
			its = value == kind
		case what == "data" && its:
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				t.Fatal(err)
			}
			return e
		}
	}
	t.Fatalf("no event: %v", in.Err())
	return e
}

// Each replica says of all how they are, and those that end are forgotten.
func TestStatusOfAllReplicas(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	node := engineiotest.Start(t, engineiotest.Options{})
	var replicas []*running
	for i := range 3 {
		cfg := settings(node)
		cfg.Affinity.Redis = rdb.URL()
		r := start(t, cfg)
		awaitReady(t, r)
		for range i {
			open(t, r)
		}
		replicas = append(replicas, r)
	}
	seen := func(r *running) string {
		var all []string
		for _, p := range statusOf(t, r).Replicas {
			all = append(all, fmt.Sprint(p.Self, p.Sessions, p.Tunnels))
		}
		return strings.Join(all, " ")
	}
	affinitytest.Eventually(t, "the first sees the others", func() bool {
		s := seen(replicas[0])
		return s == "true 0 0 false 1 1 false 2 2" || s == "true 0 0 false 2 2 false 1 1"
	})
	replicas[2].stop()
	affinitytest.Eventually(t, "one stops", func() bool {
		_, text := call(t, replicas[0], "GET", "/api/status", "")
		return strings.Contains(text, `"stopping":true`) || seen(replicas[0]) == "true 0 0 false 1 1"
	})
	affinitytest.Eventually(t, "it has ended", func() bool { return seen(replicas[0]) == "true 0 0 false 1 1" })
}

// Clients that stay on polling are told of by the log as well, once, and while it is not known of any session there is no share. The log's level
// is the status's.
func TestClientsThatPollAreLogged(t *testing.T) {
	t.Parallel()
	for says, noUpgrades := range map[string]bool{
		`level=WARN msg="sessions poll that are older than half a minute" cluster=chat polling=20 of=20 why="the nodes offer no WebSocket;`: true,
		`level=INFO msg="sessions poll that are older than half a minute, as their clients seem to want it" cluster=chat polling=20`:        false,
	} {
		t.Run(fmt.Sprint(noUpgrades), func(t *testing.T) {
			t.Parallel()
			clientsPoll(t, noUpgrades, says)
		})
	}
}

func clientsPoll(t *testing.T, noUpgrades bool, says string) {
	t.Helper()
	node := engineiotest.Start(t, engineiotest.Options{PingInterval: 5 * time.Second, PingTimeout: 4 * time.Second, NoUpgrades: noUpgrades})
	var log lockedBuffer
	r := startLogged(t, settings(node), slog.New(slog.NewTextHandler(&log, nil)))
	awaitReady(t, r)
	handshakes(t, r, 20)
	sids := node.Sessions()
	if !noUpgrades {
		conn := upgraded(t, r, polling(t, r))
		go func() {
			for {
				if _, _, err := conn.Read(t.Context()); err != nil || conn.Write(t.Context(), websocket.MessageText, []byte("3")) != nil {
					return
				}
			}
		}()
	}
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(log.String(), "sessions poll that are older than half a minute"); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("not told: %+v", statusOf(t, r).Clusters[0].Old)
		}
		for _, sid := range sids {
			res, err := http.Get(r.url("/socket.io/?EIO=4&transport=polling&sid=" + sid)) // the node's pings answer it
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			res, err = http.Post(r.url("/socket.io/?EIO=4&transport=polling&sid="+sid), "text/plain", strings.NewReader("3"))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
		}
	}
	if !strings.Contains(log.String(), says) {
		t.Errorf("%s", log.String())
	}
	if old := statusOf(t, r).Clusters[0].Old; old.All < 20 || old.Polling != 20 {
		t.Errorf("%+v", old)
	}
}
