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

// silent has the next n operations of the store be answered too late, all of them where n is negative.
func (s *shelf) silent(n int) {
	s.set(func() { s.late = n })
}

// On a busy machine an answer is late now and then. That is no outage: what it was about is made good at once.
func TestCachedOneLateAnswerIsNoOutage(t *testing.T) {
	s, n := newShelf(), newTally()
	var told sync.Map
	storyWith(t, s, affinity.CachedOptions{OnOutcome: n.add, OnState: func(to affinity.State, _ error) { told.Store(to, true) }}, func(t *testing.T, c *affinity.Cached) {
		s.store("elsewhere", affinitytest.Example)
		s.silent(1)
		if err := c.Bind(t.Context(), "kept", affinitytest.Example); !errors.Is(err, affinity.ErrLate) {
			t.Errorf("Bind: %v", err)
		}
		synctest.Wait()
		if s.node("kept") != "n1" {
			t.Error("what was kept is not written at once")
		}
		s.silent(1)
		if _, err := c.Lookup(t.Context(), "elsewhere"); !errors.Is(err, affinity.ErrLate) {
			t.Errorf("Lookup: %v", err)
		}
		select {
		case <-c.Again():
		default:
			t.Error("it is not worth looking again")
		}
		if _, err := c.Lookup(t.Context(), "elsewhere"); err != nil {
			t.Errorf("Lookup again: %v", err)
		}
		synctest.Wait()
		s.silent(1) // a beat
		time.Sleep(10 * time.Second)
		if c.Fault() != nil || c.State() != affinity.Up {
			t.Errorf("%v, %v", c.State(), c.Fault())
		}
		told.Delete(affinity.Up) // at first
		told.Range(func(to, _ any) bool { t.Errorf("the state was %v", to); return true })
	})
}

// A store that answers nothing is left alone after a late answer and a Probe in vain: within 200 ms of the first operation.
func TestCachedTwoLateAnswersAreAnOutage(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		time.Sleep(300 * time.Millisecond) // no beat is due soon
		s.silent(-1)
		began := time.Now()
		for i := 0; !c.Down() && i < 5; i++ {
			if err := c.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example); !errors.Is(err, affinity.ErrUnavailable) {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("found out after %v", took)
		}
		if !errors.Is(c.Fault(), affinity.ErrLate) {
			t.Errorf("%v", c.Fault())
		}
		s.silent(0)
		time.Sleep(5 * time.Second)
		if c.State() != affinity.Up || s.node("sid0") != "n1" {
			t.Errorf("%v, and %q", c.State(), s.node("sid0"))
		}
	})
}

// hung is a shelf that hangs whenever it is late.
type hung struct{ *shelf }

func (hung) Explain(context.Context, error) error { return affinity.ErrHangs }

// What is told of an outage is what it is now: a store that hung, was killed, and hangs again.
func TestCachedCauseOfAnOutageChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s, done := newShelf(), make(chan error)
		c := affinity.NewCached(affinity.NewMemory(100), hung{s}, affinity.CachedOptions{})
		go func() { done <- c.Run(ctx) }()
		time.Sleep(time.Second)
		for i, hangs := range []bool{true, false, true, false} {
			s.set(func() { s.late, s.fault = 0, errors.New("connection refused") })
			if hangs {
				s.silent(-1)
			}
			time.Sleep(5 * time.Second)
			if c.State() != affinity.Down || errors.Is(c.Fault(), affinity.ErrHangs) != hangs {
				t.Errorf("%d: %v: %v", i, c.State(), c.Fault())
			}
		}
		stop()
		<-done
	})
}

// A Probe that is under way as Run ends tells nothing of the store.
func TestCachedEndIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s, done := newShelf(), make(chan error)
		c := affinity.NewCached(affinity.NewMemory(100), s, affinity.CachedOptions{OnState: func(to affinity.State, cause error) {
			if cause != nil {
				t.Errorf("the state is %v: %v", to, cause)
			}
		}})
		s.set(func() { s.delay = 10 * time.Millisecond })
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
