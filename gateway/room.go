package gateway

import (
	"math"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
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
var (
	full       = engineio.AnswerFor(engineio.PollGET, engineio.Query{}, engineio.Full)
	fullAnswer = full.Append(nil, engineio.CORS{}, true)
)

// admit counts a new connection, and notes whether there is room for it. Sessions that poll have places whether they are connected or
// not, since clients without keep-alive make a connection for each poll.
func (g *Gateway) admit(c *clientConn) {
	open, limit, sockets := g.open.Add(1), g.limit.Load(), g.sockets.Load()
	if open-sockets > g.most.Load() {
		g.most.Store(open - sockets) // of two at a time either will do
	}
	above := max(open, sockets+g.polling.Load()+1) > limit
	c.crowded = open > limit+int64(Overflow(int(limit))) || !g.hasRoomForStrangers()
	c.surplus = above || c.crowded
	g.metrics.connections.Inc()
	switch {
	case above:
		if g.notices.due("full", "", "") {
			g.log.Warn("limits.connections is reached: idle connections give way, and strangers get 503 where none is idle", "connections", limit)
		}
	case c.crowded:
		g.tellShortage()
	}
}

// tellShortage tells once in a while that strangers are refused for want of descriptors. With HTTP/1.1 alone the limit of connections is
// reached first.
func (g *Gateway) tellShortage() {
	if g.notices.due("descriptors", "", "") {
		g.log.Warn("descriptors run short: idle connections give way, and strangers get 503 where none is idle; raise the limit (ulimit -n)",
			"descriptors", g.descriptors.Load())
	}
}

// hasRoomForSessions reports whether there is room for the requests of live sessions even above the overflow: as long as one more
// client, with its connection to a node, finds descriptors.
func (g *Gateway) hasRoomForSessions() bool {
	return g.open.Load()+g.toNodes.Load() < g.mostDescriptors(true)
}

// strangersShare is the part of the descriptors that strangers leave to live sessions: one in so many. Their requests leave half as much again,
// so that there is room for connections to wait whose first request may be a live session's.
const strangersShare = 16

// mostDescriptors returns how many descriptors may be used when a live session wants one more, or a stranger.
func (g *Gateway) mostDescriptors(live bool) int64 {
	switch most := g.descriptors.Load(); {
	case most == 0:
		return math.MaxInt64
	case live:
		return most
	default:
		return most - most/strangersShare - most/(2*strangersShare)
	}
}

// hasRoomForStrangers reports whether there is room for the requests of strangers.
func (g *Gateway) hasRoomForStrangers() bool {
	return g.open.Load()+g.toNodes.Load() < g.mostDescriptors(false)
}

// hasRoomToWait reports whether connections above the overflow may go on waiting for their clients: what they leave is
// for those that turn out to be live sessions'.
func (g *Gateway) hasRoomToWait() bool {
	most := g.descriptors.Load()
	return most == 0 || g.open.Load()+g.toNodes.Load() < most-most/strangersShare
}

// SetShort has sessions begin no more while short, so that those which live keep their memory.
func (g *Gateway) SetShort(short bool) { g.short.Store(short) }

// Short returns what SetShort was told last.
func (g *Gateway) Short() bool { return g.short.Load() }

// SetConnections changes how many client connections may be open, and how many descriptors may be used for client connections
// and connections to nodes, 0 for any number, where those above are for requests of live sessions. Connections that are open
// stay. It is to be called each second or so: it counts the sessions that poll, for which it keeps places, but no more than
// connections were there at a time: one of HTTP/2 has many sessions.
func (g *Gateway) SetConnections(n, descriptors int) {
	polling, counted := int64(0), map[*cluster.Cluster]bool{}
	for _, r := range g.topology.Load().all {
		if !counted[r.Cluster] {
			counted[r.Cluster] = true
			polling += int64(r.Cluster.Polling())
		}
	}
	before := g.polling.Load()
	g.polling.Store(min(polling, max(g.most.Swap(0), before-before/8)))
	g.limit.Store(int64(n))
	g.descriptors.Store(int64(descriptors))
}

// Connections returns how many client connections are open, those of tunnels too, and how many may be.
func (g *Gateway) Connections() (open, limit int64) { return g.open.Load(), g.limit.Load() }

// closed counts a client connection as gone.
func (g *Gateway) closed(s seat) {
	g.stand(s)
	g.open.Add(-1)
	g.metrics.connections.Dec()
}

// makeRoom closes the connection that has been waited for longest, and reports whether there was one.
func (d *driver) makeRoom() bool {
	now := d.loop.Clock()
	return d.waiters.fresh.dropSilent(now.Add(-yieldFresh)) || d.waiters.kept.dropSilent(now.Add(-yieldKept))
}

// silentAmong is how many of those waited for longest are asked whether they have sent something.
const silentAmong = 16

// dropSilent closes the connection that has been waited for longest, since before the given time, and reports whether there was
// one. Those that have sent what the loop has not come to read are no longer waited for.
func (l *waiters) dropSilent(before time.Time) bool {
	w := l.first
	for n := 0; n < silentAmong && w != nil && !w.since.After(before); n++ {
		if w.c.quiet() {
			w.c.depart()
			return true
		}
		w = w.next
	}
	return false
}

// hasRoom reports whether there is room for the request of a live session on this connection, if need be a stranger's.
func (c *clientConn) hasRoom() bool {
	c.waiter.leave()
	if c.g.hasRoomForSessions() || c.d.makeRoomForSessions() || c.d.dropIdle() {
		return true
	}
	w := c.d.waiters.crowded.first // which may be a live session's as well, but nobody knows
	if w != nil {
		w.c.depart()
	}
	return w != nil
}

// hasRoomForStranger reports whether there are descriptors for the request of a stranger on this connection, if need be an idle one's.
func (c *clientConn) hasRoomForStranger() bool {
	if c.g.hasRoomForStrangers() {
		return true
	}
	c.waiter.leave()
	if c.d.makeRoom() || c.d.dropIdle() {
		return true
	}
	c.g.tellShortage()
	return false
}

// makeRoomForSessions closes the connection above the overflow that has been waited for longest, and reports whether there was
// one.
func (d *driver) makeRoomForSessions() bool {
	return d.waiters.crowded.dropSilent(d.loop.Clock())
}

// waiting are connections whose clients are waited for.
type waiting struct {
	crowded waiters // those above the overflow, and strangers that have been answered
	fresh   waiters // others that never carried a request
	kept    waiters
}

func (l *waiting) add(c *clientConn, now time.Time) {
	l.of(c.crowded, c.fresh).add(&c.waiter, now)
}

// of returns the list of connections that are like that.
func (l *waiting) of(crowded, fresh bool) *waiters {
	switch {
	case crowded:
		return &l.crowded
	case fresh:
		return &l.fresh
	}
	return &l.kept
}

func (l *waiting) len() int { return l.crowded.n + l.fresh.n + l.kept.n }

// waited is a connection whose client is waited for.
type waited interface {
	// quiet reports whether the client has sent nothing that is not read yet.
	quiet() bool
	// depart closes the connection.
	depart()
}

var (
	_ waited = (*clientConn)(nil)
	_ waited = (*http2Conn)(nil)
)

// quiet implements waited.
func (c *clientConn) quiet() bool { return c.d.loop.Quiet(c.token, c.fd) }

// waiter is the place in a list of a connection whose client is waited for: for a request, or for the rest of one.
type waiter struct {
	c          waited
	list       *waiters // nil: it is in none
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
