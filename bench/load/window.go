//go:build linux

package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// run does the job's work for seconds and returns what it saw.
func (r *runner) run(seconds float64) Result {
	r.latency = Histogram{}
	r.ops, r.lost, r.foreign, r.resumes, r.reopened, r.due = 0, 0, 0, 0, 0, 0
	spent := processorTime()
	r.begin = r.now()
	r.end = r.begin
	until := r.begin + int64(seconds*1e9)
	switch {
	case r.job.Kind == Fanout:
		r.bursts(until)
	case r.job.Kind == Idle:
		r.rest(until)
	case r.job.Rate > 0:
		r.pace(until)
	default:
		r.chase(until)
	}
	r.drain()
	r.end = max(r.end, until)
	return Result{
		Ops: r.ops, Errors: r.errs, FirstError: r.firstErr, Foreign: r.foreign, Resumed: r.resumes, Reopened: r.reopened, Open: r.standing,
		Elapsed: time.Duration(r.end - r.begin).Seconds(),
		CPU:     (processorTime() - spent).Seconds(),
		Latency: r.latency.Quantiles(),
	}
}

// chase is the closed loop: each connection begins the next operation as soon as one has ended.
func (r *runner) chase(until int64) {
	r.running = true
	for i := range r.conns {
		if c := &r.conns[i]; c.phase == ready {
			if err := r.follow(c); err != nil {
				r.fail(c, err)
			}
		}
	}
	r.rest(until)
	r.running = false
}

// rest only serves what happens.
func (r *runner) rest(until int64) {
	for now := r.now(); now < until; now = r.now() {
		r.step(time.Duration(until - now))
	}
}

// pace is the open loop: operations become due at an even rate, whatever became of those before. One that is due while
// its connection is busy begins when that is not; its latency counts from when it was due.
func (r *runner) pace(until int64) {
	for i := range r.conns {
		r.conns[i].next = int64(i)
	}
	for now := r.now(); now < until; now = r.now() {
		for r.dueAt(r.due) <= now {
			r.release()
		}
		r.step(time.Duration(max(min(r.dueAt(r.due), until)-r.now(), 0)))
	}
}

// release lets the next operation begin.
func (r *runner) release() {
	c := &r.conns[r.due%int64(len(r.conns))]
	r.due++
	if c.phase != ready {
		return
	}
	if err := r.follow(c); err != nil {
		r.fail(c, err)
	}
}

// dueAt returns when operation k of an open loop is due.
func (r *runner) dueAt(k int64) int64 {
	return r.begin + int64(float64(k)*1e9/r.job.Rate)
}

// drain waits for the operations under way. Those that do not end, or never began, are errors.
func (r *runner) drain() {
	last := r.now() + int64(drainTime)
	for r.flying > 0 && r.now() < last {
		r.step(time.Millisecond)
	}
	due := r.due
	r.due = 0
	r.giveUp()
	if missing := due - r.ops - r.lost; missing > 0 {
		r.note(missing, fmt.Errorf("%d operations never began", missing))
	}
}

// giveUp fails the operations under way.
func (r *runner) giveUp() {
	for i := range r.conns {
		if c := &r.conns[i]; c.phase == busy {
			r.fail(c, errLate)
		}
	}
}

// processorTime returns what this process has taken.
func processorTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
