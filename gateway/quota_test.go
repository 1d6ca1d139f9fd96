package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
)

// unknowns sends polls with n sids that nobody knows, each on a connection of its own, as the client at that address, and counts the answers.
func unknowns(s *site, client string, n int) map[int]int {
	s.t.Helper()
	conns := make([]*rawClient, n)
	for i := range conns {
		conns[i] = dial(s.t, s.addr)
		conns[i].send(get(pollTarget(fmt.Sprint("nobodys", i)), "X-Forwarded-For: "+client))
	}
	statuses := map[int]int{}
	for _, c := range conns {
		r := c.answer()
		if statuses[r.StatusCode]++; r.StatusCode == 429 && r.Header.Get("Retry-After") == "" {
			s.t.Error("no word of when to come again")
		}
	}
	return statuses
}

// A client that makes sids up asks the store no more often than its share, and no other client loses anything by it.
func TestQuotaOfUnknownSIDs(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	w := &wrapStore{Store: affinity.NewMemory(1000)}
	s := startGateway(t, withNodes(n), withStore(w), withTrusted("127.0.0.0/8"), withLimits(func(l *gateway.Limits) { l.UnknownSIDs = 40 }))
	for i, clients := range [][]string{{"192.0.2.1"}, {"2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:3"}} {
		_, before := w.counts()
		began, statuses := time.Now(), map[int]int{}
		for _, client := range clients {
			for status, count := range unknowns(s, client, 200) {
				statuses[status] += count
			}
		}
		most := 10 * (int(time.Since(began)/time.Second) + 2)
		_, after := w.counts()
		if statuses[429] > 0 && time.Since(began) < time.Second {
			t.Errorf("%d: some were refused without a wait", i)
		}
		if asked := after - before; asked > most || asked != statuses[400] || statuses[429] == 0 || len(statuses) > 2 {
			t.Errorf("%d: %d look-ups of %d at most, answers %v", i, asked, most, statuses)
		}
	}
	if got := s.metric("sidway_local_responses_total", "too_many"); got == 0 {
		t.Error("not counted")
	}
	if got := unknowns(s, "2001:db8:0:1::1", 1); got[400] != 1 {
		t.Errorf("another client got %v", got)
	}
}

// What waits for its refusal keeps no body that is worth anything.
func TestStrangersThatWaitKeepNoBodies(t *testing.T) {
	t.Parallel()
	const clients, small = 20, 4 << 10
	n := startNode(t, "n1", engine(aSID))
	w := &wrapStore{Store: affinity.NewMemory(1000)}
	s := startGateway(t, withNodes(n), withStore(w), withLimits(func(l *gateway.Limits) { l.UnknownSIDs = 1 }))
	dial(t, s.addr).ask(get(pollTarget("unknown")))
	var all []*rawClient
	for range clients {
		all = append(all, raw(t, s.addr, post("unknown", "4"+strings.Repeat("x", 60_000))))
	}
	eventually(t, "they wait", func() bool { return s.metric("sidway_limited_total", "unknown_sids", "waited") >= clients-3 })
	if held := gateway.HeldBodies(s.Gateway); held > clients*small {
		t.Errorf("%d bytes are kept", held)
	}
	answers := map[int]int{}
	for _, c := range all {
		answers[c.answerTo("POST").StatusCode]++
	}
	if answers[429] < clients-3 || answers[429]+answers[400] != clients {
		t.Errorf("answers: %v", answers)
	}
}

// Sessions of other replicas that move here are no unknown ones, however many come from one address.
func TestQuotaSparesSessions(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	w := &wrapStore{Store: affinity.NewMemory(1000)} // which knows nothing without a look-up
	s := startGateway(t, withNodes(n), withStore(w), withLimits(func(l *gateway.Limits) { l.UnknownSIDs = 4 }))
	s.bind(aSID, n)
	c := dial(t, s.addr)
	for range 100 {
		if status, text := c.ask(get(pollTarget(aSID))); status != 200 {
			t.Fatalf("answered %d %q", status, text)
		}
	}
}

// Where the clients are many, each within its share, a request waits for the next second rather than hear that it is unknown.
func TestQuotaOfAllHolds(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	w := &wrapStore{Store: affinity.NewMemory(1000)}
	s := startGateway(t, withNodes(n), withStore(w), withTrusted("127.0.0.0/8"), withLimits(func(l *gateway.Limits) { l.UnknownSIDs = 4 }))
	began := time.Now()
	const clients = 12
	for i := range clients {
		if got := unknowns(s, fmt.Sprint("192.0.2.", i), 1); got[400] != 1 {
			t.Fatalf("client %d got %v", i, got)
		}
	}
	if _, asked := w.counts(); asked != clients || time.Since(began) < time.Second {
		t.Errorf("%d clients, %d look-ups in %v", clients, asked, time.Since(began))
	}
}

// Loops see a window end at different times: one that is late does not have the count begin anew.
func TestQuotaOfALateLoop(t *testing.T) {
	take := gateway.Quota()
	for i, step := range []struct {
		window int64
		want   bool
	}{{5, true}, {5, true}, {5, false}, {4, false}, {5, false}, {6, true}} {
		if got := take(step.window); got != step.want {
			t.Errorf("%d: in window %d: %v", i, step.window, got)
		}
	}
}

// What a search has spent in a window that is over is not given back in a later one, whose own look-ups it would free.
func TestQuotaIsGivenBackInItsWindow(t *testing.T) {
	for want, windows := range map[int][]int64{0: nil, 2: {5, 5}, 1: {5, 5, 6}} {
		if got := gateway.Kept(windows...); got != want {
			t.Errorf("of %v: %d, want %d", windows, got, want)
		}
	}
}
