package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/guard"
)

// TestHeartbeats: the node and the client have one each, so that neither hears of the other's, at a new node too.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	s, server, nodes := startRestorers(t, 2, func(r *gateway.Route) { r.Heartbeat = true })
	nodes[0].is(func(f *restorerFaults) { f.beats = 20 * time.Millisecond })
	m := s.join()
	const beats = 5
	eventually(t, "the client is pinged, though its node is silent", func() bool { return m.pings.Load() >= beats })
	if n := nodes[0].heard(); n > 0 {
		t.Errorf("the node hears %d pongs and has sent no ping", n)
	}
	eventually(t, "their answers are timed", func() bool { return s.metric("sidway_heartbeat_seconds") >= beats })
	nodes[0].ping()
	eventually(t, "the node's ping is answered", func() bool { return nodes[0].heard() == 1 })
	if now, outcome := s.move(m, "n2"); now != "n2" || outcome != "moved" {
		t.Fatalf("%s, on %s", outcome, now)
	}
	before := m.pings.Load()
	eventually(t, "the client is pinged behind a move", func() bool { return m.pings.Load() >= before+beats })
	nodes[1].ping()
	eventually(t, "the new node's ping is answered", func() bool { return nodes[1].heard() == 1 })
	m.emit(server.Client(), "e")
	if got := m.next(); !strings.HasPrefix(got, `42["e",`) {
		t.Errorf("the client got %s", got)
	}
	if n := nodes[0].heard(); n != 1 {
		t.Errorf("the old node heard %d pongs", n)
	}
}

// TestFramesAreGuarded: no packet that would harm a node reaches it whole, and its session ends. Where a rule only reports, it passes.
func TestFramesAreGuarded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   guard.Rule
		packet string
	}{
		{guard.Attachments, `45999-["harm"]`},
		{guard.EventName, `42[{"toString":"harm"}]`},
	} {
		for _, reports := range []bool{false, true} {
			s, _, nodes := startRestorers(t, 1, func(r *gateway.Route) {
				r.Recovery = nil
				if r.Guard.Frames = true; reports {
					r.Guard.Report.Add(c.rule)
				}
			})
			m := s.join()
			m.say(`42["before"]`)
			m.say(c.packet)
			m.say(`42["behind"]`)
			outcome, want := "refused", `42["before"]`
			if reports {
				outcome, want = "reported", want+" "+c.packet+` 42["behind"]`
			} else if got := m.next(); got != "" {
				t.Errorf("%s: the client got %s", c.rule, got)
			}
			eventually(t, "the node has what it may get", func() bool { return strings.Join(nodes[0].events(), " ") == want })
			eventually(t, "it is counted", func() bool { return s.metric("sidway_guard_total", c.rule.String(), outcome) == 1 })
			if !reports {
				eventually(t, "so is the tunnel", func() bool { return s.metric("sidway_tunnels_ended_total", "guard") == 1 })
				if got := nodes[0].events(); len(got) != 1 {
					t.Errorf("%s: the node got %q", c.rule, got)
				}
			}
			m.CloseNow()
		}
	}
}

// TestSessionsThatAreOnlyGuarded are ended by a drain, and cannot be moved.
func TestSessionsThatAreOnlyGuarded(t *testing.T) {
	t.Parallel()
	s, _, _ := startRestorers(t, 2, func(r *gateway.Route) { r.Recovery, r.Guard.Frames = nil, true })
	m := s.join()
	if _, _, _, err := s.MoveSession(t.Context(), m.eio, "n2"); err != gateway.ErrNotMoved {
		t.Errorf("a move: %v", err)
	}
	if ended := s.EndSessions(s.clusters[0].Node("n1"), 1, cluster.Drain); ended != 1 {
		t.Errorf("a drain ends %d sessions", ended)
	}
	if got := m.next(); got != "" {
		t.Errorf("the client got %s", got)
	}
}

// TestWatchPackets: who looks sees each packet, and how long acknowledgements took, until the session ends.
func TestWatchPackets(t *testing.T) {
	t.Parallel()
	for _, shows := range []bool{false, true} {
		s, server, _ := startRestorers(t, 2, func(r *gateway.Route) { r.ShowPayloads = shows })
		m := s.join()
		ctx, cancel := context.WithCancel(t.Context())
		first, err := s.WatchPackets(ctx, m.eio)
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.WatchPackets(t.Context(), m.eio)
		if err != nil {
			t.Fatal(err)
		}
		m.say(`427["hello","x"]`)
		for _, c := range []<-chan gateway.Packet{first, second} {
			asked, answer := <-c, <-c
			if asked.Type != "event" || asked.Event != "hello" || asked.ID != 7 || asked.From.String() != "client" || asked.Took != 0 {
				t.Errorf("seen: %+v", asked)
			}
			if answer.Type != "ack" || answer.ID != 7 || answer.From.String() != "node" || answer.Took <= 0 {
				t.Errorf("seen: %+v", answer)
			}
			if want := map[bool]string{true: `["hello","x"]`}[shows]; asked.Payload != want {
				t.Errorf("payload %q, want %q", asked.Payload, want)
			}
		}
		cancel()
		for range first {
			t.Error("seen behind the end")
		}
		if now, outcome := s.move(m, "n2"); now != "n2" || outcome != "moved" {
			t.Fatalf("%s, on %s", outcome, now)
		}
		m.emit(server.Client(), "e")
		if p := <-second; p.Type == "ping" { // of the move
			p = <-second
			if p.Event != "e" {
				t.Errorf("seen behind a move: %+v", p)
			}
		} else if p.Event != "e" {
			t.Errorf("seen behind a move: %+v", p)
		}
		m.CloseNow()
		for range second { // until it is closed
		}
	}
}

// TestWatchNobody: what cannot be seen is said.
func TestWatchNobody(t *testing.T) {
	t.Parallel()
	s, _, _ := startRestorers(t, 1, func(r *gateway.Route) { r.Recovery = nil })
	m := s.join()
	for sid, want := range map[string]error{m.eio: gateway.ErrUnread, "nobody": gateway.ErrNoTunnel} {
		if _, err := s.WatchPackets(t.Context(), sid); err != want {
			t.Errorf("%s: %v, want %v", sid, err, want)
		}
	}
}
