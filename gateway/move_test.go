package gateway_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// TestMove moves a session to and fro while it talks both ways. Nothing is lost, doubled or out of order, and it stays the same session.
func TestMove(t *testing.T) {
	t.Parallel()
	s, server, nodes := startRestorers(t, 3)
	var log syncBuffer
	s.settings.Access = slog.New(slog.NewTextHandler(&log, nil))
	s.Update(s.settings)
	m, rdb := s.join(), server.Client()
	const rounds, each = 6, 50
	var talk sync.WaitGroup
	moved := make(chan struct{}, rounds)
	defer talk.Wait()
	talk.Go(func() {
		for i := range rounds * each {
			if i%each == each/2 {
				moved <- struct{}{}
			}
			m.emit(rdb, fmt.Sprintf("e%d", i))
			m.say(fmt.Sprintf(`42["c%d"]`, i))
			time.Sleep(time.Millisecond)
		}
	})
	for i := range rounds {
		<-moved
		to := nodes[(i+1)%3].name
		if now, outcome := s.move(m, to); now != to || outcome != "moved" {
			t.Errorf("move %d to %s: %s, on %s", i, to, outcome, now)
		}
		if got := s.sessions(); got[to] != 1 || got["n1"]+got["n2"]+got["n3"] != 1 {
			t.Errorf("sessions on %v, want one on %s", got, to)
		}
	}
	talk.Wait()
	m.gotAll(rounds * each)
	haveAll(t, nodes, rounds*each)
	if n := s.metric("sidway_moves_total", "moved"); n != rounds {
		t.Errorf("%v moves are counted", n)
	}
	if tr, known := s.Trail("c1", m.eio); !known || tr.Node != "n1" || len(tr.Requests) == 0 || tr.Requests[len(tr.Requests)-1].Cause != "n3→n1" {
		t.Errorf("remembered: %+v", tr)
	}
	m.CloseNow()
	eventually(t, "the log names its last node", func() bool {
		_, line, _ := strings.Cut(log.String(), `msg="websocket ended"`)
		return strings.Contains(line, " node="+nodes[rounds%3].name+" ")
	})
}

// TestMovesThatFail has each step of a move go wrong: the session stays, or its client is connected anew on the same WebSocket, or it ends.
func TestMovesThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before  func(old, next *restorer, m *member, server *affinitytest.Redis)
		outcome string
		renewed bool
		lost    bool
	}{
		"the new node refuses": {func(_, next *restorer, _ *member, _ *affinitytest.Redis) {
			next.is(func(f *restorerFaults) { f.refuses = true })
		}, "refused", false, false},
		"the old node reads nothing": {func(old, _ *restorer, _ *member, _ *affinitytest.Redis) {
			old.is(func(f *restorerFaults) { f.deaf, f.hides = true, true })
		}, "no_barrier", false, false},
		"the session is kept late": {func(old, _ *restorer, _ *member, _ *affinitytest.Redis) {
			old.is(func(f *restorerFaults) { f.late = 300 * time.Millisecond })
		}, "moved", false, false},
		"the session is not kept": {func(old, _ *restorer, _ *member, _ *affinitytest.Redis) {
			old.is(func(f *restorerFaults) { f.forgets = true })
		}, "renewed", true, false},
		"the new node denies it": {func(_, next *restorer, _ *member, _ *affinitytest.Redis) {
			next.is(func(f *restorerFaults) { f.denies = true })
		}, "lost", false, true},
		"an answer is pending": {func(_, _ *restorer, m *member, _ *affinitytest.Redis) {
			m.say(`421["unanswered"]`)
		}, "busy", false, false},
		"Redis is away": {func(_, _ *restorer, _ *member, server *affinitytest.Redis) {
			server.Kill()
		}, "no_redis", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, server, nodes := startRestorers(t, 2)
			m := s.join()
			m.say(`42["before"]`)
			eventually(t, "it is there", func() bool { return len(nodes[0].events()) == 1 })
			c.before(nodes[0], nodes[1], m, server)
			if strings.Contains(name, "pending") {
				eventually(t, "it is asked", func() bool { return len(nodes[0].events()) == 2 })
			}
			now, outcome := s.move(m, "n2")
			nodes[0].is(func(f *restorerFaults) { f.deaf = false })
			if outcome != c.outcome {
				t.Errorf("%s, want %s", outcome, c.outcome)
			}
			if c.lost {
				if got := m.next(); got != "" {
					t.Errorf("the client of a lost session got %q", got)
				}
				return
			}
			if got := c.renewed; got != strings.HasPrefix(m.after(s), "40") {
				t.Errorf("renewed: %v", !got)
			}
			where := nodes[0]
			if now == "n2" {
				where = nodes[1]
			}
			before := len(where.events())
			m.say(`42["behind"]`)
			eventually(t, "the session goes on", func() bool { return len(where.events()) == before+1 })
		})
	}
}

// after returns what the client was told meanwhile, "" for nothing: an acknowledgement comes behind it.
func (m *member) after(s *site) (text string) {
	m.say(`4299["x"]`)
	for {
		switch got := m.next(); got {
		case "4399[]":
			return text
		default:
			text = got
		}
	}
}

// TestMoveOfNobody: what cannot be moved is said.
func TestMoveOfNobody(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	m := s.join()
	for _, c := range []struct {
		sid, to string
		want    error
	}{{"nobody", "", gateway.ErrNoTunnel}, {m.eio, "n9", gateway.ErrNoSuchOne}, {m.eio, "n1", gateway.ErrSameNode}} {
		if _, _, _, err := s.MoveSession(t.Context(), c.sid, c.to); !errors.Is(err, c.want) {
			t.Errorf("%s to %s: %v, want %v", c.sid, c.to, err, c.want)
		}
	}
	n2 := s.clusters[0].Node("n2")
	s.clusters[0].SetDraining(n2, true)
	if _, _, _, err := s.MoveSession(t.Context(), m.eio, "n2"); !errors.Is(err, gateway.ErrDrained) || !strings.HasPrefix(err.Error(), "n2 is drained") {
		t.Errorf("to a node that is drained: %v", err)
	}
	s.clusters[0].SetDraining(n2, false)
	nodes[0].is(func(f *restorerFaults) { f.hides = true })
	outcomes := make(chan string, 2)
	for range 2 {
		go func() {
			_, _, outcome, err := s.MoveSession(t.Context(), m.eio, "n2")
			outcomes <- fmt.Sprint(outcome, err)
		}()
	}
	if got := <-outcomes; got != gateway.ErrMoving.Error() {
		t.Errorf("the second of two: %s", got)
	}
	nodes[0].is(func(f *restorerFaults) { f.hides = false })
	if got := <-outcomes; got != "moved<nil>" {
		t.Errorf("the first of two: %s", got)
	}
}

// TestClientLeavesInAMove: what was begun for it is let go of, which the end of the site checks.
func TestClientLeavesInAMove(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	m := s.join()
	nodes[0].is(func(f *restorerFaults) { f.late = time.Second })
	done := make(chan string)
	go func() { _, outcome := s.move(m, "n2"); done <- outcome }()
	eventually(t, "it has left n1", func() bool { return s.sessions()["n2"] == 1 && s.sessions()["n1"] == 0 })
	m.CloseNow()
	if outcome := <-done; outcome != "moved" && outcome != "left" {
		t.Errorf("ended by %s", outcome)
	}
	eventually(t, "it is gone", func() bool { return s.sessions()["n2"] == 0 })
}

// TestGatewayEndsInAMove: the gateway's end does not wait for it, and leaves nothing, which the end of the site checks.
func TestGatewayEndsInAMove(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	m := s.join()
	nodes[0].is(func(f *restorerFaults) { f.late = 500 * time.Millisecond })
	go func() { _, _, _, _ = s.MoveSession(t.Context(), m.eio, "n2") }()
	eventually(t, "it has left n1", func() bool { return s.sessions()["n2"] == 1 })
}

// TestNodeCrashes: the client stays, and its session goes on elsewhere where it was kept; else the client is connected anew on the same
// WebSocket.
func TestNodeCrashes(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]bool{"kept": true, "not kept": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, server, nodes := startRestorers(t, 2)
			for _, n := range nodes {
				n.is(func(f *restorerFaults) { f.keeps, f.forgets = kept, true })
			}
			m, rdb := s.join(), server.Client()
			m.emit(rdb, "e0")
			if got := m.next(); !strings.HasPrefix(got, `42["e0"`) {
				t.Fatal(got)
			}
			nodes[0].is(func(f *restorerFaults) { f.hides, f.refuses = true, true })
			m.emit(rdb, "e1") // which the client does not get in time
			nodes[0].crash()
			want, outcome := `42["e1",`, "moved"
			if !kept {
				want, outcome = `40{"sid":`, "renewed"
			}
			if got := m.next(); !strings.HasPrefix(got, want) {
				t.Errorf("the client got %s, want %s", got, want)
			}
			eventually(t, "it is counted", func() bool { return s.metric("sidway_moves_total", "crash", outcome) == 1 })
			m.say(`42["on"]`)
			eventually(t, "it goes on", func() bool { return len(nodes[1].events()) == 1 })
		})
	}
}

// TestManyCrashAtOnce: more than are brought to another node at a time.
func TestManyCrashAtOnce(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 3)
	for _, n := range nodes {
		n.is(func(f *restorerFaults) { f.keeps, f.forgets = true, true })
	}
	var all []*member
	for range 300 {
		all = append(all, s.join())
	}
	nodes[0].is(func(f *restorerFaults) { f.refuses = true })
	nodes[0].crash()
	eventually(t, "all go on", func() bool { return s.metric("sidway_moves_total", "crash", "moved") == 300 })
	for _, m := range all {
		if got := m.after(s); got != "" {
			t.Errorf("a client got %q", got)
		}
	}
	if got := s.sessions(); got["n1"] != 0 || got["n2"]+got["n3"] != 300 {
		t.Errorf("sessions on %v", got)
	}
}

// TestDrainMoves: a drain moves sessions before its deadline, and ends them behind it where they cannot be moved.
func TestDrainMoves(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	var all []*member
	for range 20 {
		all = append(all, s.join())
	}
	n1 := s.clusters[0].Node("n1")
	s.clusters[0].SetDraining(n1, true)
	eventually(t, "all are on n2", func() bool {
		s.EndSessions(n1, 3, cluster.Unload)
		return s.sessions()["n2"] == 20
	})
	for _, m := range all {
		if got := m.after(s); got != "" {
			t.Errorf("a client got %q", got)
		}
	}
	s.clusters[0].SetDraining(n1, false)
	n2 := s.clusters[0].Node("n2")
	s.clusters[0].SetDraining(n2, true)
	nodes[0].is(func(f *restorerFaults) { f.refuses = true })
	eventually(t, "all are ended", func() bool {
		s.EndSessions(n2, 20, cluster.Drain)
		return s.sessions()["n2"] == 0
	})
	for _, m := range all {
		if got := m.next(); got != "" {
			t.Errorf("a client got %q, not its end", got)
		}
	}
}

// TestSilentNodeIsLeft: the sessions of a node that answers nothing any more go on elsewhere where they were kept.
func TestSilentNodeIsLeft(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	nodes[0].is(func(f *restorerFaults) { f.keeps = true })
	m := s.join()
	nodes[0].is(func(f *restorerFaults) { f.deaf, f.hides, f.refuses = true, true, true })
	s.EndSessions(s.clusters[0].Node("n1"), 10, cluster.Silence)
	eventually(t, "it is moved", func() bool { return s.metric("sidway_moves_total", "crash", "moved") == 1 })
	nodes[0].is(func(f *restorerFaults) { f.deaf = false })
	if got := m.after(s); got != "" {
		t.Errorf("the client got %q", got)
	}
}

// TestMovesThatGoWrongAreTold: after five in a row none is begun for a while, and that is told, since a drain ends sessions then.
func TestMovesThatGoWrongAreTold(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	nodes[0].is(func(f *restorerFaults) { f.forgets = true })
	for i := range 5 {
		if n := s.metric("sidway_setup_faults_total", "moves_fail"); n != 0 {
			t.Fatalf("told after %d", i)
		}
		if _, outcome := s.move(s.join(), "n2"); outcome != "renewed" {
			t.Fatal(outcome)
		}
	}
	if n := s.metric("sidway_setup_faults_total", "moves_fail"); n != 1 {
		t.Errorf("told %v times", n)
	}
	f := s.Figures()["c1"]
	if f == nil || f.Moves["renewed"] != 5 || time.Until(f.MovesAgain) < 50*time.Second {
		t.Errorf("counted: %+v", f)
	}
	stays := s.join()
	n1 := s.clusters[0].Node("n1")
	s.clusters[0].SetDraining(n1, true)
	if n := s.EndSessions(n1, 9, cluster.Unload); n != 0 {
		t.Errorf("%d sessions were moved or ended before the deadline of a drain", n)
	}
	s.EndSessions(n1, 9, cluster.Drain)
	if got := stays.next(); got != "" {
		t.Errorf("behind it the client got %q, not its end", got)
	}
}

// TestMovesWithoutRecovery: where nodes do not restore sessions, no move is begun, and that is told.
func TestMovesWithoutRecovery(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	nodes[0].is(func(f *restorerFaults) { f.plain = true })
	m := s.join()
	for range 5 {
		if now, outcome := s.move(m, "n2"); now != "n1" || outcome != "no_recovery" {
			t.Fatal(now, outcome)
		}
	}
	if n := s.metric("sidway_setup_faults_total", "moves_fail"); n != 1 {
		t.Errorf("told %v times", n)
	}
	m.say(`42["after"]`)
	eventually(t, "it goes on", func() bool { return len(nodes[0].events()) == 1 })
}

// TestCrashesAreNoMovesThatGoWrong: clients whose node has crashed are connected anew where its adapter has not kept their sessions, and a drain
// moves sessions all the same.
func TestCrashesAreNoMovesThatGoWrong(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 2)
	nodes[0].is(func(f *restorerFaults) { f.forgets = true })
	for range 8 {
		s.join()
	}
	nodes[0].is(func(f *restorerFaults) { f.refuses = true })
	nodes[0].crash()
	eventually(t, "all are connected anew", func() bool { return s.metric("sidway_moves_total", "crash", "renewed") == 8 })
	if n := s.metric("sidway_setup_faults_total", "moves_fail"); n != 0 {
		t.Errorf("a crash is told as moves that fail, %v times", n)
	}
	if f := s.Figures()["c1"]; !f.MovesAgain.IsZero() {
		t.Errorf("moves are suspended until %v", f.MovesAgain)
	}
	nodes[0].is(func(f *restorerFaults) { f.refuses, f.forgets = false, false })
	n2 := s.clusters[0].Node("n2")
	s.clusters[0].SetDraining(n2, true)
	eventually(t, "all are moved", func() bool {
		s.EndSessions(n2, 8, cluster.Drain)
		return s.metric("sidway_moves_total", "ordered", "moved") == 8
	})
}
