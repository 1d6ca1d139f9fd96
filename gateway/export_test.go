package gateway

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
)

// Allowance is how long an upload may take.
var Allowance = allowance

// Unknowns is what finds out whether sids that nobody knows keep coming.
type Unknowns struct {
	unknowns
	count int
}

// NewUnknowns returns one that has heard of none.
func NewUnknowns() *Unknowns {
	return &Unknowns{unknowns: unknowns{known: cluster.NewSIDs(mostUnbound)}}
}

// Made notes n new sessions.
func (u *Unknowns) Made(n int) { u.made.Add(int64(n)) }

// Came notes another sid that nobody knows.
func (u *Unknowns) Came(client string) (many, one bool) {
	u.count++
	return u.Named(strconv.Itoa(u.count), client)
}

// Named notes that a sid was named that nobody knows.
func (u *Unknowns) Named(sid, client string) (many, one bool) {
	return u.came(time.Now(), sid, clientPrefix(client))
}

// SetDial has g connect to nodes by dial. It comes before Listen.
func SetDial(g *Gateway, dial func(netip.AddrPort) (int, error)) { g.dial = dial }

// ReleaseWave has some of the polls released that have waited for so long, and returns how many.
func ReleaseWave(g *Gateway, left int, age time.Duration) int { return g.releaseWave(left, age) }

// Cutoff is what finds out whether clients are cut off after a fixed time.
type Cutoff struct{ cutoff }

// Ended notes an end after that time.
func (f *Cutoff) Ended(age, most time.Duration, node string) (time.Duration, string) {
	return f.ended(time.Now(), ending{age, node}, most)
}

// Forgetting is what finds out why a node does not know sessions.
type Forgetting struct{ forgetting }

// Forgot notes that the node, which has made so many sessions, does not know one that began then and was polled last at that time, and reports
// whether that is a habit of pongs that come too late.
func (f *Forgetting) Forgot(now, began, polled time.Time, made int64, silence time.Duration) bool {
	f.note(now, made)
	why, _ := f.more(forgotten{bound: began, began: began, polled: polled}, now, made, silence)
	return why == unponged
}

// Fell notes that the node has cut a connection.
func (f *Forgetting) Fell(at time.Time) { f.fell.Store(at.UnixNano()) }

// Asking is of how many sessions other replicas are asked now.
func Asking(g *Gateway) int64 { return g.asking.Load() }

// Shorts is what finds out whether sessions end as soon as they have begun.
type Shorts struct{ shorts }

// Ended notes one of a node's, and reports whether there are too many; so many have begun.
func (s *Shorts) Ended(node string, begun uint64) bool {
	_, many := s.ended(time.Now(), byNodes, node, func() uint64 { return begun })
	return many
}

// ExpectStrangers has g tell of the next sid that nobody knows as if many had come for long.
func ExpectStrangers(g *Gateway) {
	for _, r := range g.topology.Load().all {
		u := &r.strangers
		u.mu.Lock()
		u.began, u.full = time.Now(), unknownWindows
		u.mu.Unlock()
	}
}

// Newcomers is what finds out whether new sessions are used.
type Newcomers struct{ newcomers }

// Came notes a new session, and reports what is found of those before.
func (n *Newcomers) Came(unused uint64, client, origin string) (found string, told bool) {
	f, told := n.more(time.Now(), unused, client, origin)
	return fmt.Sprintf("%s %s", f.origin, f.client), told
}

// Adopted notes a session of another replica.
func (n *Newcomers) Adopted() { n.adopted.Add(1) }

// AfterAMinute has g look at what sessions were made, with the next one.
func AfterAMinute(g *Gateway) {
	for _, r := range g.topology.Load().all {
		n := &r.newcomers
		n.mu.Lock()
		n.began = time.Time{}
		n.mu.Unlock()
	}
}

// SetPaceTime changes how long a handshake waits for its turn. It comes before Listen.
func SetPaceTime(g *Gateway, d time.Duration) { g.paceTime = d }

// SetProofTime changes how long a poll waits for its session to be proven. It comes before Listen.
func SetProofTime(g *Gateway, d time.Duration) { g.proofTime = d }

// FaultsAt are the faults that were noted within an hour before a time.
func (m *Metrics) FaultsAt(now time.Time) []Fault { return m.seen.list(now) }

// TrailSlots is how many sessions a trail remembers at most.
const TrailSlots = trailSlots

// NewTrail returns what notes a poll of a session in a trail, and what reads that.
func NewTrail() (polled func(sid string, status uint16), read func(sid string) (Trail, bool)) {
	t := newTrail()
	polled = func(sid string, status uint16) {
		if p := t.lock(sid, status < 400); p != nil {
			p.add(step{at: 1, status: status, kind: request.Poll})
			p.mu.Unlock()
		}
	}
	return polled, func(sid string) (Trail, bool) {
		p, known := t.read(sid)
		return p.trail(), known
	}
}

// ForgetTrails forgets what is remembered of sessions.
func ForgetTrails(g *Gateway) {
	for _, r := range g.topology.Load().all {
		for i := range r.trail.slots {
			s := &r.trail.slots[i]
			s.mu.Lock()
			s.footprint = footprint{}
			s.mu.Unlock()
		}
	}
}

// Descriptors is how many are counted as used.
func Descriptors(g *Gateway) int64 { return g.open.Load() + g.toNodes.Load() }

// Metrics are those that g counts in.
func (g *Gateway) Metrics() *Metrics { return g.metrics }

// Quota returns the take of a quota with a limit of 8, for one client.
func Quota() func(window int64) bool {
	var q quota
	return func(window int64) bool {
		over, full := q.take(netip.Prefix{}, 8, window)
		return !over && !full
	}
}

// HeldBodies is how much is kept of the bodies of requests that wait.
func HeldBodies(g *Gateway) (bytes int) {
	for _, d := range g.drivers {
		d.do(func() {
			for c := range d.clients {
				if c.x != nil && c.state == holding {
					bytes += cap(c.x.Upload.Body)
				}
			}
		})
	}
	return bytes
}

// Kept returns how many look-ups are given back of a request that has spent one in each of these windows.
func Kept(windows ...int64) int {
	var s spent
	for _, w := range windows {
		s.add(spent{window: w, n: 1})
	}
	return s.n
}
