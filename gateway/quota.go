package gateway

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/request"
)

// quotaShare is the part of the limit of unknown sids that one client address may use.
const quotaShare = 4

// quota bounds how many sids that nobody knows are looked up in a window of time: in all, and for one client address, for IPv6 one /64.
// A look-up that finds a session, or that the store does not answer, is not counted once that is known, so that sessions of
// other replicas that move here in thousands are not refused.
type quota struct {
	mu     sync.Mutex
	window int64
	all    int
	by     map[netip.Prefix]int
}

// windowOf returns the window that a moment lies in, and how many look-ups it has where so many are allowed in a second: a second, or a
// tenth of one where that is enough of them, so that thousands do not come at once.
func windowOf(now time.Time, perSecond int) (window int64, limit int) {
	if perSecond < 400 {
		return now.Unix(), perSecond
	}
	return now.UnixMilli() / 100, perSecond / 10
}

// take counts a look-up. It reports instead that the client is over its share, or that the limit of all is full.
func (q *quota) take(client netip.Prefix, limit int, window int64) (over, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.by == nil || window > q.window || window < q.window/2 { // one loop's clock is behind another's, and the width of windows may change
		q.window, q.all, q.by = window, 0, map[netip.Prefix]int{}
	}
	switch n := q.by[client]; {
	case n >= max(1, limit/quotaShare):
		return true, false
	case q.all >= limit:
		return false, true
	default:
		q.by[client], q.all = n+1, q.all+1
		return false, false
	}
}

// spent is what one client has taken of the quota in one window.
type spent struct {
	client netip.Prefix
	window int64
	n      int // 0: nothing
}

// add adds what was taken later. Of an earlier window there is nothing to give back.
func (s *spent) add(later spent) {
	if s.client == later.client && s.window == later.window {
		later.n += s.n
	}
	*s = later
}

// giveBack takes look-ups out of the count, as far as their window lasts.
func (q *quota) giveBack(s spent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.n > 0 && q.window == s.window {
		q.by[s.client] -= s.n
		q.all -= s.n
	}
}

// spend takes one look-up for the request's client: nothing where there is no limit.
func (c *clientConn) spend() (s spent, over, full bool) {
	window, limit := windowOf(c.d.loop.Clock(), c.g.limits().UnknownSIDs)
	if limit == 0 {
		return spent{}, false, false
	}
	s = spent{clientPrefix(c.x.Origin().IP), window, 1}
	over, full = c.g.quota.take(s.client, limit, window)
	return s, over, full
}

// smallBody is how much of a body a client may have kept here while it waits for having named too many sids that are unknown. Of what is longer
// nothing is kept, so that it is refused when it has waited.
const smallBody = 4 << 10

// clientPrefix is what counts as one client. What is no address counts as one, too.
func clientPrefix(ip string) netip.Prefix {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 128
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(min(bits, addr.BitLen()))
	return p
}

// lookUp asks the store for the session's binding. A client whose sids keep being unknown is made to wait and then refused, so that its
// connections can ask no more often than that, and while there are too many of them in all a request waits: that its session does not
// exist is said only where the store says so.
func (c *clientConn) lookUp() {
	x := c.x
	spent, over, full := c.spend()
	switch {
	case over && x.heldAt.IsZero() && x.Kind != request.Preflight:
		x.heldAt = time.Now()
		c.bounded(boundUnknown, strangerWait, true)
		then := c.resolve
		if len(x.Upload.Body) > smallBody {
			x.Upload.Body, then = nil, c.refuseStranger
		}
		c.hold(strangerWait+rand.N(strangerWait), then) // thousands that came at once do not come again at once
		return
	case over:
		c.refuseStranger()
		return
	case full:
		c.bounded(boundUnknown, retryPause, true)
		c.holdForStore()
		return
	}
	var b affinity.Binding
	var err error
	span := x.span.Child("look-up", true)
	c.suspend(
		func(done func()) {
			x.route.Store.LookupThen(x.Query.SID, func(found affinity.Binding, why error) {
				if b, err = found, why; !errors.Is(err, affinity.ErrNotFound) {
					c.g.quota.giveBack(spent)
				}
				if err != nil {
					span.Fail(err.Error())
				}
				span.End()
				done()
			})
		},
		func() {
			switch x.stray = errors.Is(err, affinity.ErrNotFound); {
			case err == nil:
				x.Binding, x.heldAt = b, time.Time{}
				x.route.newcomers.adopted.Add(1)
				c.renew()
			case x.stray && !c.g.mayBeStray():
				c.fail(engineio.SIDUnknown)
			default:
				c.search()
			}
		}, nil)
}

// refuseStranger refuses a client whose sids keep being unknown.
func (c *clientConn) refuseStranger() {
	c.bounded(boundUnknown, 0, false)
	c.fail(engineio.TooMany)
}

// holdForStore has the store asked again soon.
func (c *clientConn) holdForStore() {
	now := time.Now()
	if c.x.heldAt.IsZero() {
		c.x.heldAt = now
	}
	if c.x.Kind == request.Preflight || now.Sub(c.x.heldAt) >= c.g.limits().QueueTime {
		c.fail(engineio.StoreAway)
		return
	}
	c.hold(retryPause, c.resolve)
}
