package gateway_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

// watch has a session watched by replicas, or not any more.
func watch(sid string, watched bool, replicas ...*site) {
	for _, s := range replicas {
		since := map[string]time.Time{}
		if watched {
			since[sid] = time.Now()
		}
		s.clusters[0].Sessions.Watch(since)
	}
}

// order tries at all replicas to move a session until something becomes of it but busy, or for as long as try says.
func order(t *testing.T, o gateway.PolledOrder, try func() bool, replicas ...*site) (m gateway.PolledMove) {
	t.Helper()
	became := make(chan gateway.PolledMove, 1)
	eventually(t, "something becomes of the order", func() bool {
		for _, s := range replicas {
			if s.MovePolled(s.clusters[0], o, func(m gateway.PolledMove) { became <- m }) {
				m = <-became
				return m.Outcome != "busy" || !try()
			}
		}
		return !try()
	})
	return m
}

func untilDone() bool { return true }

// TestOrderedMovesOfPolled moves a session that polls to and fro, whose requests come to two replicas in turn.
func TestOrderedMovesOfPolled(t *testing.T) {
	t.Parallel()
	s, other, server, nodes := startPair(t, false)
	p, rdb := s.joinPolledAt(other), server.Client()
	const rounds, each = 4, 20
	var talk sync.WaitGroup
	due := make(chan struct{})
	talk.Go(func() {
		defer close(due)
		for i := range rounds * each {
			if i%each == each/2 {
				due <- struct{}{}
			}
			p.emit(rdb, fmt.Sprintf("e%d", i))
			p.say(fmt.Sprintf(`42["c%d"]`, i))
			if i%each == each/2+5 { // no message that was on its way when it began to be watched is left
				due <- struct{}{}
			}
		}
	})
	for i := range rounds {
		<-due
		watch(p.eio, true, s, other)
		<-due
		from, to := nodes[i%2].name, nodes[(i+1)%2].name
		if m := order(t, gateway.PolledOrder{SID: p.eio, From: from, To: to}, untilDone, s, other); m != (gateway.PolledMove{Node: to, Outcome: "moved"}) {
			t.Errorf("move %d to %s: %+v", i, to, m)
		}
		if i%2 == 0 {
			watch(p.eio, false, s, other)
		}
	}
	for range due {
	}
	talk.Wait()
	p.gotAll(rounds * each)
	haveAll(t, nodes, rounds*each)
	if n := s.metric("sidway_moves_total", "moved") + other.metric("sidway_moves_total", "moved"); n != rounds {
		t.Errorf("%v moves are counted", n)
	}
}

// TestOrdersThatFail: an order is of one session, on one node, and to a node that there is; and while an acknowledgement is pending nothing becomes of it.
func TestOrdersThatFail(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	p := s.joinPolled()
	once := func() bool { return false }
	refused := gateway.PolledMove{Node: "n1", Outcome: "refused"}
	busy := gateway.PolledMove{Node: "n1", Outcome: "busy"}
	to := gateway.PolledOrder{SID: p.eio, From: "n1", To: "n2"}
	if m := order(t, to, once, s); m != (gateway.PolledMove{}) {
		t.Errorf("of a session that nobody watches: %+v", m)
	}
	watch(p.eio, true, s)
	for what, c := range map[string]struct {
		o    gateway.PolledOrder
		want gateway.PolledMove
	}{
		"another session":     {gateway.PolledOrder{SID: "another", From: "n1", To: "n2"}, gateway.PolledMove{}},
		"on another node":     {gateway.PolledOrder{SID: p.eio, From: "n2", To: "n1"}, gateway.PolledMove{}},
		"to a node of nobody": {gateway.PolledOrder{SID: p.eio, From: "n1", To: "n9"}, refused},
	} {
		if m := order(t, c.o, once, s); m != c.want {
			t.Errorf("%s: %+v, want %+v", what, m, c.want)
		}
	}
	nodes[1].is(func(f *restorerFaults) { f.refuses = true })
	if m := order(t, to, untilDone, s); m != refused {
		t.Errorf("to a node that refuses: %+v", m)
	}
	nodes[1].is(func(f *restorerFaults) { f.refuses = false })
	eventually(t, "acknowledgements are told", func() bool {
		c := s.clusters[0]
		return c.Sessions.WatchedFor(p.eio, c.Node("n1")) > 1100*time.Millisecond
	})
	p.say(`421["unanswered"]`)
	tries := 0
	if m := order(t, to, func() bool { tries++; return tries < 3 }, s); m != busy {
		t.Errorf("with an acknowledgement pending: %+v", m)
	}
}
