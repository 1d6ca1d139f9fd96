package affinity

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// This file is for sids of which the store has said that it knows nothing.

// secondLook is how long after the first look in vain the store is asked again. Another replica may have met a hiccup of
// the store that we did not notice, have served a handshake with its binding kept, and be about to write it.
const secondLook = 300 * time.Millisecond

// Answers to many look-ups in vain are given in so many slices, with so long between two: those who flood ask again at once, and what comes in
// hundreds together keeps all others waiting.
const (
	landSlices = 8
	landPause  = time.Millisecond
)

// probePause is how long after one Probe the next one for a look-up in vain begins at the earliest.
const probePause = 10 * time.Millisecond

// vain are the sids of which the store has said that it knows nothing, in the order in which they are looked for again. One goroutine
// waits for all of them, and only while there are some: a flood of such sids takes no goroutine and no timer each.
type vain struct {
	mu     sync.Mutex
	sids   []string
	due    []time.Time
	waited bool // the goroutine is there
}

// add has look called with sid, and others that are due by then, when secondLook has passed.
func (v *vain) add(sid string, look func(sids []string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sids, v.due = append(v.sids, sid), append(v.due, time.Now().Add(secondLook))
	if !v.waited {
		v.waited = true
		go v.wait(look)
	}
}

// wait has look called with what is due until nothing is left.
func (v *vain) wait(look func(sids []string)) {
	for due, ok := v.first(); ok; due, ok = v.first() {
		time.Sleep(time.Until(due))
		look(v.take(time.Now()))
	}
}

// first returns when the first is due. False: there is none, and the goroutine ends.
func (v *vain) first() (due time.Time, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.waited = len(v.sids) > 0; !v.waited {
		v.sids, v.due = nil, nil
		return due, false
	}
	return v.due[0], true
}

// take returns what is due.
func (v *vain) take(now time.Time) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for n < len(v.due) && !v.due[n].After(now) {
		n++
	}
	sids := v.sids[:n:n]
	v.sids, v.due = v.sids[n:], v.due[n:]
	return sids
}

// secondLook looks again for sids of which the store has said that it knows nothing. What it does not know now either is believed to be
// unknown if a Probe allows it, which is one for all of them.
func (c *Cached) secondLook(sids []string) {
	p := c.phase.Load()
	errs := make([]error, len(sids))
	var looks sync.WaitGroup
	looks.Add(len(sids))
	for i, sid := range sids {
		c.look(p, sid, func(b Binding, err error) {
			if errs[i] = err; !errors.Is(err, ErrNotFound) {
				c.lookups.land(sid, b, err)
			}
			looks.Done()
		})
	}
	looks.Wait()
	if !slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, ErrNotFound) }) {
		return
	}
	doubt := c.doubt(p)
	for i, err := range errs {
		switch {
		case !errors.Is(err, ErrNotFound):
			continue
		case doubt != nil:
			c.tell(Unanswered)
			err = doubt
		case errors.Is(err, errBroken):
			c.tell(Broken)
		default:
			c.tell(Unknown)
		}
		c.lookups.land(sids[i], Binding{}, err)
		if slice := len(sids) / landSlices; slice > 0 && i%slice == slice-1 {
			time.Sleep(landPause)
		}
	}
}

// doubt returns nil where a look-up in phase p that found nothing is to be believed. For that a Probe must have begun
// after it, and must have found the store intact.
func (c *Cached) doubt(p *phase) error {
	ctx := context.Background()
	if p.state != Up {
		return p.why()
	}
	begun := c.probes.Load()
	turn := time.NewTimer(opTimeout) // apart from the Probe's own limit: a turn that comes late says nothing about the store
	defer turn.Stop()
	select {
	case c.probing <- struct{}{}:
	case <-turn.C:
		return ErrBusy
	}
	defer func() { <-c.probing }()
	if c.probes.Load() == begun {
		c.mu.Lock()
		rest := probePause - time.Since(c.intact)
		c.mu.Unlock()
		pause(ctx, rest) // so that one Probe serves all that look meanwhile
		if err := c.probe(ctx, p); err != nil {
			return err
		}
	}
	if c.proof.Load() <= begun || c.phase.Load() != p {
		return errRecovering
	}
	return nil
}
