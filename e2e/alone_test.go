package e2e_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// link is a way to an address that can be cut.
type link struct {
	to   string
	addr string

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]struct{}
	work  sync.WaitGroup
}

func startLink(t *testing.T, to string) *link {
	t.Helper()
	k := &link{to: to, addr: freeAddress(t), conns: map[net.Conn]struct{}{}}
	k.mend(t)
	t.Cleanup(func() { k.cut(); k.work.Wait() })
	return k
}

// mend lets connections come, as at first.
func (k *link) mend(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", k.addr)
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	k.l = l
	k.mu.Unlock()
	k.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.work.Go(func() { k.pass(c) })
		}
	})
}

// cut ends all connections, and refuses others.
func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.l.Close()
	for c := range k.conns {
		c.Close()
	}
}

func (k *link) pass(c net.Conn) {
	far, err := net.Dial("tcp", k.to)
	if err != nil {
		c.Close()
		return
	}
	k.mu.Lock()
	k.conns[c], k.conns[far] = struct{}{}, struct{}{}
	k.mu.Unlock()
	k.work.Go(func() { _, _ = io.Copy(far, c); far.Close() })
	_, _ = io.Copy(c, far)
	c.Close()
	k.mu.Lock()
	delete(k.conns, c)
	delete(k.conns, far)
	k.mu.Unlock()
}

// One of two replicas is cut off from Redis behind a balancer that takes turns: each of them finds at the nodes the sessions that
// the other has bound, and when Redis is there again, those too that were made meanwhile go on.
func TestReplicaWithoutRedis(t *testing.T) {
	for name, p := range map[string]plan{"client 4.8": {Library: 4}, "client 2.5": {Library: 2}} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, pings{}, four(map[int]kind{4: node48, 2: node25}[p.Library])...)
			way := startLink(t, s.redis.Addr())
			alone := s.replicas[1]
			alone.kill()
			alone.reconfigure(t, s.redis.URL(), "redis://"+way.addr+"/0")
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
			way.cut()
			eventually(t, "the other replica is missed", says("has not been heard"))
			young := start(30, 10, 5)
			young.sent(t, 600)
			old.sent(t, 300)
			way.mend(t)
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
