package main

import (
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/api"
)

func TestPage(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	node := func(name string, total int, handshakes, errors uint64) api.Node {
		return api.Node{Name: name, Healthy: true, Share: 1, Total: total, Polls: total / 10, Handshakes: handshakes, Errors: errors, Probe: &api.Probe{Took: 0.002}}
	}
	now := &api.Status{
		At: at, Headline: "n2 of chat is unhealthy: refused", Problems: []api.Problem{{Level: "bad", Text: "n2 of chat is unhealthy: refused"}, {Level: "info", Text: "n3 of chat is drained"}},
		Replica: api.Replica{Name: "gw1/:8080", Version: "v1.2.3", Started: at.Add(-90 * time.Minute), Connections: 1200, Limit: 8776, Tunnels: 900},
		Replicas: []api.Peer{
			{Name: "gw1/:8080", Self: true, Started: at.Add(-90 * time.Minute), Sessions: 1000, Connections: 1200, Tunnels: 900},
			{Name: "gw2/:8080", Version: "v1.2.2", Started: at.Add(-50 * time.Hour), Heard: 12},
			{Name: "gw3/:8080", Version: "v1.2.3", Started: at, Tunnels: 7, Heard: 1, Unready: "no node was found"},
			{Name: "gw4/:8080", Version: "v1.2.3", Started: at, Heard: 1},
			{Name: "gw5/:8080", Version: "v1.2.3", Started: at, Heard: 1, Stopping: true},
		},
		Store: api.Store{Kind: "redis"},
		Clusters: []api.Cluster{{
			Name: "chat", Path: "/socket.io/", Balance: "least_sessions", Waiting: 7, Handshakes: api.Made{Made: 150}, Upgrades: api.Made{Made: 97, Refused: 3},
			Old: api.Old{All: 200, Polling: 30}, Ended: 70, Ends: map[string]uint64{"node_closed": 40, "client_idle": 9}, Moves: map[string]uint64{"moved": 1200, "busy": 2, "lost": 0},
			Nodes: []api.Node{node("n1", 1200, 90, 0), node("n2", 0, 30, 12), node("n3", 300, 30, 0), node("n4", 0, 0, 0)},
		}},
	}
	now.Clusters[0].Nodes[1].Healthy, now.Clusters[0].Nodes[1].Probe = false, &api.Probe{Reason: "refused"}
	now.Clusters[0].Nodes[1].Since = at.Add(-3 * time.Minute)
	now.Clusters[0].Nodes[2].Draining = true
	now.Clusters[0].Nodes[3].Weight, now.Clusters[0].Nodes[3].Share = 4, 0.1739
	before := *now
	before.At = at.Add(-2 * time.Second)
	before.Clusters = []api.Cluster{{
		Name: "chat", Handshakes: api.Made{Made: 100}, Ended: 60, Ends: map[string]uint64{"node_closed": 20, "client_idle": 9},
		Nodes: []api.Node{node("n1", 1190, 40, 0), node("n2", 0, 30, 2), node("n3", 300, 30, 0)},
	}}

	want := `n2 of chat is unhealthy: refused
  info  n3 of chat is drained

gw1/:8080  v1.2.3, up 1h30m, 1,200 connections (limit 8,776), 900 WebSockets, bindings in redis (cannot be used)

chat  /socket.io/, least_sessions
  1,500 sessions: 1,350 by WebSocket, 150 poll; 25.0 new/s; 5.0 ended/s; upgrades accepted by nodes 97%; older than 30 s and polling 15%; 7 wait for their turn
  WebSockets ended: node_closed 10.0/s
  sessions moved to other nodes by this replica: busy 2, moved 1,200
  NODE  STATE               WEIGHT  SESSIONS                POLLING  NEW/S  ERRORS/S  PROBE
  n2    unhealthy for 3m0s       1         0                      0    0.0       5.0  refused
  n3    draining                 1       300  ###                30    0.0       0.0  2 ms
  n1    healthy                  1     1,200  ############      120   25.0       0.0  2 ms
  n4    warming up            0.17         0                      0    0.0       0.0  2 ms

  REPLICA    VERSION     UP  CONNECTIONS  WEBSOCKETS  STATE
  gw1/:8080  -        1h30m        1,200         900  ready (this one)
  gw2/:8080  v1.2.2    2d2h            0           0  silent for 12 s
  gw3/:8080  v1.2.3      0s            0           7  alive, not ready
  gw4/:8080  v1.2.3      0s            0           0  ready
  gw5/:8080  v1.2.3      0s            0           0  stopping
`
	if got := (page{}).of(&before, now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	now.Clusters[0].Mute = 7
	now.Clusters[0].Recent = api.Recent{Seconds: 65, Made: 130, Ended: 13, Ends: map[string]uint64{"node_closed": 26}, Nodes: map[string]api.Grew{"n1": {Handshakes: 130}, "n2": {Errors: 13}}}
	minute := (page{}).of(minuteBefore(now), now)
	for _, words := range []string{"; 2.0 new/s; 0.2 ended/s (of the last 65 s); upgrades", "; 7 WebSockets carried nothing;", "  WebSockets ended: node_closed 0.4/s\n", "120    1.4       0.0  2 ms\n", "  0    0.0       0.2  refused\n"} {
		if !strings.Contains(minute, words) {
			t.Errorf("with what the replica knows of the last minute no %q in\n%s", words, minute)
		}
	}
	now.Clusters[0].Recent, now.Clusters[0].Mute = api.Recent{}, 0
	if minuteBefore(now) != nil {
		t.Error("a replica that knows nothing of a minute ago is believed")
	}
	alone := (page{}).of(nil, now)
	if !strings.Contains(alone, "; - new/s; - ended/s;") || strings.Contains(alone, "WebSockets ended") {
		t.Errorf("without a status before:\n%s", alone)
	}
	more := *now
	more.Headline, more.Problems = "n2 of chat is unhealthy: refused (and 1 more problem)", append(now.Problems[:1:1], api.Problem{Level: "warn", Text: "n1 of chat fails requests"})
	if got := (page{}).of(nil, &more); !strings.HasPrefix(got, more.Headline+"\n  warn  n1 of chat fails requests\n\n") {
		t.Errorf("of two problems:\n%s", got)
	}
	small := page{color: true, width: 40, height: 8}.of(&before, now)
	lines := strings.Split(strings.TrimSuffix(small, "\n"), "\n")
	if len(lines) != 7 || !strings.Contains(lines[6], "15 lines more") {
		t.Errorf("for 8 lines of 40 columns:\n%s", small)
	}
	if lines[0] != "\x1b[31mn2 of chat is unhealthy: refused\x1b[0m" || lines[3] != "\x1b[1mgw1/:8080\x1b[0m  v1.2.3, up 1h30m, 1,200 conne" {
		t.Errorf("for 40 columns:\n%q", lines)
	}
}

// A node that asks for less than its weight is not said to warm up for ever.
func TestStateOfANodeThatAsksForLess(t *testing.T) {
	for _, tt := range []struct {
		asks, share float64
		want        string
	}{
		{1, 4, "healthy"},
		{1, 1.7, "warming up"},
		{0, 0, "asks for 0%"},
		{0.5, 2, "asks for 50%"},
		{0.5, 0.7, "warming up"},
		{0.01, 0.04, "asks for 1%"},
	} {
		n := api.Node{Healthy: true, Weight: 4, Share: tt.share}
		if tt.asks < 1 {
			n.Asks = &tt.asks
		}
		if got, _ := stateOf(&n, time.Now()); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
