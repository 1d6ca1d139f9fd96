package control_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/control"
)

const (
	silence = 45 * time.Second
	ttl     = silence + silence/2
)

// pair is two replicas, the bindings that they share, and how many sessions there really are.
type pair struct {
	t *testing.T
	*control.Pair
	mu    sync.Mutex
	bound map[string]time.Time // when a binding was written last
	live  map[string]bool
}

// startPair has two replicas count sessions until the test ends, each telling the other one once a second.
func startPair(t *testing.T) *pair {
	p := &pair{t: t, Pair: control.NewPair(control.NewNodes(chat("n1", "n2"), func() {}), control.NewNodes(chat("n1", "n2"), func() {})), bound: map[string]time.Time{}, live: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i, n := range p.Nodes {
		running.Go(func() {
			_ = n.Cluster.Sessions.Run(ctx, func(_ context.Context, sid string) time.Time {
				p.mu.Lock()
				bound, there := p.bound[sid]
				p.mu.Unlock()
				if !there || time.Since(bound) >= ttl {
					return time.Time{}
				}
				return n.Cluster.Sessions.Gone(sid, bound, silence, bound.Add(ttl))
			})
		})
		running.Go(func() {
			time.Sleep(time.Duration(100+470*i) * time.Millisecond)
			for ctx.Err() == nil {
				p.Share(i)
				time.Sleep(time.Second)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return p
}

// open makes a session at the first replica.
func (p *pair) open(sid string) {
	c := p.Nodes[0].Cluster
	n := c.Node("n1")
	c.Join(n)
	p.bind(sid)
	c.Sessions.Open(sid, n, time.Now().Add(ttl))
	p.live[sid] = true
}

func (p *pair) bind(sid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bound[sid] = time.Now()
}

// upgrade has a session's WebSocket come to the second replica.
func (p *pair) upgrade(sid string) {
	c := p.Nodes[1].Cluster
	c.Sessions.Upgraded(sid, c.Node("n1"), p.bound[sid].Add(ttl), ttl-silence)
}

func (p *pair) end(sid string) {
	p.Nodes[1].Cluster.Sessions.End(sid)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.bound, sid)
	delete(p.live, sid)
}

// drain drains n1 at both replicas, at the second a little later.
func (p *pair) drain() {
	for _, n := range p.Nodes {
		node := n.Cluster.Node("n1")
		n.Cluster.SetDraining(node, true)
		n.Cluster.Sessions.Recheck(node)
		time.Sleep(600 * time.Millisecond)
	}
}

// watch looks at both replicas all the time: neither may count fewer sessions than there are, nor more than so many more.
func (p *pair) watch(when string, d time.Duration, more int) {
	p.t.Helper()
	wrong := map[string]bool{}
	for began := time.Now(); time.Since(began) < d; time.Sleep(50 * time.Millisecond) {
		synctest.Wait()
		for i, n := range p.Nodes {
			s := n.Cluster.Statuses()[0]
			if got, want := s.All(), len(p.live); got < want || got > want+more {
				wrong[fmt.Sprintf("%s: replica %d counts %d of %d sessions", when, i+1, got, want)] = true
			}
		}
	}
	for text := range wrong {
		p.t.Error(text)
	}
}

func sids(kind string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(kind, i))
	}
	return all
}

// What polled at one replica and upgraded at another counts once when its binding expires there, whoever else polls.
func TestUpgradedElsewhereCountsOnceUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPair(t)
		polls := sids("polls", 4)
		for _, sid := range append(sids("upgrades", 11), polls...) {
			p.open(sid)
		}
		time.Sleep(300 * time.Millisecond)
		for _, sid := range sids("upgrades", 11) {
			p.upgrade(sid)
		}
		time.Sleep(3 * time.Second)
		for range 7 {
			p.watch("nothing is drained", 18*time.Second, 0)
			for _, sid := range polls {
				p.bind(sid)
				p.Nodes[0].Cluster.Sessions.Polled(sid)
			}
		}
	})
}

// While a node is drained, what polls there is looked at before its binding expires. Nobody may be told that the node is empty.
func TestUpgradedElsewhereCountsWhileItsNodeIsDrained(t *testing.T) {
	for _, after := range []time.Duration{3, 15, 40, 55} {
		t.Run(fmt.Sprint(int(after), " s later"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startPair(t)
				for _, sid := range append(sids("upgrades", 3), "polls") {
					p.open(sid)
				}
				time.Sleep(200 * time.Millisecond)
				for _, sid := range sids("upgrades", 3) {
					p.upgrade(sid)
				}
				time.Sleep(after * time.Second)
				polls := func() {
					p.bind("polls")
					p.Nodes[0].Cluster.Sessions.Polled("polls")
					for _, n := range p.Nodes {
						n.Cluster.Sessions.Heard("polls", n.Cluster.Node("n1"))
					}
				}
				polls()
				p.drain()
				for range 3 {
					p.watch("drained", 9*time.Second, 3) // which are counted twice for some seconds
					polls()
				}
				p.end("upgrades0")
				p.Nodes[0].Cluster.Sessions.Recheck(p.Nodes[0].Cluster.Node("n1"))
				for range 9 {
					p.watch("one has ended", 9*time.Second, 4)
					polls()
				}
				p.watch("in the end", 5*time.Second, 0)
			})
		})
	}
}
