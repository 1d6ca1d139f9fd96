package affinity_test

import (
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// A replica that knows a session as unproven does not take back, after a loss of the store, what another replica has proved.
func TestAStaleReplicaTakesNoProofBack(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		b := affinitytest.Example
		b.Unproven = true
		if err := c.Bind(t.Context(), "sid", b); err != nil {
			t.Fatal(err)
		}
		if err := c.Bind(t.Context(), "another", affinitytest.Example); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		s.lose()
		b.Unproven = false
		s.store("sid", b)            // the other replica publishes it
		time.Sleep(10 * time.Second) // until the store is believed again
		if got, err := c.Refresh(t.Context(), "sid"); err != nil || got.Unproven || s.node("another") == "" {
			t.Errorf("the store has %+v, %v, and the other on %q", got, err, s.node("another"))
		}
	})
}

// A replica that knows where a session has lived before it moved keeps alive where it lives now.
func TestRenewOfABindingThatHasMoved(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		if err := c.Bind(t.Context(), "sid", affinitytest.Example); err != nil {
			t.Fatal(err)
		}
		known, _ := c.Known("sid")
		other := affinity.NewCached(affinity.NewMemory(10), s, affinity.CachedOptions{})
		moved := affinitytest.Example
		moved.Node, moved.Alias = "n2", "there"
		if err := other.Rebind(t.Context(), "sid", moved); err != nil {
			t.Fatal(err)
		}
		renew := func(want int) {
			t.Helper()
			b, err := c.Renew(t.Context(), "sid", known)
			if err != nil || b.Node != "n2" || b.Alias != "there" || s.node("sid") != "n2" || s.count("Bind") != want {
				t.Errorf("renewed as %+v (%v), and the store has %s after %d writes, want %d", b, err, s.node("sid"), s.count("Bind"), want)
			}
		}
		renew(2) // the other replica has just written it
		time.Sleep(known.TTL()/3 + time.Second)
		renew(3)
		var ok bool
		if known, ok = c.Known("sid"); !ok || known.Node != "n2" || known.Due(time.Now()) {
			t.Errorf("knows %+v", known)
		}
		s.set(func() { clear(s.m) })
		renew(4)
	})
}

// Another replica that renews where a session has lived, while it is bound anew, is overruled.
func TestRebindWhileAnotherReplicaRenews(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		moved := affinitytest.Example
		moved.Node = "n2"
		for range 20 {
			s.store("sid", affinitytest.Example)
			s.set(func() { s.delay = 10 * time.Millisecond })
			var work sync.WaitGroup
			for i := range 30 {
				work.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					s.store("sid", affinitytest.Example)
				})
			}
			if err := c.Rebind(t.Context(), "sid", moved); err != nil {
				t.Error(err)
			}
			if b, known := c.Known("sid"); !known || b.Node != "n2" {
				t.Errorf("known: %+v", b)
			}
			work.Wait()
		}
	})
}
