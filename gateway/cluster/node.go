package cluster

import (
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/http1"
)

// Node is one Socket.IO server process. Its name is stable; its address may change with a reload.
type Node struct {
	Name    string
	Address string
	Weight  int

	// Pool holds the node's kept connections.
	Pool *http1.Pool

	// Heard counts the node's answers, Talked what it says on tunnels.
	Heard, Talked atomic.Uint64

	leases   atomic.Int64
	quiet    atomic.Int64 // until when no warning of it is due, on the same clock
	cuts     atomic.Int32 // handshakes that it cut since it last answered
	misses   atomic.Int32 // handshakes that it answered with no session since it last made one
	refusals atomic.Int32 // handshakes that it refused by a rule, likewise
	failing  atomic.Bool  // has failed and not answered since: lets Answered return without the lock

	// Guarded by the cluster's mu.
	sessions int
	turn     float64 // round robin: the virtual time of its next turn
	phase    float64 // round robin: where in its first interval it begins, so that equal nodes do not come in a row
	picked   uint64  // number of the last pick that took it
	until    time.Time
	why      Reason // of the last ejection
	ejected  time.Time
	pause    time.Duration
	at       [3]int // its place in each queue, one more than the index; 0: not in it
}

func newNode(cfg Config) *Node {
	return &Node{Name: cfg.Name, Address: cfg.Address, Weight: max(cfg.Weight, 1), Pool: cfg.Pool}
}

// Acquire takes a lease: one request or tunnel in flight. Release ends it.
func (n *Node) Acquire() { n.leases.Add(1) }

// Release ends a lease.
func (n *Node) Release() { n.leases.Add(-1) }

// warnPause is how long nothing more is said of a node's answers after a warning.
const warnPause = time.Minute

// MayWarn reports whether a warning of what n answers is due, which it is once a minute, however many answers call for it.
func (c *Cluster) MayWarn(n *Node) bool {
	now, until := int64(time.Since(c.start)), n.quiet.Load()
	return now >= until && n.quiet.CompareAndSwap(until, now+int64(warnPause))
}

// load is what the node would carry per weight with one more session.
func (n *Node) load() float64 { return float64(n.sessions+1) / float64(n.Weight) }
