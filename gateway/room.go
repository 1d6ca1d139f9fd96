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

// Overflow is how many connections may be open above a limit of n. Beyond it strangers have less time and a cheaper answer.
func Overflow(n int) int { return max(overflowLeast, n/overflowShare) }

// crowdedTime is how long a connection beyond the overflow may take to send anything.
const crowdedTime = time.Second

// A connection is closed to make room for another one when it has waited for its client for so long: one that never carried a
// request, whose client has sent one by then if it had one, sooner than one that a live session may have kept.
const (
	yieldFresh = time.Second
	yieldKept  = 5 * time.Second
)

// fullAnswer is what a connection beyond the overflow gets. Nobody has looked at its request.
var fullAnswer = engineio.AnswerFor(engineio.PollGET, engineio.Query{}, engineio.Full).Append(nil, engineio.CORS{}, true)

// admit counts a new connection, and notes whether there is room for it.
func (g *Gateway) admit(c *client) {
	open, limit := g.open.Add(1), g.limit.Load()
	c.surplus = open > limit
	c.crowded = open > limit+int64(Overflow(int(limit)))
	g.Metrics.connections.Inc()
	if c.surplus && g.notices.due(notice{cause: "full"}) {
		g.Log.Warn("limits.connections is reached: idle connections give way, and strangers get 503 where none is idle", "connections", limit)
	}
}

// hasRoomForSessions reports whether there is room for the requests of live sessions even above the overflow.
func (g *Gateway) hasRoomForSessions() bool { return g.open.Load() <= g.most.Load() }

// SetConnections changes how many client connections may be open, and how many at most if those above are for requests of live
// sessions. Those that are open stay.
func (g *Gateway) SetConnections(n, most int) {
	g.limit.Store(int64(n))
	g.most.Store(int64(most))
}

// closed counts a client connection as gone.
func (g *Gateway) closed() {
	g.open.Add(-1)
	g.Metrics.connections.Dec()
}

// makeRoom closes the connection that has waited longest for its client, of those in l and those that goroutines serve, and
// reports whether there was one.
func (g *Gateway) makeRoom(l *waiting, now time.Time) bool {
	g.waiters.mu.Lock()
	w := longest(&l.fresh, &g.waiters.fresh, now.Add(-yieldFresh))
	if w == nil {
		w = longest(&l.kept, &g.waiters.kept, now.Add(-yieldKept))
	}
	if w == nil {
		g.waiters.mu.Unlock()
		return false
	}
	w.leave()
	holder := w.holder
	g.waiters.mu.Unlock()
	holder.yield()
	return true
}

// longest returns the one of both lists that has waited longest, nil where that is not since before the given time.
func longest(a, b *waiters, before time.Time) *waiter {
	w := a.first
	if w == nil || b.first != nil && b.first.since.Before(w.since) {
		w = b.first
	}
	if w == nil || w.since.After(before) {
		return nil
	}
	return w
}

// waiting are connections that wait for their clients.
type waiting struct {
	fresh waiters // those that never carried a request
	kept  waiters
}

func (l *waiting) add(c *client, now time.Time) {
	if c.fresh {
		l.fresh.add(&c.waiter, now)
	} else {
		l.kept.add(&c.waiter, now)
	}
}

func (l *waiting) len() int { return l.fresh.n + l.kept.n }

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

// leave takes w out of its list, and reports whether it was in one.
func (w *waiter) leave() bool {
	if w.list == nil {
		return false
	}
	w.list.remove(w)
	return true
}

func (l *waiters) remove(w *waiter) {
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

// sharedWaiting are those that goroutines serve.
type sharedWaiting struct {
	mu sync.Mutex
	waiting
}

func (l *sharedWaiting) add(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting.add(c, time.Now())
}

// again has c, whose request is a live session's, wait as one that was kept, and reports whether it was there.
func (l *sharedWaiting) again(c *client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := c.waiter.leave()
	if was {
		l.waiting.add(c, time.Now())
	}
	return was
}

// remove reports whether c was there: if not, it had to give way.
func (l *sharedWaiting) remove(c *client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.waiter.leave()
}
