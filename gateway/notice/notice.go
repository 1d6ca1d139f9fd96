// Package notice bounds how often the log says the same thing, however many requests give cause for it.
//
//	cuts := notice.Limiter[string]{Pause: time.Hour, Most: 16}
//	…
//	if cuts.Due(node.Name) {
//		log.Warn("a node cuts connections", "node", node.Name)
//	}
//
// A Limiter writes nothing itself, and counts nothing: metrics tell how often there was cause.
package notice

import (
	"sync"
	"time"
)

// Limiter says when a notice about a K is due: once, and not again within a pause. Its fields are set before it is used and stay as
// they are; its methods may be called concurrently. It must not be copied after use.
type Limiter[K comparable] struct {
	Pause time.Duration
	Most  int // different Ks that are told of within a pause; 0: any number, for a K of a closed set

	mu   sync.Mutex
	last map[K]time.Time
}

// Due reports whether it is time to tell of k, and takes it as told then.
func (l *Limiter[K]) Due(k K) bool { return l.due(k, false) }

// DueAfterQuiet is Due for trouble that goes on: it is told of when it begins, and again only after a pause without any.
func (l *Limiter[K]) DueAfterQuiet(k K) bool { return l.due(k, true) }

func (l *Limiter[K]) due(k K, extend bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if last, told := l.last[k]; told && now.Sub(last) < l.Pause {
		if extend {
			l.last[k] = now
		}
		return false
	}
	for other, last := range l.last {
		if now.Sub(last) >= l.Pause {
			delete(l.last, other)
		}
	}
	if l.Most > 0 && len(l.last) >= l.Most {
		return false
	}
	if l.last == nil {
		l.last = make(map[K]time.Time)
	}
	l.last[k] = now
	return true
}
