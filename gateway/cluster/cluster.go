// Package cluster knows the nodes that serve one route: which of them takes the next session, how many sessions and
// leases each holds, and which are left out for a while because they refused.
//
//	c := cluster.New("chat", cluster.LeastSessions, nodes)
//	n, err := c.Pick(nil)         // a session is reserved on n
//	…                             // n refused:
//	c.Failed(n)
//	c.Leave(n)                    // the reservation is given back
//	n, err = c.Pick([]*cluster.Node{n})
//
// It dials nobody and reads no request.
package cluster

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// ErrNoNode says that every node was tried or is left out.
var ErrNoNode = errors.New("cluster: no node to be had")

// Method is a way of choosing the node of a new session.
type Method uint8

const (
	// LeastSessions picks the node with the fewest sessions in proportion to its weight; ties go to the one that was
	// picked longest ago.
	LeastSessions Method = iota
	// RoundRobin picks nodes in turn, each as often as its weight says, spread smoothly.
	RoundRobin
)

// Reason is why a node was ejected.
type Reason string

// The reasons for an ejection.
const (
	ReasonRefused   Reason = "refused"    // it accepts no connection
	ReasonSilent    Reason = "silent"     // it answered nothing for too long
	ReasonCut       Reason = "cut"        // it cut several handshakes in a row
	ReasonNoSession Reason = "no_session" // it answered several handshakes in a row with something else
)

// Left-out nodes are tried again after leaveOut, which doubles with each failure up to leaveOutMost; while all are left
// out, after leaveOutAll.
const (
	leaveOut     = 500 * time.Millisecond
	leaveOutMost = 15 * time.Second
	leaveOutAll  = 250 * time.Millisecond
)

// Cluster is the nodes of one route. All its methods may be called concurrently; none blocks for longer than a
// short critical section, and Pick takes O(log n) for n nodes.
type Cluster struct {
	Name string

	// Sessions knows each polling session by its sid, so that its place is given back once, whatever ends it.
	Sessions *Sessions

	// OnEjection, if set before any use, is told when a node is ejected that was not, and why, and when it works again. It is
	// called concurrently and must not block.
	OnEjection func(n *Node, ejected bool, why Reason)
	// OnOutage, likewise, is told when no node is left to be picked, and when one works again.
	OnOutage func(outage bool)

	method Method
	byName map[string]*Node
	nodes  []*Node

	mu       sync.Mutex
	sessions queue // nodes that may be picked, by sessions per weight
	turns    queue // the same nodes, by whose turn it is
	away     queue // nodes left out, by when they are tried again
	turn     float64
	picks    uint64
	start    time.Time
	outage   bool // no node was left to be picked, and none has worked since
}

// Config is one node of a cluster.
type Config struct {
	Name    string
	Address string // host:port
	Weight  int    // 1 or more
}

// New returns a cluster of these nodes, which all may be picked at once.
func New(name string, m Method, nodes []Config) *Cluster {
	c := &Cluster{
		Name:     name,
		method:   m,
		byName:   make(map[string]*Node, len(nodes)),
		sessions: queue{at: bySessions},
		turns:    queue{at: byTurn},
		away:     queue{at: byReturn},
		start:    time.Now(),
	}
	c.Sessions = newSessions(c)
	for i, cfg := range nodes {
		n := newNode(cfg)
		_, n.phase = math.Modf(float64(i+1) * math.Phi)
		c.byName[n.Name] = n
		c.nodes = append(c.nodes, n)
		c.enter(n)
	}
	return c
}

// Node returns the node of that name, or nil.
func (c *Cluster) Node(name string) *Node { return c.byName[name] }

// Nodes returns all nodes in the order of the configuration. The slice is not to be changed.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Pick chooses the node of a new session, other than those tried, and reserves a session on it, which Leave gives back.
// The error is ErrNoNode.
func (c *Cluster) Pick(tried []*Node) (*Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := &c.sessions
	if c.method == RoundRobin {
		q = &c.turns
	}
	n := c.first(q, tried)
	if n == nil {
		return nil, ErrNoNode
	}
	c.took(n)
	c.count(n, 1)
	return n, nil
}

// Next chooses the node of a request that belongs to no session: the nodes take turns by weight, other than those
// tried. The error is ErrNoNode.
func (c *Cluster) Next(tried []*Node) (*Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.first(&c.turns, tried)
	if n == nil {
		return nil, ErrNoNode
	}
	c.took(n)
	return n, nil
}

// Join counts one more session on n; Leave one less.
func (c *Cluster) Join(n *Node) { c.add(n, 1) }

// Leave gives a session's place on n back.
func (c *Cluster) Leave(n *Node) { c.add(n, -1) }

func (c *Cluster) add(n *Node, d int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(n, d)
}

// Failed ejects n for a while that grows with each failure in a row: it is not picked. Requests of sessions that live on
// n still go there.
func (c *Cluster) Failed(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eject(n, ReasonRefused)
}

func (c *Cluster) eject(n *Node, why Reason) {
	if n.until.After(time.Now()) {
		return // one outage, noticed by many requests at once, is one failure
	}
	n.why, n.ejected = why, time.Now()
	if !n.failing.Swap(true) {
		c.tell(n, true)
	}
	n.pause = min(max(2*n.pause, leaveOut), leaveOutMost)
	n.until = time.Now().Add(n.pause)
	c.sessions.remove(n)
	c.turns.remove(n)
	c.away.push(n, n.until.Sub(c.start).Seconds(), 0)
	if len(c.sessions.entries) == 0 {
		c.hurry()
		c.setOutage(true)
	}
}

func (c *Cluster) setOutage(on bool) {
	if c.outage == on {
		return
	}
	c.outage = on
	if c.OnOutage != nil {
		c.OnOutage(on)
	}
}

// hurry has every node tried again soon: none is left to be picked, and whichever comes back first is to be found.
func (c *Cluster) hurry() {
	soon := time.Now().Add(leaveOutAll)
	for _, n := range c.nodes {
		n.pause = min(n.pause, leaveOutAll)
		if n.until.After(soon) {
			n.until = soon
			c.away.update(n, n.until.Sub(c.start).Seconds(), 0)
		}
	}
}

// Suspect tells that n has left a request waiting for long, and reports whether n is ejected for that: only if nothing else has
// been heard of it since Heard had the given value, so that slowness is no failure and nobody can eject a node by asking it
// for what takes long, and only while another node may be picked.
func (c *Cluster) Suspect(n *Node, heard uint64) bool {
	if n.Heard.Load() != heard {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ejectUnlessLast(n, ReasonSilent)
	return len(c.sessions.entries) > 0 && n.until.After(time.Now())
}

// missesInARow is how many handshakes a node may leave without a session, one after the other, before it counts as failed: a
// client can make one that is cut or refused.
const missesInARow = 3

// Cut tells that n cut the connection on which it was sent a handshake, and reports whether it has cut several in a row. Any
// answer of the node ends the row.
func (c *Cluster) Cut(n *Node) bool {
	if n.cuts.Add(1) < missesInARow {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ejectUnlessLast(n, ReasonCut)
	return true
}

// NoSession tells that n has answered a handshake with what no Socket.IO server says to one, and reports whether it has done so
// several times in a row. Only a session ends the row, and other answers do not let the node back in: it would have the
// fewest sessions, and get every new one.
func (c *Cluster) NoSession(n *Node) bool {
	n.Heard.Add(1)
	if n.misses.Add(1) < missesInARow {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ejectUnlessLast(n, ReasonNoSession)
	return true
}

// refusalsInARow is how many handshakes a node may refuse, one after the other, before it is worth a word.
const refusalsInARow = 10

// Refuses tells that n has refused a handshake by some rule, and reports whether it has refused many in a row.
func (c *Cluster) Refuses(n *Node) bool { return n.refusals.Add(1) >= refusalsInARow }

// Made is Answered for an answer that holds a session.
func (c *Cluster) Made(n *Node, connected time.Time) {
	if n.misses.Load() > 0 || n.refusals.Load() > 0 {
		n.misses.Store(0)
		n.refusals.Store(0)
	}
	c.Answered(n, connected)
}

// ejectUnlessLast ejects n, unless it is the only node that may be picked: a node that only seems to fail is better than none.
func (c *Cluster) ejectUnlessLast(n *Node, why Reason) {
	if e := c.sessions.entries; len(e) > 1 || len(e) == 1 && e[0].node != n {
		c.eject(n, why)
	}
}

// Answered tells that n answered a request on a connection that was made no earlier than at the given time, the zero time for
// one that carried others before: n may be picked again at once and its failures are forgotten, unless the answer does
// not disprove them. A node that accepts no connection any more may still answer on those that it has.
func (c *Cluster) Answered(n *Node, connected time.Time) {
	n.Heard.Add(1)
	if n.cuts.Load() > 0 {
		n.cuts.Store(0)
	}
	if !n.failing.Load() || n.misses.Load() >= missesInARow {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.why == ReasonRefused && !connected.After(n.ejected) {
		return
	}
	c.setOutage(false)
	n.pause = 0
	n.until = time.Time{}
	if n.failing.Swap(false) {
		c.tell(n, false)
	}
	if c.away.remove(n) {
		c.enter(n)
	}
}

func (c *Cluster) tell(n *Node, ejected bool) {
	if c.OnEjection != nil {
		c.OnEjection(n, ejected, n.why)
	}
}

// Retry returns how long it takes until a node that is left out may be tried again; 0 where none is left out or one
// may be tried now.
func (c *Cluster) Retry() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.away.entries) == 0 {
		return 0
	}
	return max(0, time.Until(c.away.entries[0].node.until))
}

// Snapshot is what one node has in hand at one moment.
type Snapshot struct {
	Node     *Node
	Sessions int
	Leases   int64
	Ejected  bool // it has failed and has not worked since
}

// Snapshots returns the state of all nodes, by name.
func (c *Cluster) Snapshots() []Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Snapshot, 0, len(c.nodes))
	for _, n := range c.nodes {
		all = append(all, Snapshot{Node: n, Sessions: n.sessions, Leases: n.leases.Load(), Ejected: n.failing.Load()})
	}
	slices.SortFunc(all, func(a, b Snapshot) int { return cmp.Compare(a.Node.Name, b.Node.Name) })
	return all
}

// first returns the first node of q that was not tried; nodes whose pause is over are let in before.
func (c *Cluster) first(q *queue, tried []*Node) *Node {
	for len(c.away.entries) > 0 && !c.away.entries[0].node.until.After(time.Now()) {
		n := c.away.entries[0].node
		c.away.remove(n)
		c.enter(n)
	}
	var skipped []entry
	var found *Node
	for len(q.entries) > 0 {
		e := q.entries[0]
		if !slices.Contains(tried, e.node) {
			found = e.node
			break
		}
		q.remove(e.node)
		skipped = append(skipped, e)
	}
	for _, e := range skipped {
		q.push(e.node, e.key, e.picked)
	}
	return found
}

// enter lets n be picked. Its turn comes no earlier than that of nodes that were there all the time.
func (c *Cluster) enter(n *Node) {
	n.turn = max(n.turn, c.turn+n.phase/float64(n.Weight))
	c.sessions.push(n, n.load(), n.picked)
	c.turns.push(n, n.turn, n.picked)
}

// took notes that n's turn has come, in both orders.
func (c *Cluster) took(n *Node) {
	c.picks++
	n.picked = c.picks
	c.turn = n.turn
	n.turn += 1 / float64(n.Weight)
	c.turns.update(n, n.turn, n.picked)
	c.sessions.update(n, n.load(), n.picked)
}

func (c *Cluster) count(n *Node, d int) {
	n.sessions += d
	c.sessions.update(n, n.load(), n.picked)
}
