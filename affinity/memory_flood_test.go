package affinity_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// flood is how many handshakes nobody follows up.
const flood = 300_000

// A flood of handshakes that nobody follows up leaves no memory behind once their bindings have expired.
func TestMemoryGivesBackWhatAFloodTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := affinity.NewMemory(1_000_000)
		must(t, m.Bind(t.Context(), "stays", affinitytest.Example))
		before := heap()
		for i := range flood {
			must(t, m.Bind(t.Context(), fmt.Sprint("flood", i), affinitytest.Example))
		}
		took := heap() - before
		for range 3 {
			time.Sleep(affinitytest.Example.TTL() / 2)
			b, ok := m.Known("stays")
			if !ok {
				t.Fatal("a session in use was swept away")
			}
			must(t, m.Bind(t.Context(), "stays", b))
		}
		for range 64 {
			m.Sweep()
		}
		if m.Len() != 1 {
			t.Errorf("holds %d bindings, of which one lives", m.Len())
		}
		if left := heap() - before; left > took/20 {
			t.Errorf("%d KiB of %d KiB are left", left>>10, took>>10)
		}
		runtime.KeepAlive(m)
	})
}

// A flood that exceeds the memory takes the room of bindings that were never used, not of sessions in use.
func TestMemoryFloodLeavesSessionsInUse(t *testing.T) {
	const size, sessions, fresh = 1000, 800, 125 // an eighth
	m := affinity.NewMemory(size)
	var unused, used int
	m.OnEvict = func(wasUsed bool) {
		if wasUsed {
			used++
		} else {
			unused++
		}
	}
	bindAndUse := func(prefix string, i int) {
		t.Helper()
		sid := fmt.Sprint(prefix, i)
		must(t, m.Bind(t.Context(), sid, affinitytest.Example))
		if _, ok := m.Known(sid); !ok {
			t.Fatalf("%s is gone", sid)
		}
	}
	for i := range sessions {
		bindAndUse("session", i)
	}
	for i := range 10 * size {
		must(t, m.Bind(t.Context(), fmt.Sprint("flood", i), affinitytest.Example))
	}
	for i := range sessions {
		if _, ok := m.Known(fmt.Sprint("session", i)); !ok {
			t.Fatalf("session %d is gone", i)
		}
	}
	if want := 10*size + sessions - size; unused != want || used != 0 {
		t.Errorf("%d bindings in use and %d others were evicted, want 0 and %d", used, unused, want)
	}
	// Only where an eighth is left for the others, the one that was used longest ago goes.
	for i := range size - sessions - fresh + 1 {
		bindAndUse("late", i)
	}
	if _, ok := m.Known("session0"); ok || used != 1 {
		t.Errorf("%d bindings in use were evicted; the oldest is there: %v", used, ok)
	}
}

// Sessions that ended and have not expired yet leave new ones room from their handshake to their first request.
func TestMemoryFullOfEndedSessionsTakesNewOnes(t *testing.T) {
	const size, together = 1000, 100
	m := affinity.NewMemory(size)
	for round := range 5 * size / together {
		for i := range together {
			must(t, m.Bind(t.Context(), fmt.Sprint(round, "-", i), affinitytest.Example))
		}
		for i := range together {
			if _, ok := m.Known(fmt.Sprint(round, "-", i)); !ok {
				t.Fatalf("session %d of round %d is gone before its first request", i, round)
			}
		}
	}
}

// What has expired makes room without a word.
func TestMemoryEvictsNothingThatLivesWhereSomethingExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100
		m := affinity.NewMemory(size)
		m.OnEvict = func(bool) { t.Error("a live binding was evicted") }
		for i := range size {
			sid := fmt.Sprint("old", i)
			must(t, m.Bind(t.Context(), sid, affinitytest.Example))
			m.Known(sid)
		}
		time.Sleep(affinitytest.Example.TTL())
		for i := range size {
			must(t, m.Bind(t.Context(), fmt.Sprint("new", i), affinitytest.Example))
		}
		for i := range size {
			if _, ok := m.Known(fmt.Sprint("new", i)); !ok {
				t.Errorf("binding %d is gone", i)
			}
		}
	})
}
