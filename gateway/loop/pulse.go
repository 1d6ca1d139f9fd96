//go:build unix

package loop

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Lags are the bounds of Pulse.Lags: late by up to 1 ms, 2 ms, 4 ms and so on to 1.024 s.
const Lags = 11

// Pulse tells how a loop keeps up. All of it only grows.
type Pulse struct {
	// Busy is the time that it did not wait for events: where it grows by a second each second, the loop is the bottleneck.
	Busy time.Duration
	// Lags counts timers by how late they were: Lags[i] those that were late by up to 1<<i ms and more than half of that, and the last
	// one the rest. What has kept a timer waiting has kept everything else on the loop waiting.
	Lags [Lags + 1]uint64
	// Lag is by how much all of them together were late.
	Lag time.Duration
}

// pulse is Pulse as the loop counts it: it alone writes.
type pulse struct {
	busy, lag atomic.Int64
	lags      [Lags + 1]atomic.Uint64
}

// late counts a timer that is called so much after its time.
func (p *pulse) late(d time.Duration) {
	p.lag.Add(int64(d))
	p.lags[min(bits.Len64(uint64(max(d-1, 0)/time.Millisecond)), Lags)].Add(1)
}

// Pulse returns how the loop has kept up. It may be called from any goroutine.
func (l *Loop) Pulse() Pulse {
	p := Pulse{Busy: time.Duration(l.pulse.busy.Load()), Lag: time.Duration(l.pulse.lag.Load())}
	for i := range p.Lags {
		p.Lags[i] = l.pulse.lags[i].Load()
	}
	return p
}
