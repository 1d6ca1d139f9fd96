package gateway

import (
	"sync"
	"time"

	"github.com/sidway/sidway/engineio"
)

// Above the limit of connections there is room for some more, so that live sessions are served and strangers get an answer
// that says why they are not: a sixteenth of the limit, and at least overflowLeast.
const (
	overflowShare = 16
	overflowLeast = 64
)

// Overflow is how many connections may be open above a limit of n. Beyond it each gets a 503, whatever it asks for.
func Overflow(n int) int { return max(overflowLeast, n/overflowShare) }

// crowdedTime is how long a connection beyond the overflow may take to send anything.
const crowdedTime = time.Second

// yieldTime is how long a connection has waited for its client, at least, when it is closed to make room for another one: even
// a slow client has sent a request by then, if it had one.
const yieldTime = time.Second

// fullAnswer is what a connection beyond the overflow gets. Nobody has looked at its request.
var fullAnswer = engineio.AnswerFor(engineio.PollGET, engineio.Query{}, engineio.Full).Append(nil, engineio.CORS{}, true)

// admit counts a new connection, and notes whether there is room for it.
func (g *Gateway) admit(c *client) {
	open, limit := g.open.Add(1), g.limit.Load()
	c.surplus = open > limit
	c.crowded = open > limit+int64(Overflow(int(limit)))
	g.Metrics.connections.Inc()
}

// SetConnections changes how many client connections may be open. Those that are stay.
func (g *Gateway) SetConnections(n int) { g.limit.Store(int64(n)) }

// closed counts a client connection as gone.
func (g *Gateway) closed() {
	g.open.Add(-1)
	g.Metrics.connections.Dec()
}

// makeRoom closes the connection that has waited longest for its client, of those in l and those that goroutines serve, and
// reports whether there was one.
func (g *Gateway) makeRoom(l *waiters, now time.Time) bool {
	g.waiters.mu.Lock()
	longest := g.waiters.first
	if longest == nil || l.first != nil && l.first.since.Before(longest.since) {
		longest = l.first
	}
	if longest == nil || now.Sub(longest.since) < yieldTime {
		g.waiters.mu.Unlock()
		return false
	}
	longest.list.remove(longest)
	holder := longest.holder
	g.waiters.mu.Unlock()
	holder.yield()
	return true
}

// waiter is a connection that waits for its client: for a request, or for the rest of one.
type waiter struct {
	holder     interface{ yield() } // closes it
	list       *waiters             // nil: it does not wait
	prev, next *waiter
	since      time.Time
}

// waiters are in the order in which they began to wait.
type waiters struct {
	first, last *waiter
	n           int
}

func (l *waiters) add(w *waiter, now time.Time) {
	w.list, w.since, w.prev, w.next = l, now, l.last, nil
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
}

// remove does nothing where w is not in the list.
func (l *waiters) remove(w *waiter) {
	if w.list != l {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.list, w.prev, w.next = nil, nil, nil
	l.n--
}

// sharedWaiters are those that goroutines serve.
type sharedWaiters struct {
	mu sync.Mutex
	waiters
}

func (l *sharedWaiters) add(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters.add(w, time.Now())
}

// remove reports whether w was in the list: if not, it had to give way.
func (l *sharedWaiters) remove(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := w.list != nil
	l.waiters.remove(w)
	return was
}
