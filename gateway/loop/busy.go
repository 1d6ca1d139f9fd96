//go:build unix

package loop

import (
	"runtime"
	"time"
)

// All that leans on how Go's scheduler works is in this file, and in the calls of package sock and of the poller that do not tell
// it of a system call. It was tried with Go 1.26 (1.26.8, linux/amd64) and with no other version. Nothing breaks where one works
// differently: then a loop costs more, or others wait longer for a processor, until the scheduler interrupts the loop by a signal.
//
// A goroutine that enters a system call gives its processor (a P, one of GOMAXPROCS) back soon, and has to find one again
// afterwards. A loop waits some ten thousand times a second, a few microseconds each, so it keeps its P and the thread on it.
// It has to be paid for with a P for each loop beyond those that the program needs, which is why package replica sets GOMAXPROCS.
//
// What it gains is little: medians of 8 rounds in turn, on 2 shared processors, with and without it, were 9.6 and 10.2 µs of
// CPU for a poll, 3.5 and 3.6 for a frame, and the ranges overlap (bench -only poll64,frame200). Where the clients and the nodes
// are in the same process it loses, since all the others then run on other threads (go test -bench Road -cpu 2,4 ./gateway:
// 24 µs for a poll without, 36 with).

// SetBusy says whether the loop may keep its processor, in Go's sense of the word, while it waits for a moment. GOMAXPROCS must
// then be larger than the number of such loops, by what the rest of the program needs. It may be called from any goroutine.
// A loop begins without it.
func (l *Loop) SetBusy(may bool) { l.keeps.Store(may) }

// spin is how many batches of events are dealt with before the scheduler may run something else on this processor. A loop
// that may keep its processor leaves that to the scheduler, which interrupts it every 10 ms: each offer wakes another thread,
// and the loop moves there with nothing of what it needs in the cache.
const spin = 16

// nap is for how many milliseconds after the last event a loop waits without telling the scheduler. To tell it costs more
// than a small event, and makes the runtime's monitor look around every 20 µs; a loop that has had nothing to do for so
// long can afford it.
const nap = 30

// offer lets the scheduler run something else after a batch of events, now and then.
func (l *Loop) offer(batch int) {
	if !l.keeps.Load() && batch%spin == 0 {
		runtime.Gosched()
	}
}

// sleep waits for events, or for so many milliseconds, -1 being forever. A signal may end it early.
func (l *Loop) sleep(due int) int {
	if rest := nap - int((l.now-l.busy)/time.Millisecond); l.keeps.Load() && rest > 0 {
		if due >= 0 {
			rest = min(rest, due)
		}
		return l.poller.waitUntold(rest)
	}
	if n := l.poller.waitUntold(0); n > 0 {
		return n
	}
	return l.poller.wait(due)
}
