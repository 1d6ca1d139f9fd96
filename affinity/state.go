package affinity

import (
	"errors"
	"sync/atomic"
)

// State tells what Cached may ask of the store behind it.
type State uint8

const (
	// Here: it is read and written.
	Here State = iota
	// Doubtful: it is read and written, but was away or lost data lately, and replicas are still writing what it lacks.
	// What it does not know is not known to be unknown.
	Doubtful
	// ReadOnly: it is read, writes are kept here, and what it does not know may be kept by another replica.
	ReadOnly
	// Returning: it can be reached again and is written; it is not read before what was kept has been written.
	Returning
	// Away: it is not touched but for probes.
	Away
)

// String returns the state's name, for logs and metrics.
func (s State) String() string {
	return [...]string{"here", "doubtful", "read_only", "returning", "away"}[s]
}

func (s State) reads() bool  { return s <= ReadOnly }
func (s State) writes() bool { return s == Here || s == Doubtful || s == Returning }

// phase is one stretch of time in one state. An operation holds the phase in which it began, so that a failure that
// comes late does not end a later phase.
type phase struct {
	state State
	again chan struct{} // closed when looking again is worth it; closed from the start while Here
	cause error         // why the store cannot be read and written, nil where it can
	late  atomic.Bool   // an answer was late, and Run has not found out yet whether the store is gone
}

func newPhase(s State) *phase {
	p := &phase{state: s, again: make(chan struct{})}
	if s == Here {
		close(p.again)
	}
	return p
}

// shift ends the phase from and begins one in state to. It reports false, and does nothing, where from has ended
// already. A shift from a state to itself gives those who wait for Again their turn. cause is the error that it is about; what
// ended the use of the store stays the cause until the store is used again.
func (c *Cached) shift(from *phase, to State, cause error) bool {
	next := newPhase(to)
	if next.cause = cause; to == Returning {
		next.cause = from.cause
	}
	if from.state != Here && !to.reads() {
		next.again = from.again
	}
	if !c.phase.CompareAndSwap(from, next) {
		return false
	}
	if from.state != Here && to.reads() {
		close(from.again)
	}
	if c.o.OnState != nil && (from.state != to || cause != nil) {
		c.o.OnState(to, cause)
	}
	c.rouse()
	return true
}

// fail notes that an operation of phase p met err, and returns it as an ErrUnavailable. One late answer of a store in use proves
// little on a busy machine, so Run makes a Probe at once: only where that fails too the store counts as gone.
func (c *Cached) fail(p *phase, err error) error {
	if errors.Is(err, ErrBusy) {
		return err
	}
	if last := c.unready.Load(); last != nil {
		c.unready.CompareAndSwap(last, &err)
	}
	if errors.Is(err, ErrReadOnly) {
		c.shift(p, ReadOnly, err)
		return err
	}
	if errors.Is(err, ErrLate) && (p.state == Here || p.state == Doubtful) {
		p.late.Store(true)
		c.rouse()
		return err
	}
	if p.state != Away || errors.Is(err, ErrDenied) && !errors.Is(p.cause, ErrDenied) {
		c.shift(p, Away, err)
	}
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return ErrUnavailable
}
