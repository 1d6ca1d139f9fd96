//go:build unix

package loop

import (
	"container/heap"
	"time"
)

// Seat is a handler's place on its loop: its timer and its turn. Handlers embed one each.
type Seat struct {
	handler Handler
	when    time.Duration
	at      int32 // its place among the timers, one more than the index; 0: not set
	queued  bool  // it waits for its turn
}

// Sit makes h the handler that the seat's timer and turns call.
func (s *Seat) Sit(h Handler) { s.handler = h }

// Timer returns when the timer is due, since the loop's start, and whether it is set.
func (s *Seat) Timer() (time.Duration, bool) { return s.when, s.at > 0 }

// SetTimer has the handler's Expire called once at when, since the loop's start, and not at the time set before.
// It takes O(log n) for n timers: where a limit is put off often, let Expire find that it has come too early instead.
func (l *Loop) SetTimer(s *Seat, when time.Duration) {
	s.when = when
	if s.at == 0 {
		heap.Push(&l.due, s)
	} else {
		heap.Fix(&l.due, int(s.at)-1)
	}
}

// StopTimer takes the timer back, if it is set.
func (l *Loop) StopTimer(s *Seat) {
	if s.at > 0 {
		heap.Remove(&l.due, int(s.at)-1)
	}
}

// timers are ordered by when they are due.
type timers []*Seat

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
	*d = append(*d, s.(*Seat))
	s.(*Seat).at = int32(len(*d))
}

func (d *timers) Pop() any {
	s := *d
	last := s[len(s)-1]
	s[len(s)-1] = nil
	*d = s[:len(s)-1]
	last.at = 0
	return last
}
