//go:build unix

package loop

import (
	"container/heap"
	"time"
)

// Timer calls its owner at a time, or after this batch of events. Handlers embed one each.
type Timer struct {
	owner   Expirer
	when    time.Duration
	at      int32 // its place among the timers, one more than the index; 0: not set
	yielded bool
}

// Init makes e the one that the timer calls.
func (t *Timer) Init(e Expirer) { t.owner = e }

// Due returns when the timer is due, since the loop's start, and whether it is set.
func (t *Timer) Due() (time.Duration, bool) { return t.when, t.at > 0 }

// SetTimer has the owner's Expire called once at when, since the loop's start, and not at the time set before.
// It takes O(log n) for n timers: where a limit is put off often, let Expire find that it has come too early instead.
func (l *Loop) SetTimer(s *Timer, when time.Duration) {
	s.when = when
	if s.at == 0 {
		heap.Push(&l.due, s)
	} else {
		heap.Fix(&l.due, int(s.at)-1)
	}
}

// StopTimer takes the timer back, if it is set.
func (l *Loop) StopTimer(s *Timer) {
	if s.at > 0 {
		heap.Remove(&l.due, int(s.at)-1)
	}
}

// timers are ordered by when they are due.
type timers []*Timer

// in returns the milliseconds until the first is due, -1 for none.
func (d timers) in(now time.Duration) int {
	if len(d) == 0 {
		return -1
	}
	return int(max(0, (d[0].when-now+time.Millisecond-1)/time.Millisecond))
}

func (d *timers) Len() int { return len(*d) }

func (d *timers) Less(i, j int) bool { return (*d)[i].when < (*d)[j].when }

func (d *timers) Swap(i, j int) {
	s := *d
	s[i], s[j] = s[j], s[i]
	s[i].at, s[j].at = int32(i+1), int32(j+1)
}

func (d *timers) Push(s any) {
	*d = append(*d, s.(*Timer))
	s.(*Timer).at = int32(len(*d))
}

func (d *timers) Pop() any {
	s := *d
	last := s[len(s)-1]
	s[len(s)-1] = nil
	*d = s[:len(s)-1]
	last.at = 0
	return last
}
