package e2e_test

import (
	"strings"
	"testing"
)

// One of two replicas is cut off from Redis behind a balancer that takes turns: each of them finds at the nodes the sessions that
// the other has bound, and when Redis is there again, those too that were made meanwhile go on.
func TestReplicaWithoutRedis(t *testing.T) {
	for name, p := range map[string]plan{"client 4.8": {Library: 4}, "client 2.5": {Library: 2}} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, pings{}, four(map[int]kind{4: node48, 2: node25}[p.Library])...)
			way := startFront(t, s.redis.Addr())
			alone := s.replicas[1]
			alone.kill()
			alone.reconfigure(t, s.redis.URL(), "redis://"+way.ln.Addr().String()+"/0")
			alone.run(t)
			p.URL, p.Window = s.front.url(), 2
			start := func(polling, upgrade, websocket int) *clients {
				p := p
				p.Modes = map[string]int{"polling": polling, "upgrade": upgrade, "websocket": websocket}
				c := startClients(t, p)
				c.connect(t)
				c.begin(t, pace)
				return c
			}
			old := start(20, 10, 5)
			eventually(t, "both replicas know every polling session", func() bool { return s.front.alternated(old.stats(t).mode("polling").Sessions) })
			says := func(text string) func() bool {
				return func() bool {
					_, status := s.replicas[0].adminPage("/api/status")
					return strings.Contains(status, text)
				}
			}
			eventually(t, "the replicas know each other", says(alone.listen))
			way.route() // to nowhere
			way.cut()
			eventually(t, "the other replica is missed", says("has not been heard"))
			young := start(30, 10, 5)
			young.sent(t, 600)
			old.sent(t, 300)
			way.route(s.redis.Addr())
			young.sent(t, 600)
			after := statsOf(t, s.nodes)
			young.finish(t).flaws(after).check(t)
			old.finish(t).flaws(after).check(t)
			found := 0
			for _, r := range s.replicas {
				found += r.metric(t, `sidway_searches_total{cluster="chat",outcome="found"}`)
			}
			if found < 30 {
				t.Errorf("only %d searches have found a session", found)
			}
			young.leave(t)
			old.leave(t)
		})
	}
}
