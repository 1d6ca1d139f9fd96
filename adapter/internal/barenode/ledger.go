package main

import "sync"

// ledger judges numbers that must arrive as 0, 1, 2, …, by the rules of testdata/ledger.mjs.
type ledger struct {
	mu        sync.Mutex
	next      int
	missing   map[int]bool
	received  int
	doubled   int
	reordered int
	corrupt   int
}

func (l *ledger) take(seq int, intact bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received++
	if !intact {
		l.corrupt++
	}
	switch {
	case seq >= l.next:
		for skipped := l.next; skipped < seq; skipped++ {
			l.missing[skipped] = true
		}
		l.next = seq + 1
	case l.missing[seq]:
		delete(l.missing, seq)
		l.reordered++
	default:
		l.doubled++
	}
}

func (l *ledger) addTo(c *counts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Received += l.received
	c.Lost += len(l.missing)
	c.Doubled += l.doubled
	c.Reordered += l.reordered
	c.Corrupt += l.corrupt
}
