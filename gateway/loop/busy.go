//go:build unix

package loop

import (
	"runtime"
	"time"
)

// All that leans on how Go's scheduler works is in this file, and in the calls of package sock and of the poller that do not tell
// it of a system call. It was tried with Go 1.26. Nothing breaks where another version works differently: then a loop costs
// more, or others wait longer for a processor, until the scheduler interrupts the loop by a signal.

// mayKeep reports whether n loops may keep their processors: others are left for the rest of the program.
func mayKeep(n int) bool { return runtime.GOMAXPROCS(0) > n }

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
	if !l.keeps && batch%spin == 0 {
		runtime.Gosched()
	}
}

// sleep waits for events, or for so many milliseconds, -1 being forever. A signal may end it early.
func (l *Loop) sleep(due int) int {
	if rest := nap - int((l.now-l.busy)/time.Millisecond); l.keeps && rest > 0 {
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
