package affinity_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

var errDown = fmt.Errorf("down: %w", affinity.ErrUnavailable)

// story runs f in a bubble of its own time with a Cached that runs.
func story(t *testing.T, f func(t *testing.T, c *affinity.Cached, s *shelf, n *tally)) {
	t.Helper()
	s, n := newShelf(), newTally()
	storyWith(t, s, affinity.CachedOptions{OnOutcome: n.add}, func(t *testing.T, c *affinity.Cached) { f(t, c, s, n) })
}

func storyWith(t *testing.T, s *shelf, o affinity.CachedOptions, f func(t *testing.T, c *affinity.Cached)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		c := affinity.NewCached(affinity.NewMemory(10_000), s, o)
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		f(t, c)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestCachedReadsOnceAndNeverCachesAbsence(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, n *tally) {
		for range 2 {
			if _, err := c.Lookup(t.Context(), "sid"); !errors.Is(err, affinity.ErrNotFound) {
				t.Fatal(err)
			}
		}
		s.store("sid", affinitytest.Example)
		s.set(func() { s.delay = 10 * time.Millisecond })
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if b, err := c.Lookup(t.Context(), "sid"); err != nil || b.Node != "n1" || b.Expires.IsZero() {
					t.Errorf("Lookup = %+v, %v", b, err)
				}
			})
		}
		wg.Wait()
		if _, err := c.Lookup(t.Context(), "sid"); err != nil {
			t.Fatal(err)
		}
		if got := s.count("Lookup"); got != 5 {
			t.Errorf("%d look-ups reached the store, want two for each that found nothing, and one", got)
		}
		if n.of(affinity.Unknown) != 2 || n.of(affinity.Read) != 1 || n.of(affinity.Hit) != 1 {
			t.Errorf("outcomes: %v", n.n)
		}
	})
}

func TestCachedRenewsOnce(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		if err := c.Bind(t.Context(), "sid", affinitytest.Example); err != nil {
			t.Fatal(err)
		}
		b, _ := c.Lookup(t.Context(), "sid")
		time.Sleep(b.TTL()/3 + time.Second)
		if !b.Due(time.Now()) {
			t.Fatal("not due")
		}
		s.set(func() { s.delay = 10 * time.Millisecond })
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := c.Bind(t.Context(), "sid", b); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := c.Bind(t.Context(), "sid", b); err != nil { // one that read before the others wrote
			t.Error(err)
		}
		if got := s.count("Bind"); got != 2 {
			t.Errorf("%d writes, want the first and one renewal", got)
		}
		if b, _ = c.Lookup(t.Context(), "sid"); b.Due(time.Now()) {
			t.Error("still due")
		}
	})
}

func TestCachedGoesOnWhileTheStoreIsDown(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, n *tally) {
		if err := c.Bind(t.Context(), "known", affinitytest.Example); err != nil {
			t.Fatal(err)
		}
		s.store("elsewhere", affinitytest.Example)
		s.set(func() { s.fault, s.delay = errDown, 100*time.Millisecond })
		if _, err := c.Lookup(t.Context(), "elsewhere"); !errors.Is(err, affinity.ErrUnavailable) {
			t.Fatal(err)
		}
		again := c.Again()
		asked := s.count("Lookup") + s.count("Bind") + s.count("Unbind")
		began := time.Now()
		for i := range 100 {
			if err := c.Bind(t.Context(), fmt.Sprint("new", i), affinitytest.Example); !errors.Is(err, affinity.ErrUnavailable) {
				t.Fatal(err)
			}
			if _, err := c.Lookup(t.Context(), fmt.Sprint("new", i)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Lookup(t.Context(), "known"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Lookup(t.Context(), "elsewhere"); !errors.Is(err, affinity.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if err := c.Unbind(t.Context(), "new0"); !errors.Is(err, affinity.ErrUnavailable) {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 || s.count("Lookup")+s.count("Bind")+s.count("Unbind") != asked {
			t.Errorf("the store was asked, or the answers took %v", took)
		}
		if got := n.of(affinity.Unanswered); got != 101 { // each look, though it be for one request
			t.Errorf("%d looks counted as unanswered", got)
		}
		if !c.Down() || c.State() != affinity.Down {
			t.Errorf("state is %v", c.State())
		}
		time.Sleep(time.Minute)
		if got := s.count("Probe"); got < 100 || got > 60*20 {
			t.Errorf("%d probes in a minute", got)
		}
		s.set(func() { s.fault, s.delay = nil, 0 })
		<-again
		if _, err := c.Lookup(t.Context(), "elsewhere"); err != nil {
			t.Errorf("when it is back: %v", err)
		}
		if n.of(affinity.Kept) != 100 || s.len() != 2+99 {
			t.Errorf("%d kept, and the store holds %d", n.of(affinity.Kept), s.len())
		}
		<-c.Again()
	})
}

// Another replica met a hiccup that we did not notice, and is about to write what it kept.
func TestCachedLooksTwice(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		go func() {
			time.Sleep(200 * time.Millisecond)
			s.store("sid", affinitytest.Example)
		}()
		if _, err := c.Lookup(t.Context(), "sid"); err != nil {
			t.Error(err)
		}
		began := time.Now()
		if _, err := c.Lookup(t.Context(), "nobody"); !errors.Is(err, affinity.ErrNotFound) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A caller that leaves must not look like a store that fails.
func TestCachedCallerLeaves(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.store("sid", affinitytest.Example)
		s.set(func() { s.delay = 20 * time.Millisecond })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for range 2 { // one leads, the other waits for it
			go func() { _, _ = c.Lookup(ctx, "sid") }()
		}
		time.Sleep(50 * time.Millisecond)
		if c.State() != affinity.Up {
			t.Errorf("state is %v", c.State())
		}
		if _, err := c.Lookup(ctx, "other"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, affinity.ErrUnavailable) {
			t.Error(err)
		}
		if _, err := c.Lookup(t.Context(), "sid"); err != nil || s.count("Lookup") != 1 {
			t.Errorf("%v after %d look-ups", err, s.count("Lookup"))
		}
	})
}

// A store that stays up but has lost its data is found out by the next beat, or at once by a look-up that finds nothing.
func TestCachedPublishesAgainWhatWasLost(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, n *tally) {
		for i := range 5000 {
			if err := c.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Millisecond)
		s.lose()
		if _, err := c.Lookup(t.Context(), "of another replica"); !errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("a look-up in a store that lost its data: %v", err)
		}
		if c.State() != affinity.Recovering || c.Down() {
			t.Errorf("state is %v", c.State())
		}
		s.store("of another replica", affinitytest.Example) // the other replica publishes, too
		<-c.Again()
		if _, err := c.Lookup(t.Context(), "of another replica"); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if s.len() != 5001 || n.of(affinity.Republished) != 5000 || s.largest > 256 {
			t.Errorf("the store holds %d, %d were published again, up to %d at once", s.len(), n.of(affinity.Republished), s.largest)
		}
		time.Sleep(2 * time.Second)
		if _, err := c.Lookup(t.Context(), "nobody"); !errors.Is(err, affinity.ErrNotFound) {
			t.Errorf("when the doubt is over: %v", err)
		}
		s.lose()
		time.Sleep(3 * time.Second)
		if s.len() != 5001 {
			t.Errorf("the store holds %d a moment after its second loss", s.len())
		}
	})
}

// An outage in which nothing was lost costs one write for what was kept or may have been in flight, and no more.
func TestCachedHiccupCausesNoFlood(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, n *tally) {
		for i := range 5000 {
			if err := c.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		for range 10 {
			s.set(func() { s.fault = errDown })
			_, _ = c.Lookup(t.Context(), "nobody")
			if err := c.Bind(t.Context(), "new", affinitytest.Example); !errors.Is(err, affinity.ErrUnavailable) {
				t.Fatal(err)
			}
			s.set(func() { s.fault = nil })
			<-c.Again()
			if _, err := c.Lookup(t.Context(), "kept by another replica"); !errors.Is(err, affinity.ErrUnavailable) {
				t.Errorf("just back: %v", err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		if got := n.of(affinity.Republished); got > 20 {
			t.Errorf("%d bindings were published again after hiccups that lost nothing", got)
		}
		if s.len() != 5001 || c.State() != affinity.Up {
			t.Errorf("the store holds %d, state %v", s.len(), c.State())
		}
	})
}

func TestCachedOutageWithLoss(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, n *tally) {
		for i := range 1000 {
			if err := c.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		s.set(func() { s.fault = errDown })
		_ = c.Bind(t.Context(), "new", affinitytest.Example)
		s.lose()
		time.Sleep(10 * time.Second)
		s.set(func() { s.fault = nil })
		<-c.Again()
		if _, err := s.Lookup(t.Context(), "new"); err != nil {
			t.Errorf("look-ups began before what was kept was written: %v", err)
		}
		if _, err := c.Lookup(t.Context(), "of another replica"); !errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("before all is published again: %v", err)
		}
		s.set(func() { s.fault = errDown }) // gone again in the middle of it
		_ = c.Bind(t.Context(), "new2", affinitytest.Example)
		time.Sleep(time.Second)
		s.set(func() { s.fault = nil })
		time.Sleep(6 * time.Second)
		if s.len() != 1002 || c.State() != affinity.Up {
			t.Errorf("the store holds %d, state %v", s.len(), c.State())
		}
		if got := n.of(affinity.Republished); got < 1000 || got > 2500 {
			t.Errorf("%d published again", got)
		}
	})
}

func TestCachedReadOnlyStore(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.store("before", affinitytest.Example)
		s.set(func() { s.refuse = fmt.Errorf("replica: %w", affinity.ErrReadOnly) })
		if err := c.Bind(t.Context(), "new", affinitytest.Example); !errors.Is(err, affinity.ErrUnavailable) {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if c.State() != affinity.ReadOnly || c.Down() {
			t.Errorf("state is %v", c.State())
		}
		if _, err := c.Lookup(t.Context(), "before"); err != nil {
			t.Errorf("a binding that it holds: %v", err)
		}
		if _, err := c.Lookup(t.Context(), "nobody"); !errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("a binding that another replica may keep: %v", err)
		}
		<-c.Again() // comes again and again, so that a held request looks again
		<-c.Again()
		if s.count("Bind") != 1 {
			t.Errorf("%d writes were tried", s.count("Bind"))
		}
		s.set(func() { s.refuse = nil })
		time.Sleep(5 * time.Second)
		if s.len() != 2 || c.State() != affinity.Up {
			t.Errorf("the store holds %d, state %v", s.len(), c.State())
		}
	})
}

// An operation that fails late, when the store is back already, does not take it down again; being busy ourselves does
// not either.
func TestCachedFailuresThatSayNothing(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		s.set(func() { s.fault, s.delay = errDown, 90*time.Millisecond })
		late := make(chan error)
		go func() {
			_, err := c.Lookup(t.Context(), "late")
			late <- err
		}()
		synctest.Wait()
		s.set(func() { s.delay = 0 })
		_, _ = c.Lookup(t.Context(), "early")
		s.set(func() { s.fault = nil })
		<-c.Again()
		if err := <-late; !errors.Is(err, affinity.ErrUnavailable) || c.Down() {
			t.Errorf("late failure %v: state %v", err, c.State())
		}
		time.Sleep(5 * time.Second)
		s.set(func() { s.fault = affinity.ErrBusy })
		if _, err := c.Lookup(t.Context(), "x"); !errors.Is(err, affinity.ErrBusy) || c.State() != affinity.Up {
			t.Errorf("busy: %v, state %v", err, c.State())
		}
		if err := c.Bind(t.Context(), "kept", affinitytest.Example); !errors.Is(err, affinity.ErrBusy) {
			t.Error(err)
		}
		s.set(func() { s.fault = nil })
		time.Sleep(time.Second)
		if s.len() != 1 || c.State() != affinity.Up {
			t.Errorf("what was kept is not written: %d, state %v", s.len(), c.State())
		}
	})
}
