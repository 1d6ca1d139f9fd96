package e2e_test

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// A node stands still for much longer than its heartbeats allow. With sessions.heartbeat no client sees it, and all that was sent comes
// through; without, clients are disconnected. With MOVE_STILL, a time as 60s, it stands still for so long, with Socket.IO's own heartbeats.
func TestNodeStandsStill(t *testing.T) {
	for _, shielded := range []bool{true, false} {
		t.Run(map[bool]string{true: "heartbeat", false: "without"}[shielded], func(t *testing.T) {
			m := &moveSite{site: &site{redis: affinitytest.StartRedis(t)}, kinds: []kind{moveNode}}
			still, err := time.ParseDuration(os.Getenv("MOVE_STILL"))
			beat := []string{"PING_INTERVAL=1500", "PING_TIMEOUT=1500"}
			if err == nil {
				beat = nil
			}
			n := startMoveNode(t, moveNode, m.redis.Addr(), "n1", "", 0, beat...)
			m.nodes = []*node{n}
			m.publisher = startMoveNode(t, moveNode, m.redis.Addr(), "publisher", "", 0)
			var settings []string
			if shielded {
				settings = append(settings, "sessions: {heartbeat: true}")
			}
			r := startReplica(t, m.redis.URL(), m.nodes, settings...)
			m.replicas = []*replica{r}
			sessions := moveNumber(t, "MOVE_SESSIONS", 20)
			m.plan = movePlan{URL: "http://" + r.listen, Modes: moveModes(sessions, "upgrade", "websocket"), Rooms: 2, Period: movePeriod}
			m.begin(t)

			n.ask(t, map[string]any{"cmd": "freeze"}, &struct{}{})
			beats := func() int { return r.metric(t, `sidway_heartbeat_seconds_count{cluster="chat"}`) }
			before := beats()
			disconnected := func() bool {
				var report moveReport
				m.movers.ask(t, map[string]any{"cmd": "stats"}, &report)
				return slices.ContainsFunc(report.Sessions, func(s mover) bool { return s.Disconnects > 0 })
			}
			if !shielded {
				eventually(t, "a client is disconnected", disconnected)
				return
			}
			if still > 0 {
				time.Sleep(still)
			} else {
				eventually(t, "each client is pinged six times meanwhile", func() bool { return beats()-before > 6*sessions })
			}
			n.signal(t, syscall.SIGCONT)
			m.received(t, 20)
			report, nodes := m.end(t)
			report.flaws(nodes, false).check(t)
		})
	}
}
