package affinity_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// A look-up that waits for another one's Probe has the time for its own.
func TestCachedFarStoreIsNotDown(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.set(func() { s.delay = 60 * time.Millisecond })
		var wg sync.WaitGroup
		for _, sid := range []string{"a", "b", "c"} {
			wg.Go(func() {
				if _, err := c.Lookup(t.Context(), sid); unlike(err) && !errors.Is(err, affinity.ErrNotFound) {
					t.Errorf("%s: %v", sid, err)
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		if c.State() != affinity.Up {
			t.Errorf("state is %v", c.State())
		}
	})
}

func TestCachedGlance(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.store("sid", affinitytest.Example)
		began := time.Now()
		if b, err := c.Glance(t.Context(), "sid"); err != nil || b.Node != "n1" || b.Expires.IsZero() {
			t.Errorf("%+v, %v", b, err)
		}
		if _, err := c.Glance(t.Context(), "nobody"); !errors.Is(err, affinity.ErrNotFound) || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		s.set(func() { s.fault = errDown })
		for range 2 { // one finds out, the other is told
			if _, err := c.Glance(t.Context(), "sid"); !errors.Is(err, affinity.ErrUnavailable) || c.State() != affinity.Down {
				t.Errorf("%v, state %v", err, c.State())
			}
		}
	})
}

// A second fact for a sid is written when the first has been, whoever may have left by then.
func TestCachedBinderLeaves(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.set(func() { s.delay = 20 * time.Millisecond })
		first := affinitytest.Example
		first.Expires = time.Now() // of a session that is known: those that are new are bound by one request alone
		go func() { _ = c.Bind(t.Context(), "sid", first) }()
		synctest.Wait()
		other := first
		other.Version = 3
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if err := c.Bind(ctx, "sid", other); err != nil {
			t.Error(err)
		}
		if b, err := c.Lookup(t.Context(), "sid"); b.Version != 3 || c.State() != affinity.Up {
			t.Errorf("%+v %v, state %v", b, err, c.State())
		}
	})
}

// A session that another replica has bound anew is known here from Refresh on.
func TestCachedRefresh(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.store("sid", affinitytest.Example)
		if _, err := c.Lookup(t.Context(), "sid"); err != nil {
			t.Fatal(err)
		}
		moved := affinitytest.Example
		moved.Node, moved.Alias = "n2", "there"
		s.store("sid", moved)
		if b, known := c.Known("sid"); !known || b.Node != "n1" {
			t.Errorf("known before: %+v", b)
		}
		if b, err := c.Refresh(t.Context(), "sid"); err != nil || b.Node != "n2" || b.Alias != "there" || b.Expires.IsZero() {
			t.Errorf("%+v, %v", b, err)
		}
		if b, known := c.Known("sid"); !known || b.Node != "n2" || b.Alias != "there" {
			t.Errorf("known now: %+v", b)
		}
		if _, err := c.Refresh(t.Context(), "nobody"); !errors.Is(err, affinity.ErrNotFound) {
			t.Error(err)
		}
		s.set(func() { s.fault = errDown })
		if _, err := c.Refresh(t.Context(), "sid"); !errors.Is(err, affinity.ErrUnavailable) {
			t.Error(err)
		}
		if b, known := c.Known("sid"); !known || b.Node != "n2" {
			t.Errorf("known while the store is away: %+v", b)
		}
	})
}

// A session is bound anew whatever a look-up that began before has put here.
func TestCachedRebind(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.store("sid", affinitytest.Example)
		moved := affinitytest.Example
		moved.Node, moved.Alias = "n2", "there"
		s.set(func() { s.delay = 10 * time.Millisecond })
		var work sync.WaitGroup
		for i := range 40 {
			work.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_, _ = c.Refresh(t.Context(), "sid")
			})
		}
		time.Sleep(15 * time.Millisecond)
		if err := c.Rebind(t.Context(), "sid", moved); err != nil {
			t.Error(err)
		}
		work.Wait()
		if b, err := c.Refresh(t.Context(), "sid"); err != nil || b.Node != "n2" || b.Alias != "there" {
			t.Errorf("%+v, %v", b, err)
		}
		s.set(func() { s.fault = errDown })
		moved.Node = "n3"
		if err := c.Rebind(t.Context(), "sid", moved); !errors.Is(err, affinity.ErrUnavailable) {
			t.Error(err)
		}
		if b, known := c.Known("sid"); !known || b.Node != "n3" {
			t.Errorf("known while the store is away: %+v", b)
		}
	})
}
