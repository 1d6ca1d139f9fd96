package gateway

import (
	"sync"
	"time"
)

const (
	// noticePause is how long a notice about the same thing is not repeated.
	noticePause = time.Hour
	// mostNotices bounds how many different ones of a cause are logged in that time.
	mostNotices = 16
)

// notices keeps warnings that each of thousands of requests could give down to one.
type notices struct {
	mu   sync.Mutex
	last map[notice]time.Time
}

// notice is what a warning is about.
type notice struct{ cause, cluster, node string }

// due reports whether it is time to log n, and notes that it has been logged.
func (all *notices) due(n notice) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	same := 0
	for other, last := range all.last {
		switch {
		case time.Since(last) >= noticePause:
			delete(all.last, other)
		case other.cause == n.cause:
			same++
		}
	}
	if _, known := all.last[n]; known || same >= mostNotices {
		return false
	}
	if all.last == nil {
		all.last = map[notice]time.Time{}
	}
	all.last[n] = time.Now()
	return true
}
