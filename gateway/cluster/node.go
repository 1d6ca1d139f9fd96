package cluster

import (
	"crypto/tls"
	"math"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/pace"
)

// Node is one Socket.IO server process as the cluster's nodes were when it was looked up: it never changes. What is counted
// and found out of it is kept by its name when the nodes change.
type Node struct {
	Name    string
	Address string            // host:port
	Weight  int               // 1 or more
	Labels  map[string]string // not to be changed
	TLS     *tls.Config       // how it is spoken to; nil: without TLS

	*state
}

// state is what of a node outlives a change of the cluster's nodes.
type state struct {
	// Heard counts the node's answers, Talked what it says on tunnels.
	Heard, Talked atomic.Uint64
	// Follows is whether it has said an event that was sent to a session through the stream.
	Follows atomic.Bool
	// Resets is whether it has reset a connection whose request it may have read.
	Resets atomic.Bool
	// Unasked is when it last sent bytes that belong to no answer, in ns since 1970; 0: it has not.
	Unasked atomic.Int64

	leases atomic.Int64
	// Sessions by their transport; those that are being made are neither.
	polling, websockets atomic.Int64
	lasting             atomic.Int64 // sessions of those that poll that did so when they were old

	cuts    atomic.Int32 // handshakes that it cut since it last answered
	misses  atomic.Int32 // handshakes that it answered with no session since it last made one
	failing atomic.Bool  // has failed and not answered since: lets Answered return without the lock

	handicapped atomic.Bool // handicap is not 0: lets Made return without the lock

	// drainsSince is when draining began to hold, in ns since 1970, without the lock; 0: it does not.
	drainsSince  atomic.Int64
	unloadsSince atomic.Int64 // when it had more than its share, likewise
	watchedUntil atomic.Int64 // its sessions are, for some time after either, likewise
	readdressed  atomic.Int64 // when it got another address, in ns since 1970; 0: it has not
	heardAt      atomic.Int64 // when a request of one of its sessions came last while it is drained, in ns since 1970

	// Guarded by the cluster's mu.
	node      *Node     // as it is now; nil: the cluster has it no more
	hash      uint64    // of its name
	group     int       // that it belongs to
	unhealthy bool      // by its probes
	sick      time.Time // since when
	draining  bool      // by its operator
	share     float64   // of its weight, by its agent
	weight    float64   // by which it is picked: with its share, and less while it is warming
	warmSince time.Time
	cold      bool // new, or back from where it got nothing: it warms up when it may be picked
	sessions  int
	bucket    pace.Bucket
	others    int     // sessions that other replicas count
	double    Twice   // sessions that two replicas count, as was told last
	handicap  float64 // on top of its load, because it refuses handshakes
	turn      float64 // round robin: the virtual time of its last turn
	phase     float64 // round robin: where in its first interval it begins, so that equal nodes do not come in a row
	picked    uint64  // number of the last pick that took it
	until     time.Time
	why       Reason    // of the last ejection
	ejected   time.Time // when that was
	failed    time.Time // when the first ejection since it last worked was
	pause     time.Duration
	at        [3]int // its place in each queue, one more than the index; 0: not in it
}

// newState returns that of the i-th node of a list.
func newState(name string, i int) *state {
	s := &state{hash: hash(name), share: 1, turn: math.Inf(-1), bucket: pace.Full()}
	_, s.phase = math.Modf(float64(i+1) * math.Phi)
	return s
}

// Key is the same for a node of that name as long as the cluster has it, whatever else of it changes.
func (n *Node) Key() any { return n.state }

// Acquire takes a lease: one request or tunnel in flight. Release ends it.
func (n *Node) Acquire() { n.leases.Add(1) }

// Release ends a lease.
func (n *Node) Release() { n.leases.Add(-1) }

// Fails reports whether n has failed and not answered since.
func (n *Node) Fails() bool { return n.failing.Load() }

// warnPause is how long nothing more is said of a node's answers after a warning.
const warnPause = time.Minute

// MayWarn reports whether a warning of what n answers is due, which it is once a minute, however many answers call for it.
func (c *Cluster) MayWarn(n *Node) bool { return c.warned.Due(n.Key()) }

// untried reports whether nobody has asked it yet, and it has no session. It needs the cluster's mu.
func (s *state) untried() bool {
	return s.Heard.Load() == 0 && s.cuts.Load() == 0 && s.ejected.IsZero() && s.all() == 0
}

// load is what the node would carry per weight with one more session.
func (s *state) load() float64 { return float64(s.all()+1)/s.weight + s.handicap }

// all counts its sessions at all replicas.
func (s *state) all() int { return max(0, s.sessions+s.others-s.twice()) }

// due is the virtual time of its next turn.
func (s *state) due() float64 { return s.turn + 1/s.weight }

// leaves reports whether it is to get nothing new, whatever its probes say.
func (s *state) leaves() bool { return s.draining || s.share == 0 }

// mayBePicked reports whether it stands in the queues.
func (s *state) mayBePicked() bool { return s.at[bySessions] > 0 }
