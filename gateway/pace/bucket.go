// Package pace holds what paces new sessions: a token bucket, and a queue that is fair between those who wait in it.
//
//	b := pace.Full()
//	if wait := b.Wait(now, 200, 400); wait == 0 {
//		b.Take()
//	}
//
// It has no clock, no lock and no goroutine: whoever uses it has them.
package pace

import (
	"math"
	"time"
)

// Bucket holds tokens, each good for one session. The zero value is empty at the time 0.
type Bucket struct {
	tokens float64
	at     time.Duration // when tokens was brought up to date
}

// Full returns a bucket with as many tokens as the burst that it is asked with first.
func Full() Bucket { return Bucket{tokens: math.Inf(1)} }

// almostOne is a token, but for what rounding takes of it.
const almostOne = 1 - 1e-9

// longestWait keeps the wait for a token of a very low rate within a Duration.
const longestWait = time.Hour

// Wait returns how long it takes until the bucket has a token, 0 where it has one. It has got rate tokens a second since it was
// last asked, and holds burst at most, at least one. rate is above 0, and now never goes back.
func (b *Bucket) Wait(now time.Duration, rate, burst float64) time.Duration {
	b.tokens = min(b.tokens+rate*(now-b.at).Seconds(), max(burst, 1))
	b.at = now
	if b.tokens >= almostOne {
		return 0
	}
	return time.Duration(min((1-b.tokens)/rate, longestWait.Seconds())*float64(time.Second)) + 1
}

// Take takes a token that is there.
func (b *Bucket) Take() { b.tokens = max(0, b.tokens-1) }

// GiveBack puts a token back that was taken.
func (b *Bucket) GiveBack() { b.tokens++ }
