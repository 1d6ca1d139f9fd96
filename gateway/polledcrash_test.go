package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/cluster"
)

// startCrashing is startPair of nodes that keep sessions from their beginning, or not at all, with a client that polls through both replicas.
func startCrashing(t *testing.T, kept bool) (s, other *site, server *affinitytest.Redis, nodes []*restorer, p *poller) {
	t.Helper()
	s, other, server, nodes = startPair(t, false)
	for _, n := range nodes {
		n.is(func(f *restorerFaults) { f.keeps, f.forgets = kept, true })
	}
	long := redis.XAddArgs{Stream: "socket.io", ID: "1-0", Values: []string{"sidway", "first"}} // ago
	if err := server.Client().XAdd(t.Context(), &long).Err(); err != nil {
		t.Fatal(err)
	}
	p = s.joinPolledAt(other)
	for range 2 { // then both replicas know of it
		p.say("3")
	}
	return s, other, server, nodes, p
}

// crashes returns what the replicas have counted.
func crashes(outcome string, replicas ...*site) (sum float64) {
	for _, s := range replicas {
		sum += s.metric("sidway_moves_total", "crash", outcome)
	}
	return sum
}

// TestPolledCrash has a node die, or start anew at once, under a session that polls through two replicas and talks both ways. It goes on elsewhere: its client gets
// all events once and in order, and of its own messages no more is lost than the one that was on its way.
func TestPolledCrash(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]func(*restorer){"dies": (*restorer).die, "starts anew": (*restorer).restart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, other, server, nodes, p := startCrashing(t, true)
			rdb := server.Client()
			said := make(chan int)
			stop := again(5*time.Millisecond, func(i int) {
				p.emit(rdb, fmt.Sprintf("e%d", i))
				said <- i
			})
			stopSaying := again(7*time.Millisecond, func(i int) { p.say(fmt.Sprintf(`42["c%d"]`, i)) })
			for i := range said {
				if i == 60 {
					crash(nodes[0])
				}
				if i == 200 {
					break
				}
			}
			go func() {
				for range said {
				}
			}()
			count := stop()
			close(said)
			sent := stopSaying()
			p.gotAll(count)
			if n := crashes("moved", s, other); n != 1 {
				t.Errorf("%v moves are counted", n)
			}
			var all []string
			for _, n := range nodes {
				all = append(all, n.events()...)
			}
			last := -1
			for _, e := range all {
				var i int
				if fmt.Sscanf(e, `42["c%d"]`, &i); i <= last {
					t.Errorf("a node got %d behind %d", i, last)
				}
				last = i
			}
			if lost := sent - len(all); lost > 1 || last < sent-2 {
				t.Errorf("of %d messages %d were lost, the last that came is %d", sent, lost, last)
			}
			if got := s.sessions()["n1"] + other.sessions()["n1"]; got != 0 {
				t.Errorf("%d sessions are counted on n1", got)
			}
		})
	}
}

// TestPolledCrashUnkept: a client whose session nobody has kept is connected anew, without a disconnect.
func TestPolledCrashUnkept(t *testing.T) {
	t.Parallel()
	s, other, _, nodes, p := startCrashing(t, false)
	nodes[0].die()
	got := p.next()
	if !strings.HasPrefix(got, `40{"sid":`) {
		t.Fatalf("the client got %s", got)
	}
	if n := crashes("renewed", s, other); n != 1 {
		t.Errorf("%v are counted", n)
	}
	p.say(`42["on"]`)
	eventually(t, "it goes on", func() bool { return slices.Equal(nodes[1].events(), []string{`42["on"]`}) })
}

// TestPolledSilence: a node that answers nothing any more is left.
func TestPolledSilence(t *testing.T) {
	t.Parallel()
	s, other, server, nodes, p := startCrashing(t, true)
	p.emit(server.Client(), "e0")
	p.gotAll(1)
	nodes[0].is(func(f *restorerFaults) { f.hides = true })
	eventually(t, "its poll is ended", func() bool {
		for _, replica := range []*site{s, other} {
			replica.EndSessions(replica.clusters[0].Node("n1"), 1, cluster.Silence)
		}
		return crashes("moved", s, other) == 1
	})
	p.emit(server.Client(), "e1")
	if got := p.next(); !strings.HasPrefix(got, `42["e1"`) {
		t.Errorf("the client got %s", got)
	}
	p.say(`42["c0"]`)
	haveAll(t, nodes, 1)
}

// TestPolledCrashThatEnds: where no other node takes the session, or it is not known what its client has said, it ends as without moves.
func TestPolledCrashThatEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(s *site, server *affinitytest.Redis, nodes []*restorer, p *poller){
		"another node denies it": func(_ *site, _ *affinitytest.Redis, nodes []*restorer, _ *poller) {
			nodes[1].is(func(f *restorerFaults) { f.denies = true })
		},
		"nobody knows how it is connected": func(s *site, server *affinitytest.Redis, _ []*restorer, p *poller) {
			server.Client().Del(s.t.Context(), "sidway-notes:"+p.eio)
		},
		"Redis is away": func(_ *site, server *affinitytest.Redis, _ []*restorer, _ *poller) {
			server.Kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, other, server, nodes, p := startCrashing(t, true)
			c(s, server, nodes, p)
			nodes[0].die()
			if got := p.next(); got != "1" {
				t.Errorf("the client got %s", got)
			}
			if n := crashes("lost", s, other); n != 1 {
				t.Errorf("%v are counted", n)
			}
		})
	}
}

// TestOutdatedAcks: an acknowledgement that a node has asked for which has crashed does not reach the next one, which may have asked for another of the same
// number.
func TestOutdatedAcks(t *testing.T) {
	t.Parallel()
	s, other, _, nodes, p := startCrashing(t, true)
	for i := range 2 {
		nodes[0].tell(fmt.Sprintf(`42%d["q"]`, i))
		if got := p.next(); got != fmt.Sprintf(`42%d["q"]`, i) {
			t.Fatalf("the client got %s", got)
		}
	}
	nodes[0].die()
	eventually(t, "it goes on", func() bool { return crashes("moved", s, other) == 1 })
	p.say(`430["late"]` + "\x1e" + `42["c0"]`)
	nodes[1].tell(`420["q"]`)
	nodes[1].tell(`421["q"]`)
	for range 2 {
		p.next()
	}
	p.say(`430["new"]`)
	p.say(`431["new"]`)
	want := []string{`430["new"]`, `431["new"]`}
	eventually(t, "they come", func() bool { return len(nodes[1].acks()) >= len(want) })
	if got := nodes[1].acks(); !slices.Equal(got, want) {
		t.Errorf("the node got %q, want %q", got, want)
	}
	haveAll(t, nodes, 1)
}
