package auth

import (
	"sync/atomic"
	"time"
)

// Fault is why the last look-up of keys, or at a server, has failed.
type Fault struct {
	At   time.Time // of the look-up
	Why  string    // without a URL, which may hold a password
	Some bool      // clients are let in all the same: by keys that are known already, or unasked
}

// lookup remembers how the last look-up ended.
type lookup struct{ fault atomic.Pointer[Fault] }

// ended notes how one ended, and reports whether that differs from the one before.
func (l *lookup) ended(err error) bool {
	var now *Fault
	if err != nil {
		now = &Fault{At: time.Now().UTC(), Why: err.Error()}
	}
	return (l.fault.Swap(now) == nil) != (now == nil)
}

// with returns the fault, nil if there is none.
func (l *lookup) with(some bool) *Fault {
	f := l.fault.Load()
	if f == nil {
		return nil
	}
	return &Fault{At: f.At, Why: f.Why, Some: some}
}
