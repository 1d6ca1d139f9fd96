package e2e_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"
)

// busy is what the sessions of a fault test are, and how often each sends, in milliseconds.
var busy = map[string]int{"polling": 24, "upgrade": 24, "websocket": 12}

const pace = 60

// sent waits until the sessions together have this many more answers than before.
func (c *clients) sent(t *testing.T, more int) {
	t.Helper()
	before := c.stats(t).acked()
	eventually(t, "the sessions go on", func() bool { return c.stats(t).acked() >= before+more })
}

// startBusy starts busy sessions and returns when they have had so many answers.
func (s *site) startBusy(t *testing.T, answers int) *clients {
	t.Helper()
	c := startClients(t, s.small(busy))
	c.connect(t)
	c.begin(t, pace)
	c.sent(t, answers)
	return c
}

// A replica that is started later, and one that is started again, serve sessions that they never saw.
func TestReplicaServesSessionsThatItNeverSaw(t *testing.T) {
	s := startSite(t, pings{interval: 2 * time.Second, timeout: 10 * time.Second}, four(node48)...)
	first, second := s.replicas[0], s.replicas[1]
	second.kill()
	s.front.route(first.listen)
	driver := startClients(t, s.small(map[string]int{"polling": 60}))
	driver.connect(t)
	driver.begin(t, pace)
	driver.sent(t, 120)

	second.run(t)
	s.front.route(second.listen)
	eventually(t, "the replica started later has served every session", func() bool {
		return s.front.servedBy(second.listen) == 60
	})

	first.signal(t, syscall.SIGTERM)
	if code := first.exit(t); code != 0 {
		t.Errorf("a replica without sessions ended with %d", code)
	}
	first.run(t)
	before := second.metric(t, `sidway_requests_total{cluster="chat",kind="poll"}`)
	s.front.route(first.listen)
	eventually(t, "the replica started again serves", func() bool {
		return first.metric(t, `sidway_requests_total{cluster="chat",kind="poll"}`) > 600
	})
	t.Logf("the other one had served %d polls", before)

	driver.finish(t).flaws(statsOf(t, s.nodes)).check(t)
	driver.leave(t)
	s.checkAllLeft(t)
}

// A node that is killed takes its own sessions with it, and no others; they are back on other nodes by their next try.
func TestKilledNode(t *testing.T) {
	s := startSite(t, pings{}, four(node48)...)
	driver := s.startBusy(t, 200)

	victim := s.nodes[1]
	victim.kill()
	hit := func(r report) report { return r.where(func(s session) bool { return s.Nodes[0] == victim.name }) }
	eventually(t, "the sessions of the killed node are back elsewhere", func() bool {
		for _, s := range hit(driver.stats(t)).Sessions {
			if !s.Connected || len(s.Nodes) < 2 {
				return false
			}
		}
		return true
	})
	driver.sent(t, 200)

	r := driver.finish(t)
	rest := []*node{s.nodes[0], s.nodes[2], s.nodes[3]}
	r.messageFlaws(statsOf(t, rest)).check(t)
	r.where(func(s session) bool { return s.Nodes[0] != victim.name }).flaws(nil).check(t)
	for _, s := range hit(r).Sessions {
		if s.Disconnects != 1 || s.ConnectErrors != 0 || s.Nodes[len(s.Nodes)-1] == victim.name {
			t.Errorf("session of the killed node: %+v", s)
		}
	}
	if n := len(hit(r).Sessions); n < 10 {
		t.Errorf("only %d sessions were on the killed node", n)
	}
	driver.leave(t)
}

// A node that is stopped for longer than it keeps idle connections, and then goes on, loses none of its sessions: not even
// what was sent to it on connections that it closes the moment that it goes on.
func TestStoppedNode(t *testing.T) {
	s := startSite(t, pings{}, four(node48)...)
	driver := s.startBusy(t, 200)

	node := s.nodes[1]
	node.signal(t, syscall.SIGSTOP)
	for began := time.Now(); time.Since(began) < 8*time.Second; {
		driver.sent(t, 100) // by the others
	}
	node.signal(t, syscall.SIGCONT)
	driver.sent(t, 600)

	driver.finish(t).flaws(statsOf(t, s.nodes)).check(t)
	driver.leave(t)
	s.checkAllLeft(t)
}

// Redis dies and comes back empty: sessions go on, and new ones may be made meanwhile.
func TestRedisKilledAndBackEmpty(t *testing.T) {
	s := startSite(t, pings{}, four(node48)...)
	old := startClients(t, s.small(busy))
	old.connect(t)
	old.begin(t, pace)
	eventually(t, "both replicas know every polling session", func() bool {
		return s.front.alternated(old.stats(t).mode("polling").Sessions)
	})

	s.redis.Kill()
	old.sent(t, 600)
	young := startClients(t, s.small(map[string]int{"websocket": 12}))
	young.exchange(t, 20).flaws(nil).check(t)
	// A polling session needs the other replica at once: that one finds it at its node.
	found := startClients(t, s.small(map[string]int{"polling": 12, "upgrade": 12}))
	found.begin(t, pace)
	eventually(t, "handshakes are made without Redis", func() bool {
		made := 0
		for _, n := range statsOf(t, s.nodes) {
			made += n.Sessions
		}
		return made >= 60+12+24
	})
	found.sent(t, 240)
	s.redis.Restart()
	found.sent(t, 240)
	old.sent(t, 600)

	after := statsOf(t, s.nodes)
	found.finish(t).flaws(after).check(t)
	old.finish(t).flaws(after).check(t)
	// What the replicas knew is in the new Redis again, so that a replica that knows nothing can serve it.
	eventually(t, "the bindings of live polling sessions are in Redis again", func() bool {
		return s.redis.Client().DBSize(t.Context()).Val() >= int64(busy["polling"])
	})
	for _, c := range []*clients{old, young, found} {
		c.leave(t)
	}
	s.checkAllLeft(t)
}

// SIGTERM: not ready first, so that balancers notice; polls end by themselves; WebSockets end by FIN and come back by the
// other replica; then the process ends well.
func TestReplicaEndsGracefully(t *testing.T) {
	s := startSite(t, pings{interval: 2 * time.Second, timeout: 10 * time.Second}, four(node48)...)
	driver := s.startBusy(t, 300)

	leaver, stayer := s.replicas[0], s.replicas[1]
	tunnels := leaver.metric(t, `sidway_tunnels{cluster="chat"}`)
	leaver.signal(t, syscall.SIGTERM)
	eventually(t, "the replica says that it is not ready", func() bool {
		status, _ := leaver.adminPage("/readyz")
		return status == http.StatusServiceUnavailable
	})
	s.front.route(stayer.listen)
	if code := leaver.exit(t); code != 0 {
		t.Errorf("the replica ended with %d", code)
	}
	driver.sent(t, 300)
	leaver.run(t)
	s.front.route(leaver.listen, stayer.listen)
	driver.sent(t, 300)

	r := driver.finish(t)
	r.messageFlaws(statsOf(t, s.nodes)).check(t)
	r.mode("polling").flaws(nil).check(t)
	cut := 0
	for _, s := range r.Sessions {
		cut += s.Disconnects
		if s.Disconnects > 1 || s.ConnectErrors > 0 || !s.Connected {
			t.Errorf("session cut more than once: %+v", s)
		}
	}
	if cut != tunnels || cut == 0 {
		t.Errorf("%d sessions were cut, want the %d whose WebSocket ran through the replica", cut, tunnels)
	}
	driver.leave(t)
	s.checkAllLeft(t)
}
