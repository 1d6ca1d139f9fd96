package affinity_test

import (
	"errors"
	"fmt"
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
		renew(2)
		var ok bool
		if known, ok = c.Known("sid"); !ok || known.Node != "n2" || known.Due(time.Now()) {
			t.Errorf("knows %+v", known)
		}
		s.set(func() { clear(s.m) })
		renew(3)
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

// A session that moves while another replica renews it, which knows where it has lived, lives where it has gone.
func TestRenewWhileAnotherReplicaRebinds(t *testing.T) {
	t.Parallel()
	client := open(t, affinitytest.StartRedis(t).URL())
	replica := func() *affinity.Cached {
		return affinity.NewCached(affinity.NewMemory(1000), affinity.NewRedis(client, "p:"), affinity.CachedOptions{Ready: true})
	}
	moves, renews := replica(), replica()
	moved := affinitytest.Example
	moved.Node = "n2"
	for i := range 200 {
		sid := fmt.Sprint("sid", i)
		if err := renews.Bind(t.Context(), sid, affinitytest.Example); err != nil {
			t.Fatal(err)
		}
		known, _ := renews.Known(sid)
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				if _, err := renews.Renew(t.Context(), sid, known); err != nil {
					t.Error(err)
				}
			})
		}
		if err := moves.Rebind(t.Context(), sid, moved); err != nil {
			t.Error(err)
		}
		work.Wait()
		if b, err := affinity.NewRedis(client, "p:").Lookup(t.Context(), sid); err != nil || b.Node != "n2" {
			t.Fatalf("session %d: %+v, %v", i, b, err)
		}
	}
}

func TestRedisRenews(t *testing.T) {
	t.Parallel()
	client := open(t, affinitytest.StartRedis(t).URL())
	s := affinity.NewRedis(client, "p:")
	if _, err := s.Renew(t.Context(), "sid", time.Minute); !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("where there is none: %v", err)
	}
	if err := s.Bind(t.Context(), "sid", affinitytest.Example); err != nil {
		t.Fatal(err)
	}
	b, err := s.Renew(t.Context(), "sid", time.Hour)
	if left := time.Until(b.Expires); err != nil || b.Node != affinitytest.Example.Node || left < 59*time.Minute {
		t.Errorf("renewed as %+v for %v, %v", b, left, err)
	}
	if left := client.PTTL(t.Context(), "p:sid").Val(); left < 59*time.Minute {
		t.Errorf("lives for %v", left)
	}
}
