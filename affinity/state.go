package affinity

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// State tells what Cached may ask of the store behind it.
type State uint8

const (
	// Up: it is read and written.
	Up State = iota
	// Recovering: it is read and written, but was down or lost data lately, and replicas are still writing what it lacks.
	// What it does not know is not known to be unknown.
	Recovering
	// ReadOnly: it is read, writes are kept here, and what it does not know may be kept by another replica.
	ReadOnly
	// WriteOnly: it can be reached again and is written; it is not read before what was kept has been written.
	WriteOnly
	// Down: it is not touched but for probes.
	Down
)

// String returns the state's name, for logs and metrics.
func (s State) String() string {
	return [...]string{"up", "recovering", "read_only", "write_only", "down"}[s]
}

func (s State) reads() bool  { return s <= ReadOnly }
func (s State) writes() bool { return s == Up || s == Recovering || s == WriteOnly }

// phase is one stretch of time in one state. An operation holds the phase in which it began, so that a failure that
// comes late does not end a later phase.
type phase struct {
	state State
	again chan struct{} // closed when looking again is worth it; closed from the start while Up
	cause error         // why the store cannot be read and written, nil where it can
	late  atomic.Bool   // an answer was late, and Run has not found out yet whether the store is gone
}

// why returns, as an ErrUnavailable, why the store cannot be asked or not be believed in this phase.
func (p *phase) why() error {
	if p.cause != nil {
		return p.cause
	}
	return errRecovering
}

func newPhase(s State) *phase {
	p := &phase{state: s, again: make(chan struct{})}
	if s == Up {
		close(p.again)
	}
	return p
}

// shift ends the phase from and begins one in state to. It reports false, and does nothing, where from has ended
// already. A shift from a state to itself gives those who wait for Again their turn. cause is the error that it is about; what
// ended the use of the store stays the cause until the store is used again.
func (c *Cached) shift(from *phase, to State, cause error) bool {
	next := newPhase(to)
	if next.cause = cause; to == WriteOnly {
		next.cause = from.cause
	}
	if from.state != Up && !to.reads() {
		next.again = from.again
	}
	if !c.phase.CompareAndSwap(from, next) {
		return false
	}
	if from.state != Up && to.reads() {
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
	if errors.Is(err, ErrBusy) || errors.Is(err, context.Canceled) { // whoever asked has gone, as Run does in the end
		return err
	}
	if !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	if last := c.unready.Load(); last != nil {
		c.unready.CompareAndSwap(last, &err)
	}
	if errors.Is(err, ErrReadOnly) {
		c.shift(p, ReadOnly, err)
		return err
	}
	if errors.Is(err, ErrLate) && (p.state == Up || p.state == Recovering) {
		p.late.Store(true)
		c.rouse()
		return err
	}
	if p.state != Down || errors.Is(err, ErrDenied) && !errors.Is(p.cause, ErrDenied) || tellsMore(err, p.cause) {
		c.shift(p, Down, err)
	}
	return err
}
