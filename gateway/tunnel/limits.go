package tunnel

import (
	"math"
	"time"
)

// arm sets the tunnel's deadline to the first of its limits. The client's silence is looked at lazily: bytes that come
// move no deadline, which is found to be early when it is due.
func (t *tunnel) arm() {
	when, _ := t.first()
	if set, ok := t.Due(); when < math.MaxInt64 && (!ok || when < set) {
		t.loop.SetTimer(&t.Timer, when)
	}
}

// first returns the limit that ends first, and what that would mean.
func (t *tunnel) first() (time.Duration, func()) {
	when, act := time.Duration(math.MaxInt64), func() {}
	if t.lingers > 0 {
		when, act = t.lingers, func() { t.because(Failed); t.close() }
	}
	if t.ends > 0 && t.ends < when {
		when, act = t.ends, t.expire
	}
	if t.postponed > 0 && t.postponed < when {
		when, act = t.postponed, t.proceed
	}
	for i := range t.directions {
		w := &t.directions[i]
		if end := w.blocked + t.block; t.block > 0 && len(w.waiting) > 0 && end < when {
			when, act = end, func() { t.abandon(1-i, Blocked) }
		}
	}
	if t.meter != nil && t.meter.pause > 0 {
		if t.meter.pause < when {
			when, act = t.meter.pause, t.goOn
		}
		return when, act
	}
	if up := &t.directions[0]; t.idle > 0 && !t.held && !up.eof && !up.over && len(up.waiting) == 0 && t.heard+t.idle < when {
		when, act = t.heard+t.idle, func() { t.abandon(0, ClientIdle) }
	}
	return when, act
}

// Expire implements loop.Expirer. Where no limit runs, the next one to begin sets the timer again.
func (t *tunnel) Expire() {
	switch when, act := t.first(); {
	case when <= t.loop.Now():
		act()
	case when < math.MaxInt64:
		t.loop.SetTimer(&t.Timer, when)
	}
}

// expire ends the tunnel as stop does, because its time is over.
func (t *tunnel) expire() {
	t.ends = 0
	t.finish(Expired)
	t.proceed()
}

// proceed goes on after a limit has ended, and waits for the next one.
func (t *tunnel) proceed() {
	if t.pump(); !t.gone {
		t.arm()
	}
}

// abandon ends the tunnel for the fault of one side, and drops what that side did not take rather than leave it to the kernel
// for minutes.
func (t *tunnel) abandon(side int, c Cause) {
	if side == 0 || !t.nodeless {
		t.loop.Abort(t.tokens[side], t.fd(side))
	}
	t.because(c)
	t.close()
}

// finish ends the direction to the client, as if the node had closed, but not while the client is within the preface.
func (t *tunnel) finish(why Cause) {
	switch begun := t.directions[0].passed; {
	case t.postponed > 0 && t.loop.Now() < t.postponed && begun <= t.preface:
		return
	case t.postponed == 0 && begun > 0 && begun <= t.preface:
		t.postponed, t.why = t.loop.Now()+prefaceTime, why
		t.arm()
		return
	}
	t.postponed, t.preface = 0, 0
	t.because(why)
	t.directions[1].eof, t.held = true, false
}
