package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/cluster"
)

// poller is a client that polls.
type poller struct {
	member
	site  *site
	url   string
	also  string // the address of another replica, which has each second request; "": none
	asked atomic.Int32
	http  http.Client
	posts sync.Mutex
	ctx   context.Context
}

// joinPolled begins a session that polls on n1.
func (s *site) joinPolled() *poller {
	s.t.Helper()
	return s.joinPolledAt(nil)
}

// joinPolledAt begins one that has another replica serve each second request, unless it is nil.
func (s *site) joinPolledAt(other *site) *poller {
	s.t.Helper()
	for _, n := range s.clusters[0].Nodes()[1:] {
		s.clusters[0].SetDraining(n, true)
		defer s.clusters[0].SetDraining(n, false)
	}
	p := &poller{
		member: member{t: s.t, got: make(chan string, 10_000)}, site: s,
		url:  ownScheme + "://" + s.addr + "/socket.io/?EIO=4&transport=polling",
		http: http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS}},
	}
	var stop context.CancelFunc
	p.ctx, stop = context.WithCancel(context.Background())
	done := make(chan struct{})
	var open, connected struct{ SID string }
	p.read(p.ask("GET", "")[1:], &open)
	p.url += "&sid=" + open.SID
	p.say(`40{"token":"x"}`)
	p.read(p.ask("GET", "")[2:], &connected)
	p.eio, p.sid = open.SID, connected.SID
	if other != nil {
		p.also = other.addr
	}
	go func() {
		defer close(done)
		for {
			payload := p.ask("GET", "")
			for text := range strings.SplitSeq(payload, "\x1e") {
				switch text {
				case "":
					return
				case "1":
					p.got <- text
					return
				case "2":
					p.pings.Add(1)
					p.say("3")
				case "6":
				default:
					p.got <- text
				}
			}
		}
	}()
	s.t.Cleanup(func() {
		stop()
		<-done
	})
	return p
}

// ask returns the body of a 200, and otherwise "".
func (p *poller) ask(method, body string) string {
	url := p.url
	if p.asked.Add(1)%2 == 0 && p.also != "" {
		url = strings.Replace(url, p.site.addr, p.also, 1)
	}
	q, err := http.NewRequestWithContext(p.ctx, method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := p.http.Do(q)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 {
		p.got <- fmt.Sprintf("%s is answered %d %s", method, res.StatusCode, b)
		return ""
	}
	return string(b)
}

func (p *poller) say(text string) {
	p.posts.Lock()
	defer p.posts.Unlock()
	p.ask("POST", text)
}

// drain has the sessions of a node moved until none is left there.
func (s *site) drain(from *cluster.Node) {
	s.t.Helper()
	s.unload(from, s.clusters[0].SetDraining)
}

// unload does so for another reason.
func (s *site) unload(from *cluster.Node, set func(*cluster.Node, bool)) {
	s.t.Helper()
	set(from, true)
	defer set(from, false)
	eventually(s.t, "its sessions are elsewhere", func() bool {
		s.EndSessions(from, 100, cluster.Unload)
		time.Sleep(20 * time.Millisecond)
		return s.sessions()[from.Name] == 0
	})
}

// TestMovePolled moves a session that polls to and fro while it talks both ways.
func TestMovePolled(t *testing.T) {
	t.Parallel()
	s, server, nodes := startRestorers(t, 2)
	p, rdb := s.joinPolled(), server.Client()
	stop := again(10*time.Millisecond, func(i int) {
		p.emit(rdb, fmt.Sprintf("e%d", i))
		p.say(fmt.Sprintf(`42["c%d"]`, i))
	})
	const rounds = 4
	for i := range rounds {
		if from := s.clusters[0].Nodes()[i%2]; i < 2 {
			s.drain(from)
		} else {
			s.unload(from, s.clusters[0].SetUnloading)
		}
	}
	said := stop()
	p.gotAll(said)
	haveAll(t, nodes, said)
	if n := s.metric("sidway_moves_total", "moved"); n != rounds {
		t.Errorf("%v moves are counted", n)
	}
	if p.pings.Load() < rounds {
		t.Errorf("the client was pinged %d times", p.pings.Load())
	}
}

// TestPolledMovesThatFail has steps of a move go wrong: the session stays, or its client is connected anew without a disconnect, or it ends.
func TestPolledMovesThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before  func(old, next *restorer, p *poller, server *affinitytest.Redis)
		outcome string
		renewed bool
		lost    bool
	}{
		"the new node refuses": {func(_, next *restorer, _ *poller, _ *affinitytest.Redis) {
			next.is(func(f *restorerFaults) { f.refuses = true })
		}, "refused", false, false},
		"the event does not come": {func(old, _ *restorer, _ *poller, _ *affinitytest.Redis) {
			old.is(func(f *restorerFaults) { f.hides = true })
		}, "no_barrier", false, false},
		"the session is kept late": {func(old, _ *restorer, _ *poller, _ *affinitytest.Redis) {
			old.is(func(f *restorerFaults) { f.late = 300 * time.Millisecond })
		}, "moved", false, false},
		"the session is not kept": {func(old, _ *restorer, _ *poller, _ *affinitytest.Redis) {
			old.is(func(f *restorerFaults) { f.forgets = true })
		}, "renewed", true, false},
		"the new node denies it": {func(_, next *restorer, _ *poller, _ *affinitytest.Redis) {
			next.is(func(f *restorerFaults) { f.denies = true })
		}, "lost", false, true},
		"an answer takes a while": {func(_, _ *restorer, p *poller, _ *affinitytest.Redis) {
			time.Sleep(1800 * time.Millisecond) // the move is tried when the drain is two seconds old
			p.say(`421["slowly"]`)
		}, "moved", false, false},
		"an answer is pending": {func(_, _ *restorer, p *poller, _ *affinitytest.Redis) {
			time.Sleep(1100 * time.Millisecond) // of what is asked for in the first second of a drain nothing is known
			p.say(`421["unanswered"]`)
		}, "busy", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, server, nodes := startRestorers(t, 2)
			p := s.joinPolled()
			first := s.clusters[0].Nodes()[0]
			s.clusters[0].SetDraining(first, true)
			c.before(nodes[0], nodes[1], p, server)
			eventually(t, "it has come to its end", func() bool {
				s.EndSessions(first, 1, cluster.Unload)
				time.Sleep(20 * time.Millisecond)
				return s.metric("sidway_moves_total", c.outcome) > 0
			})
			nodes[0].is(func(f *restorerFaults) { f.hides = false })
			on := nodes[0]
			switch {
			case c.lost:
				if got := p.next(); got != "1" {
					t.Errorf("the client got %q", got)
				}
				return
			case c.renewed:
				if got := p.next(); !strings.HasPrefix(got, `40{"sid":`) {
					t.Errorf("the client got %q", got)
				}
				on = nodes[1]
			case c.outcome == "moved":
				on = nodes[1]
			}
			p.say(`42["after"]`)
			eventually(t, "the session goes on", func() bool {
				events := on.events()
				return len(events) > 0 && events[len(events)-1] == `42["after"]`
			})
			if strings.HasPrefix(name, "an answer takes") {
				if got := p.next(); got != "431[]" {
					t.Errorf("the client got %q", got)
				}
			}
			if !c.renewed {
				p.emit(server.Client(), "hello")
				if got := p.next(); !strings.HasPrefix(got, `42["hello",`) {
					t.Errorf("the client got %q", got)
				}
			}
		})
	}
}

// Requests of a session that another replica has moved find it, whether or not this one knows that its node is drained.
func TestMovedByAnotherReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ drains, due bool }{
		"that knows of the drain":  {true, false},
		"that does not":            {false, false},
		"that renews what it has":  {false, true},
		"that renews in the drain": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, other, server, nodes := startPair(t, c.due)
			p := s.joinPolled()
			through := p.through(other)
			through.say(`42["before"]`)
			if c.drains {
				other.clusters[0].SetDraining(other.clusters[0].Nodes()[0], true)
			}
			s.drain(s.clusters[0].Nodes()[0])
			through.say(`42["after"]`)
			p.emit(server.Client(), "hello")
			if got := p.next(); !strings.HasPrefix(got, `42["hello",`) {
				t.Errorf("the client got %q", got)
			}
			if a, b := nodes[0].events(), nodes[1].events(); len(a) != 1 || len(b) != 1 || b[0] != `42["after"]` {
				t.Errorf("the nodes got %q and %q", a, b)
			}
		})
	}
}

// The answers of a client that asks much come before the event through the stream does.
func TestPolledMoveOfAClientThatAsks(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	p := s.joinPolled()
	nodes[0].is(func(f *restorerFaults) { f.lags = 100 * time.Millisecond })
	stop := again(5*time.Millisecond, func(i int) {
		p.say(fmt.Sprintf(`42%d["c"]`, i))
	})
	s.drain(s.clusters[0].Nodes()[0])
	said := stop()
	for i := range said {
		if got, want := p.next(), fmt.Sprintf("43%d[]", i); got != want {
			t.Fatalf("the client got %q, want %q", got, want)
		}
	}
	if n := s.metric("sidway_moves_total", "moved"); n != 1 {
		t.Errorf("%v moves are counted", n)
	}
}

// The old node dies before another one is chosen.
func TestPolledMoveOffANodeThatDies(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	p := s.joinPolled()
	first := s.clusters[0].Nodes()[0]
	first.Follows.Store(true)
	nodes[0].is(func(f *restorerFaults) { f.lags = time.Second })
	s.clusters[0].SetDraining(first, true)
	time.Sleep(2100 * time.Millisecond) // sessions that poll move when a drain is two seconds old
	eventually(t, "its move begins", func() bool { return s.EndSessions(first, 1, cluster.Unload) > 0 })
	p.say(`421["asked"]`) // the answer comes before the event
	time.Sleep(100 * time.Millisecond)
	nodes[0].crash()
	p.next()
	eventually(t, "its end is counted", func() bool { return s.metric("sidway_moves_total", "lost")+s.metric("sidway_moves_total", "left") == 1 })
	if n := s.metric("sidway_panics_total"); n > 0 {
		t.Errorf("%v panics", n)
	}
}

// A node that has not read all of the stream restores a session with events that it sends again when it reads them.
func TestPolledMoveToANodeThatLags(t *testing.T) {
	t.Parallel()
	s, server, nodes := startRestorers(t, 2)
	p, rdb := s.joinPolled(), server.Client()
	nodes[1].is(func(f *restorerFaults) { f.hides = true })
	stop := again(2*time.Millisecond, func(i int) {
		p.emit(rdb, fmt.Sprintf("e%d", i))
	})
	var work sync.WaitGroup
	work.Go(func() {
		eventually(t, "it is restored", func() bool { return nodes[1].has(p.sid) })
		time.Sleep(100 * time.Millisecond)
		nodes[1].is(func(f *restorerFaults) { f.hides = false })
	})
	s.drain(s.clusters[0].Nodes()[0])
	said := stop()
	work.Wait()
	p.emit(rdb, fmt.Sprintf("e%d", said))
	p.gotAll(said + 1)
	if n := s.metric("sidway_moves_total", "moved"); n != 1 {
		t.Errorf("%v moves are counted", n)
	}
}
