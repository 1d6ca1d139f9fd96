package e2e_test

import (
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// A node may be several processes behind something that hands each connection to one of them by the first request on it.
// Requests of other sessions on that connection would reach the wrong process.
func TestNodeThatRoutesByConnection(t *testing.T) {
	n := &node{process: start(t, command{name: "sticky", talks: true, argv: []string{"node", "testdata/sticky.mjs"}}), name: "n1"}
	var ready struct{ Port int }
	n.hear(t, &ready)
	n.port = ready.Port
	r := startReplica(t, affinitytest.StartRedis(t).URL(), []*node{n}, "keep_alive: false")

	driver := startClients(t, plan{
		URL: scheme + r.listen, Library: 4, SharedAgent: true,
		Modes: map[string]int{"polling": 30, "upgrade": 30, "websocket": 10},
	})
	got := driver.exchange(t, 20)
	if want := 20 * len(got.Sessions); got.acked() != want || len(got.Sessions) != 70 {
		t.Errorf("%d of %d messages acknowledged in %d sessions", got.acked(), want, len(got.Sessions))
	}
	for _, s := range got.Sessions {
		if s.ConnectErrors+s.Disconnects > 0 || s.Mode == "upgrade" && s.Transport != "websocket" {
			t.Errorf("%s: %d errors, %d disconnects, by %s: %v", s.Name, s.ConnectErrors, s.Disconnects, s.Transport, s.Events)
		}
	}
	driver.leave(t)
}
