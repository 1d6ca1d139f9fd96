package cluster

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Sessions knows the polling sessions that are counted here, by sid: those this replica bound, from the open packet to
// the close packet, the end of their tunnel, or the expiry of their binding; and those another replica bound whose
// tunnel runs here. Its methods may be called concurrently.
type Sessions struct {
	cluster *Cluster
	start   time.Time
	fresh   *SIDs // opened, and not used yet
	watched atomic.Pointer[map[string]time.Time]
	unused  atomic.Uint64 // expired without having been used
	ended   atomic.Uint64
	expired atomic.Uint64
	lengths [Ends]lengths

	mu    sync.Mutex
	bySID map[string]session
	peak  int                // the most that bySID has held since it was made, as seen once a second
	due   map[int32][]string // second since start -> sids whose binding is to be looked at then
	ages  ages
	polls int // sessions that lasted by polling
	// taken counts sessions that upgraded here and that the replica that bound them counts too, by the second after which it does not;
	// sure those of them that have not ended, by the last second in which it does even if their node is drained.
	taken, sure takes
}

type session struct {
	node    *Node
	second  int32 // where it stands in due; 0 while tunnels hold it
	began   int32 // the second in which it did, or was first met here
	taken   int32 // where it stands in taken; 0: it does not
	sure    int32 // where it stands in sure, likewise
	tunnels int32 // that hold it: more than one where somebody else tries the sid too
	bound   bool  // by this replica
	heard   int32 // the second of its last request here, as far as its node was drained then
	lasts   bool  // it has polled here when it was old
}

// mostFresh is how many new sessions are known to be unused, so that a flood of them takes no more.
const mostFresh = 1 << 14

func newSessions(c *Cluster) *Sessions {
	return &Sessions{cluster: c, start: time.Now(), fresh: NewSIDs(mostFresh), bySID: map[string]session{}, due: map[int32][]string{}, taken: takes{}, sure: takes{}}
}

// Used tells that a request of sid has come, and reports whether it is the first since Open. It takes no lock.
func (s *Sessions) Used(sid string) bool { return s.fresh.Take(sid) }

// Unused returns how many sessions have expired since Open without a request, as far as is known: of those that are opened while
// very many others are, it is not, and they are not counted.
func (s *Sessions) Unused() uint64 { return s.unused.Load() }

// Open takes over the place that Pick reserved on n for the session sid, whose binding expires at the given time.
func (s *Sessions) Open(sid string, n *Node, expires time.Time) {
	sid = strings.Clone(sid)
	s.fresh.Add(sid)
	s.mu.Lock()
	old, known := s.remove(sid)
	s.put(sid, session{node: n, began: s.ages.add(s.now())}, expires)
	s.mu.Unlock()
	if known { // a maker that gives a sid twice: the older is no more
		s.cluster.Leave(old.node)
	}
}

// Connected takes over the place that Pick reserved on n for a session whose tunnel is its first and only transport. What it returns
// is for Disconnected.
func (s *Sessions) Connected(n *Node) (began int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.websockets.Add(1)
	return s.ages.add(s.now())
}

// Disconnected ends a session that Connected began, and returns how many whole seconds it lasted.
func (s *Sessions) Disconnected(n *Node, began int32) (lasted int32) {
	s.mu.Lock()
	n.websockets.Add(-1)
	s.ages.remove(began)
	s.mu.Unlock()
	s.ended.Add(1)
	s.cluster.Leave(n)
	return s.lasted(EndWebSocket, began)
}

// Moved tells that a session goes on at another node, where Pick or Join has reserved its place: sid is that of Upgraded, "" for one that
// Connected began.
func (s *Sessions) Moved(sid string, from, to *Node) {
	s.mu.Lock()
	if v, known := s.bySID[sid]; known && v.tunnels > 0 {
		v.node, v.sure = to, 0 // the replica that bound it counts it where it was
		s.set(strings.Clone(sid), v)
	} else {
		from.websockets.Add(-1)
		to.websockets.Add(1)
	}
	s.mu.Unlock()
	s.cluster.Leave(from)
}

// Follow tells on which node a session lives that polls, where it may have been moved, and reports whether it was.
func (s *Sessions) Follow(sid string, to *Node) bool {
	s.mu.Lock()
	v, known := s.bySID[sid]
	from := v.node
	moved := known && v.tunnels == 0 && from.Key() != to.Key()
	if moved {
		v.node = to
		s.set(strings.Clone(sid), v)
	}
	s.mu.Unlock()
	if moved {
		s.cluster.Join(to)
		s.cluster.Leave(from)
	}
	return moved
}

// Upgraded tells that a tunnel carries sid from now on: the session lives as long as that, not as its binding, which expires at the given
// time, and so long after the session's client may have been silent.
func (s *Sessions) Upgraded(sid string, n *Node, expires time.Time, margin time.Duration) {
	sid = strings.Clone(sid)
	s.mu.Lock()
	v, known := s.bySID[sid]
	if !known {
		v.began = s.ages.add(s.now())
		v.taken, v.sure = s.take(n.Name, expires, margin)
	}
	s.set(sid, session{node: n, began: v.began, taken: v.taken, sure: v.sure, tunnels: v.tunnels + 1, bound: v.bound})
	s.mu.Unlock()
	if !known {
		s.cluster.Join(n)
	}
}

// ProbeFailed tells that a tunnel of sid ended before the session moved to it: the session goes on by another tunnel, or
// by polling, and then is counted on where it was bound here.
func (s *Sessions) ProbeFailed(sid string, expires time.Time) {
	sid = strings.Clone(sid)
	s.mu.Lock()
	old, known := s.bySID[sid]
	ended := false
	switch { // one that is not known has been ended by a close packet
	case old.tunnels > 1:
		old.tunnels--
		s.set(sid, old)
	case old.bound:
		old.tunnels = 0
		s.put(sid, old, expires)
	case known:
		s.remove(sid)
		s.taken.remove(old.taken, old.node.Name) // the replica that bound it is the only one to count it
		ended = true
	}
	s.mu.Unlock()
	if ended {
		s.cluster.Leave(old.node)
	}
}

// Polled tells that sid has polled here, from time to time: a session that does so when it is old is known to last by polling.
// Where others are old and do not, their polls may come to other replicas, or they have upgraded there.
func (s *Sessions) Polled(sid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, known := s.bySID[sid]; known && !v.lasts && v.tunnels == 0 && s.now()-v.began >= oldAge {
		v.lasts = true
		s.set(strings.Clone(sid), v)
	}
}

// Old returns how many sessions are older than half a minute, and how many of them are known to poll still.
func (s *Sessions) Old() (all, polling int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ages.old(s.now()), s.polls
}

// Ended returns how many sessions have ended so that it was seen here, and how many bindings have expired: those of clients that
// vanished, and of sessions that went on as a WebSocket at another replica.
func (s *Sessions) Ended() (ended, expired uint64) { return s.ended.Load(), s.expired.Load() }

// HasTunnel reports whether a tunnel of this replica carries sid.
func (s *Sessions) HasTunnel(sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bySID[sid].tunnels > 0
}

// Recheck has Run look at the bindings of n's polling sessions within a second or two, and not when they expire: other replicas may have
// ended many.
func (s *Sessions) Recheck(n *Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	soon := s.now() + 1
	for sid, v := range s.bySID {
		if v.second > soon && v.node.Key() == n.Key() {
			v.second = soon
			s.bySID[sid] = v
			s.due[soon] = append(s.due[soon], sid)
		}
	}
}

// End gives the place of sid back, and returns how many whole seconds the session lasted; a sid that is not counted here changes nothing.
func (s *Sessions) End(sid string) (lasted int32, counted bool) {
	s.mu.Lock()
	old, known := s.remove(sid)
	s.mu.Unlock()
	if known {
		s.ended.Add(1)
		end := EndPolling
		if old.tunnels > 0 {
			end = EndWebSocket
		}
		lasted = s.lasted(end, old.began)
		s.cluster.Leave(old.node)
	}
	return lasted, known
}

// asking is how many sids are asked for at once: thousands may be due in the same second, when a network goes.
const asking = 64

// Run looks each second at the sessions whose binding should have expired, and ends those that have: expires, which is
// called concurrently, tells when the binding of a sid ends now, the zero time where there is none any more. It returns
// when ctx is done.
func (s *Sessions) Run(ctx context.Context, expires func(ctx context.Context, sid string) time.Time) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last int32
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := s.now()
		var work errgroup.Group
		work.SetLimit(asking)
		for _, sid := range s.dueIn(last, now) {
			work.Go(func() error {
				s.renew(sid, expires(ctx, sid))
				return nil
			})
		}
		_ = work.Wait()
		last = now
	}
}

// dueIn returns the polling sessions that are due from one second to another, both included.
func (s *Sessions) dueIn(from, to int32) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shrink()
	var sids []string
	for second := from; second <= to; second++ {
		for _, sid := range s.due[second] {
			if s.bySID[sid].second == second {
				sids = append(sids, sid)
			}
		}
		delete(s.due, second)
		delete(s.taken, second)
		delete(s.sure, second)
	}
	return sids
}

// shrink rebuilds bySID when it holds less than an eighth of what it has held, since a map never shrinks by itself. It
// needs mu.
func (s *Sessions) shrink() {
	s.peak = max(s.peak, len(s.bySID))
	if len(s.bySID) < s.peak/8 {
		small := make(map[string]session, len(s.bySID))
		maps.Copy(small, s.bySID)
		s.bySID, s.peak = small, len(small)
	}
}

// renew keeps a polling session until its binding's new end, or ends it; one that a tunnel took over stays.
func (s *Sessions) renew(sid string, expires time.Time) {
	s.mu.Lock()
	old, known := s.bySID[sid]
	ended := known && old.second != 0 && expires.IsZero()
	switch {
	case ended:
		s.remove(sid)
	case known && old.second != 0:
		s.put(sid, old, expires)
	}
	s.mu.Unlock()
	if fresh := s.fresh.Take(sid); ended { // else it has been used at another replica
		s.expired.Add(1)
		s.lasted(EndUnknown, old.began)
		s.cluster.Leave(old.node)
		if fresh {
			s.unused.Add(1)
		}
	}
}

// put has v, which was bound here, live as long as its binding. A session is looked at in the second after the binding's end. It
// needs mu.
func (s *Sessions) put(sid string, v session, expires time.Time) {
	v.second, v.bound = max(s.second(expires), s.now())+1, true
	s.set(sid, v)
	s.due[v.second] = append(s.due[v.second], sid)
}

// set needs mu.
func (s *Sessions) set(sid string, v session) {
	if old, known := s.bySID[sid]; known {
		s.count(old, -1)
	}
	s.bySID[sid] = v
	s.count(v, 1)
}

// remove needs mu.
func (s *Sessions) remove(sid string) (session, bool) {
	v, known := s.bySID[sid]
	if known {
		delete(s.bySID, sid)
		s.sure.remove(v.sure, v.node.Name)
		s.count(v, -1)
		s.ages.remove(v.began)
	}
	return v, known
}

// count adds to the counts in which v stands. It needs mu.
func (s *Sessions) count(v session, d int) {
	switch {
	case v.tunnels > 0:
		v.node.websockets.Add(int64(d))
		return
	case v.lasts:
		s.polls += d
		v.node.lasting.Add(int64(d))
	}
	v.node.polling.Add(int64(d))
}

// second counts from the start on the monotonic clock, so that a wall clock that jumps ends no session.
func (s *Sessions) second(t time.Time) int32 { return int32(t.Sub(s.start) / time.Second) }

func (s *Sessions) now() int32 { return s.second(time.Now()) }
