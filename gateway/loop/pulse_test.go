//go:build unix

package loop_test

import (
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/loop"
)

// TestPulse has a handler keep the loop from its timers, and then lets the loop wait.
func TestPulse(t *testing.T) {
	l := start(t)
	before := l.Pulse()
	const blocked, waited = 70 * time.Millisecond, 300 * time.Millisecond
	late := make(chan struct{})
	p := newProbe()
	p.expire = func() { close(late) }
	do(t, l, func() {
		l.SetTimer(&p.Timer, l.Now()+time.Millisecond)
		time.Sleep(blocked + time.Millisecond)
	})
	await(t, late)
	got := l.Pulse()
	if busy := got.Busy - before.Busy; busy < blocked || got.Lag < blocked {
		t.Errorf("busy for %v, and its timer was late by %v, which must be %v at least", busy, got.Lag, blocked)
	}
	var early, all uint64
	for i, n := range got.Lags {
		if all += n; i <= 6 { // up to 64 ms
			early += n
		}
	}
	if all != 1 || early != 0 {
		t.Errorf("lags are %v", got.Lags)
	}

	began := time.Now()
	do(t, l, func() { before = l.Pulse() })
	p = newProbe()
	rested := make(chan struct{})
	p.expire = func() { close(rested) }
	do(t, l, func() { l.SetTimer(&p.Timer, l.Now()+waited) })
	await(t, rested)
	do(t, l, func() { got = l.Pulse() })
	if busy, took := got.Busy-before.Busy, time.Since(began); busy > took-waited+10*time.Millisecond {
		t.Errorf("busy for %v of %v, though it has waited for %v", busy, took, waited)
	}
}

func TestLagsAreSorted(t *testing.T) {
	l := start(t)
	for late, want := range map[time.Duration]int{
		0: 0, time.Millisecond: 0, time.Millisecond + 1: 1, 2 * time.Millisecond: 1, 5 * time.Millisecond: 3, 8 * time.Millisecond: 3,
		1024 * time.Millisecond: loop.Lags - 1, 1025 * time.Millisecond: loop.Lags, time.Hour: loop.Lags,
	} {
		before := l.Pulse()
		l.CountLate(late)
		if after := l.Pulse(); after.Lags[want] != before.Lags[want]+1 {
			t.Errorf("%v is not counted at %d, but %v", late, want, after.Lags)
		}
	}
}
