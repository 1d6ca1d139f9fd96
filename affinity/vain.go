package affinity

import (
	"sync"
	"time"
)

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
