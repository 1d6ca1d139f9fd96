// Package cluster knows the nodes that serve one route: which of them takes the next session, how many sessions and
// leases each holds, and which are healthy, ejected and draining.
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
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

// ErrNoNode says that every node was tried or is ejected, unhealthy or draining.
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
	nodes  atomic.Pointer[nodes]
	warned notice.Limiter[any] // by Node.Key

	mu       sync.Mutex
	states   map[string]*state // of all nodes that the cluster has or had, while anything is counted of them
	sessions queue             // nodes that may be picked, by sessions per weight
	turns    queue             // the same nodes, by whose turn it is
	ejected  queue             // by when they are tried again
	turn     float64
	picks    uint64
	start    time.Time
	outage   bool // no node was left to be picked, and none has worked since
}

// nodes are the nodes at one time.
type nodes struct {
	list   []*Node
	byName map[string]*Node
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
		states:   make(map[string]*state, len(nodes)),
		sessions: queue{at: bySessions},
		turns:    queue{at: byTurn},
		ejected:  queue{at: byReturn},
		start:    time.Now(),
		warned:   notice.Limiter[any]{Pause: warnPause},
	}
	c.Sessions = newSessions(c)
	c.Update(nodes)
	return c
}

// Update gives the cluster these nodes in place of those it had, and reports whether that changes anything. A node of a name that
// was there keeps its sessions, its leases and what is known of it, but for an ejection if its address is another. A node that
// is not there any more is picked and found no more; what it has in hand ends by itself.
func (c *Cluster) Update(configs []Config) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodes.Load()
	if old != nil && slices.EqualFunc(old.list, configs, func(n *Node, cfg Config) bool {
		return n.Name == cfg.Name && n.Address == cfg.Address && n.Weight == max(cfg.Weight, 1)
	}) {
		return false
	}
	fresh := &nodes{byName: make(map[string]*Node, len(configs))}
	for i, cfg := range configs {
		s := c.states[cfg.Name]
		if s == nil {
			s = new(state)
			_, s.phase = math.Modf(float64(i+1) * math.Phi)
			c.states[cfg.Name] = s
		}
		n := &Node{Name: cfg.Name, Address: cfg.Address, Weight: max(cfg.Weight, 1), state: s}
		if s.node != nil && s.node.Address != n.Address {
			c.forgive(s)
		}
		s.node = n
		fresh.list = append(fresh.list, n)
		fresh.byName[n.Name] = n
	}
	c.nodes.Store(fresh)
	for name, s := range c.states {
		if fresh.byName[name] == nil {
			s.node = nil
			c.leaveQueues(s)
			if s.sessions == 0 && s.leases.Load() == 0 {
				delete(c.states, name) // else with the next change
			}
		}
	}
	for _, n := range fresh.list {
		c.place(n.state)
	}
	return true
}

// Node returns the node of that name, or nil.
func (c *Cluster) Node(name string) *Node { return c.nodes.Load().byName[name] }

// Nodes returns all nodes in the order of the configuration. The slice is not to be changed.
func (c *Cluster) Nodes() []*Node { return c.nodes.Load().list }

// SetHealthy records what n's probes have found. An unhealthy node is not picked, whatever it answers.
func (c *Cluster) SetHealthy(n *Node, healthy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.unhealthy = !healthy
	c.place(n.state)
}

// SetDraining records what n's operator wants. A draining node is not picked; its sessions go on.
func (c *Cluster) SetDraining(n *Node, draining bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.draining = draining
	c.place(n.state)
}

// place has s stand in the queues in which it is to stand. It needs mu.
func (c *Cluster) place(s *state) {
	switch {
	case s.node == nil || s.unhealthy || s.draining:
		c.leaveQueues(s)
	case s.until.After(time.Now()):
		c.sessions.remove(s)
		c.turns.remove(s)
		c.ejected.push(s, s.until.Sub(c.start).Seconds(), 0)
	default:
		c.ejected.remove(s)
		c.enter(s)
		c.setOutage(false)
	}
	if len(c.sessions.entries) == 0 {
		c.hurry()
		c.setOutage(true)
	}
}

// leaveQueues needs mu.
func (c *Cluster) leaveQueues(s *state) {
	c.sessions.remove(s)
	c.turns.remove(s)
	c.ejected.remove(s)
}

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
	return n.node, nil
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
	return n.node, nil
}

// Join counts one more session on n; Leave one less.
func (c *Cluster) Join(n *Node) { c.add(n, 1) }

// Leave gives a session's place on n back.
func (c *Cluster) Leave(n *Node) { c.add(n, -1) }

func (c *Cluster) add(n *Node, d int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(n.state, d)
}

// Retry returns how long it takes until an ejected node may be tried again; 0 where none is ejected or one may be tried now.
func (c *Cluster) Retry() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ejected.entries) == 0 {
		return 0
	}
	return max(0, time.Until(c.ejected.entries[0].node.until))
}

// Status is what one node has in hand at one moment. Healthy, ejected and draining are three facts: what its probes found, what its
// answers led to for a while, and what its operator asked for.
type Status struct {
	Node     *Node
	Sessions int
	Leases   int64
	Healthy  bool
	Ejected  bool // it has failed and has not worked since
	Draining bool
}

// Statuses returns the status of all nodes, by name.
func (c *Cluster) Statuses() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Status, 0, len(c.Nodes()))
	for _, n := range c.Nodes() {
		all = append(all, Status{
			Node: n, Sessions: n.sessions, Leases: n.leases.Load(),
			Healthy: !n.unhealthy, Ejected: n.failing.Load(), Draining: n.draining,
		})
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Node.Name, b.Node.Name) })
	return all
}

// first returns the first node of q that was not tried; nodes whose ejection is over are let in before.
func (c *Cluster) first(q *queue, tried []*Node) *state {
	for len(c.ejected.entries) > 0 && !c.ejected.entries[0].node.until.After(time.Now()) {
		n := c.ejected.entries[0].node
		c.ejected.remove(n)
		c.enter(n)
	}
	if e := q.first(0, tried); e != nil {
		return e.node
	}
	return nil
}

// enter lets n be picked. Its turn comes no earlier than that of nodes that were there all the time.
func (c *Cluster) enter(n *state) {
	n.turn = max(n.turn, c.turn+n.phase/float64(n.node.Weight))
	c.sessions.push(n, n.load(), n.picked)
	c.turns.push(n, n.turn, n.picked)
}

// took notes that n's turn has come, in both orders.
func (c *Cluster) took(n *state) {
	c.picks++
	n.picked = c.picks
	c.turn = n.turn
	n.turn += 1 / float64(n.node.Weight)
	c.turns.update(n, n.turn, n.picked)
	c.sessions.update(n, n.load(), n.picked)
}

func (c *Cluster) count(n *state, d int) {
	n.sessions += d
	if n.node != nil {
		c.sessions.update(n, n.load(), n.picked)
	}
}
