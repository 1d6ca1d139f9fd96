package main_test

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/page"
)

// crowd is a made-up cluster that the status page is shown: of so many nodes and replicas, with something wrong here and there unless
// it is well.
type crowd struct {
	nodes, replicas int
	second          int // nodes of another cluster
	well            bool
	away            bool // Redis is
	began           time.Time
	cluster         string
}

const hostile = `<img src=x onerror="document.title='broken in'">`

// status is how the crowd is at a time.
func (c crowd) status(at time.Time) api.Status {
	t := at.Sub(c.began).Seconds()
	wave := func(i int) float64 { return 1 + 0.12*math.Sin(t/40+float64(i)) + 0.03*math.Sin(t/7+float64(3*i)) }
	s := api.Status{
		At: at, Store: api.Store{Kind: "redis", Up: true},
		Replica: api.Replica{Name: "sidway-1/0.0.0.0:8080", Version: "v1.4.0", Started: c.began, Connections: 9120, Limit: 20_000, Tunnels: 8800},
		Faults:  []api.Fault{},
	}
	for i := range c.replicas {
		r := api.Peer{
			Name: fmt.Sprintf("sidway-%d/0.0.0.0:8080", i+1), Version: "v1.4.0", Started: c.began.Add(-time.Duration(i) * 37 * time.Minute), Self: i == 0,
			Connections: int64(9000 * wave(i)), Limit: 20_000, Tunnels: int(8700 * wave(i)), Sessions: int(9100 * wave(i)), Heard: 0.4,
		}
		if !c.well && i == 3 {
			r.Heard = 12
		}
		if !c.well && i == 5 {
			r.Stopping = true
		}
		s.Replicas = append(s.Replicas, r)
	}
	if c.away {
		s.Store.Up, s.Store.Error = false, "affinity.redis: cluster chat: Redis refuses this replica: WRONGPASS invalid username-password pair or user is disabled."
	}
	if !c.well {
		s.Faults = append(s.Faults, api.Fault{
			Cluster: c.cluster, Reason: "slow_node", Subject: "n4", Count: 311, Last: at.Add(-4 * time.Second),
			Text: "a node takes more than a second to answer POSTs of its sessions: is it busy, or short of CPU?",
		})
	}
	s.Clusters = append(s.Clusters, c.clusterOf(c.cluster, c.nodes, at, wave))
	if c.second > 0 {
		s.Clusters = append(s.Clusters, c.clusterOf("feed", c.second, at, wave))
		s.Clusters[1].Waiting = 212
	}
	return s
}

func (c crowd) clusterOf(name string, nodes int, at time.Time, wave func(int) float64) api.Cluster {
	t := at.Sub(c.began).Seconds()
	k := api.Cluster{
		Name: name, Hosts: []string{"chat.example.com"}, Path: "/socket.io/", Balance: "least_sessions",
		Handshakes: api.Made{Made: uint64(100_000 + 30*t + 60*math.Sin(t/20))}, Upgrades: api.Made{Made: uint64(90_000 + 26*t), Refused: uint64(40 + t/30)},
		Old: api.Old{All: 88_000, Polling: 1930}, Ended: uint64(90_000 + 28*t), Tunnels: int(8800 * wave(2)),
		Ends:      map[string]uint64{"node_closed": uint64(70_000 + 20*t), "client_closed": uint64(12_000 + 6*t), "client_idle": uint64(900 + t/4), "shutdown": 0, "drained": 1200},
		Responses: map[string]uint64{"sid_unknown": uint64(311 + t/10), "session_gone": 96, "version_mismatch": 3},
	}
	for i := range nodes {
		k.Nodes = append(k.Nodes, c.node(i, at, wave(i)))
	}
	return k
}

func (c crowd) node(i int, at time.Time, wave float64) api.Node {
	t := at.Sub(c.began).Seconds()
	total := int(3000 * wave)
	n := api.Node{
		Name: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("10.0.%d.%d:3001", i/250, i%250+11), Weight: 1, Share: 1, Source: "configuration", Healthy: true,
		Labels: map[string]string{"version": "v2"}, Total: total, Polls: total / 30, Sessions: total / c.replicas, Leases: int64(total / c.replicas),
		Handshakes: uint64(5000 + t*30/float64(c.nodes)), Probe: &api.Probe{At: at.Add(-2 * time.Second), Took: 0.003},
	}
	if c.well {
		return n
	}
	switch i {
	case 1:
		began, over := at.Add(-time.Minute), at.Add(-20*time.Second)
		n.Since = began
		n.Draining, n.Drain, n.Total, n.Polls = true, &api.Drain{Since: began, Deadline: &over, Rate: 150, Done: &at}, total/3, total/40
	case 2:
		n.Since = at.Add(-7 * time.Second)
		n.Healthy, n.Total, n.Polls, n.Errors = false, 120, 40, uint64(100+2*t)
		n.Probe.Reason = hostile
	case 3:
		n.Polls = total / 4
	case 5:
		n.Asks, n.Share, n.Total, n.Polls = new(0.0), 0, 0, 0
	case 6:
		n.Share, n.Total = 0.35, total/3
	}
	return n
}

// show serves the status page of the crowd. A page that comes gets the last minutes at once, as if it had been open.
func (c crowd) show(t *testing.T) string {
	t.Helper()
	c.began = time.Now().Add(-5 * time.Minute)
	if c.cluster == "" {
		c.cluster = "chat"
	}
	events := &api.Events{}
	at := func(when func() time.Time) http.Handler {
		return api.New(api.Options{Status: func() api.Status { return c.status(when()) }, Events: events, Log: slog.New(slog.DiscardHandler)})
	}
	for _, v := range []api.Event{
		{Kind: "reload", Text: "applied"},
		{Kind: "drain", Node: "n2", Text: "1,204 sessions, 150/s, done at 14:32:05"},
		{Kind: "healthy", Node: "n9"},
		{Kind: "unhealthy", Node: "n3", Text: "probes find it unhealthy: " + hostile},
		{Kind: "ejected", Node: "n4", Text: "refused"},
		{Kind: "works_again", Node: "n4"},
		{Kind: "fault", Node: "n4", Text: "several servers answer at the address of a node"},
	} {
		v.Cluster = c.cluster
		events.Add(v)
	}
	now := at(time.Now)
	mux := http.NewServeMux()
	mux.Handle("/{$}", page.Handler())
	mux.Handle("/page/", page.Handler())
	mux.HandleFunc("/api/status/stream", func(w http.ResponseWriter, q *http.Request) {
		past := c.began
		then := at(func() time.Time { return past })
		for ; past.Before(time.Now()); past = past.Add(time.Second) {
			one := httptest.NewRecorder()
			then.ServeHTTP(one, httptest.NewRequest("GET", "/api/status", nil))
			fmt.Fprintf(w, "event: status\ndata: %s\n\n", one.Body)
		}
		now.ServeHTTP(w, q)
	})
	mux.Handle("/api/", now)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}
