// Package cluster knows the nodes that serve one route: which of them takes the next session, how many sessions and
// leases each holds, and which are healthy, ejected and draining.
//
//	c := cluster.New("chat", cluster.Settings{Nodes: nodes})
//	n, err := c.Pick(cluster.Want{})         // a session is reserved on n
//	…                                        // n refused:
//	c.Failed(n)
//	c.Leave(n)                               // the reservation is given back
//	n, err = c.Pick(cluster.Want{Tried: []*cluster.Node{n}})
//
// It dials nobody and reads no request.
package cluster

import (
	"cmp"
	"crypto/tls"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

// ErrNoNode says that every node was tried or is ejected, unhealthy or draining.
var ErrNoNode = errors.New("cluster: no node to be had")

// Cluster is the nodes of one route. All its methods may be called concurrently; none blocks for longer than a
// short critical section. With n nodes, Pick takes O(log n) by LeastSessions and RoundRobin, O(n) by RandomTwo and Hash.
type Cluster struct {
	Name string

	// Sessions knows each polling session by its sid, so that its place is given back once, whatever ends it.
	Sessions *Sessions

	// OnEjection, if set before any use, is told when a node is ejected that was not, why, and for how long at first, and when it works
	// again, with a pause of 0. It is called concurrently and must not block.
	OnEjection func(n *Node, ejected bool, why Reason, pause time.Duration)
	// OnOutage, likewise, is told when no node is left to be picked, with what keeps new sessions from how many nodes, as "1 drained, 2
	// ejected", and when one works again.
	OnOutage func(outage bool, why string)
	// OnPanic, likewise, is told when the probes find every node unhealthy that may get sessions at all, so that they are not
	// believed any more, and when they are believed again.
	OnPanic func(panic bool)
	// OnMissing, if set before any use, is told that a request belongs to a node that the cluster does not have, and again as long as the
	// request waits for it. It is called concurrently and must not block.
	OnMissing func()

	nodes  atomic.Pointer[nodes]
	warned notice.Limiter[any] // by Node.Key

	mu       sync.Mutex
	settings Settings
	states   map[string]*state // of all nodes that the cluster has or had, while anything is counted of them
	others   map[string]int    // sessions that other replicas count
	twice    map[string]Twice  // sessions that two replicas count
	groups   [2]group          // the nodes that may be picked: those of the release are in the second one
	ejected  queue             // nodes by when they are tried again
	warming  []*state          // nodes whose slow start goes on, and perhaps some more
	warmed   time.Time         // when their weights were last looked at
	owed     [2]float64        // what the release is short of: sessions, ordinary requests
	picks    uint64
	start    time.Time
	outage   bool // no node was left to be picked, and none has worked since
	panic    bool // probes are not believed
}

// group is nodes that may be picked, in both orders.
type group struct {
	sessions queue   // by sessions per weight
	turns    queue   // by whose turn it is
	some     []entry // what left returns
	turn     float64
}

// nodes are the nodes at one time.
type nodes struct {
	list       []*Node
	byName     map[string]*Node
	removed    map[string]time.Time // nodes that were there before, and since when they are not
	incomplete bool
}

// removedFor is how long it is remembered that a node was taken away: for longer than sessions live that are not used.
const removedFor = time.Hour

// remember notes which of the nodes before are no more.
func (n *nodes) remember(before *nodes, now time.Time) {
	n.removed = map[string]time.Time{}
	if before == nil {
		return
	}
	for name, since := range before.removed {
		if n.byName[name] == nil && now.Sub(since) < removedFor {
			n.removed[name] = since
		}
	}
	for name := range before.byName {
		if n.byName[name] == nil {
			n.removed[name] = now
		}
	}
}

// Settings say what nodes a cluster has and how the node of a new session is chosen.
type Settings struct {
	Method  Method
	Nodes   []Config // their names differ
	Release Release
	Pace    Pace
	// SlowStart is how long a node that is new, or back after an outage, takes to come to its whole weight, from a tenth of it.
	// 0: it has it at once. Nodes that a cluster begins with are not new.
	SlowStart time.Duration
	// Incomplete says that there may be more nodes, which are not known yet.
	Incomplete bool
}

// Config is one node of a cluster.
type Config struct {
	Name    string
	Address string // host:port
	Weight  int    // 1 or more
	Labels  map[string]string
	TLS     *tls.Config // nil: plain HTTP. Another pointer is another configuration
}

// Release is a version of the application that gets a share of the new sessions, and of requests that belong to no session.
type Release struct {
	Label, Value string  // that its nodes have; no Label: none
	Share        float64 // 0 to 1
}

// has reports whether a node of these labels belongs to the release.
func (r Release) has(labels map[string]string) bool {
	value, ok := labels[r.Label]
	return ok && r.Label != "" && value == r.Value
}

// New returns a cluster of these nodes, which all may be picked at once.
func New(name string, s Settings) *Cluster {
	c := &Cluster{
		Name:    name,
		states:  make(map[string]*state, len(s.Nodes)),
		ejected: queue{at: byReturn},
		start:   time.Now(),
		warned:  notice.Limiter[any]{Pause: warnPause},
	}
	for i := range c.groups {
		c.groups[i] = group{sessions: queue{at: bySessions}, turns: queue{at: byTurn}}
	}
	c.Sessions = newSessions(c)
	c.Update(s)
	return c
}

// Update gives the cluster these settings in place of those it had, and reports whether that changes anything. A node of a name
// that was there keeps its sessions, its leases and what is known of it, but for an ejection if its address is another, and stays
// the same *Node if nothing of it changes. A node that is not there any more is picked and found no more; what it has in hand ends
// by itself. What s refers to may be changed afterwards, but for the labels.
func (c *Cluster) Update(s Settings) bool {
	s.Nodes = slices.Clone(s.Nodes)
	for i := range s.Nodes {
		s.Nodes[i].Weight = max(s.Nodes[i].Weight, 1)
	}
	s.Pace = s.Pace.normal()
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.nodes.Load()
	if old != nil && s.equal(&c.settings) {
		return false
	}
	c.settings = s
	fresh := &nodes{byName: make(map[string]*Node, len(s.Nodes)), incomplete: s.Incomplete}
	for i, cfg := range s.Nodes {
		n := c.adopt(cfg, i, old != nil && len(old.list) > 0)
		fresh.list = append(fresh.list, n)
		fresh.byName[n.Name] = n
	}
	fresh.remember(old, time.Now())
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
	c.settleAll()
	return true
}

func (s *Settings) equal(o *Settings) bool {
	return s.Method == o.Method && s.Release == o.Release && s.Pace == o.Pace && s.SlowStart == o.SlowStart &&
		s.Incomplete == o.Incomplete && slices.EqualFunc(s.Nodes, o.Nodes, Config.equal)
}

func (c Config) equal(o Config) bool {
	return c.Name == o.Name && c.Address == o.Address && c.Weight == o.Weight && maps.Equal(c.Labels, o.Labels) && c.TLS == o.TLS
}

// adopt returns the node that is configured as the i-th. New ones are new to a cluster that has worked. It needs mu.
func (c *Cluster) adopt(cfg Config, i int, worked bool) *Node {
	s := c.states[cfg.Name]
	if s == nil {
		s = newState(cfg.Name, i)
		s.others, s.double = max(0, c.others[cfg.Name]), c.twice[cfg.Name]
		c.states[cfg.Name] = s
	}
	n := s.node
	if n == nil || !cfg.equal(Config{n.Name, n.Address, n.Weight, n.Labels, n.TLS}) {
		n = &Node{Name: cfg.Name, Address: cfg.Address, Weight: cfg.Weight, Labels: cfg.Labels, TLS: cfg.TLS, state: s}
	}
	if s.node != nil && s.node.Address != n.Address {
		s.readdressed.Store(time.Now().UnixNano())
	}
	if s.node == nil || s.node.Address != n.Address { // another process
		c.forgive(s)
		c.leaveQueues(s)
		s.failed, s.cold = time.Time{}, worked
	}
	s.node = n
	group := 0
	if c.settings.Release.has(n.Labels) {
		group = 1
	}
	c.move(s, group)
	return n
}

// Readdressed returns when the node got another address, the zero time where it has not: what was made there is made elsewhere.
func (n *Node) Readdressed() time.Time {
	if at := n.readdressed.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Node returns the node of that name, or nil.
func (c *Cluster) Node(name string) *Node { return c.nodes.Load().byName[name] }

// Removed returns since when the cluster does not have the node of that name any more; the zero time where it never had it, has it, or
// has forgotten that it had.
func (c *Cluster) Removed(name string) time.Time { return c.nodes.Load().removed[name] }

// Incomplete reports whether there may be more nodes, which are not known yet.
func (c *Cluster) Incomplete() bool { return c.nodes.Load().incomplete }

// Nodes returns all nodes in the order of the configuration. The slice is not to be changed.
func (c *Cluster) Nodes() []*Node { return c.nodes.Load().list }

// Status is what one node has in hand at one moment. Healthy, ejected and draining are three facts: what its probes found, what its
// answers led to for a while, and what its operator asked for.
type Status struct {
	Node     *Node
	Sessions int
	Polling  int // sessions of those that poll, as far as this replica knows
	Lasting  int // sessions of these that were seen to poll when they were old
	Sockets  int // those that have a WebSocket here
	Others   int // sessions that other replicas count
	Twice    int // sessions of all these that two replicas count: one has their WebSocket, the other has bound them
	Leases   int64
	Share    float64 // of the configured weight, that its agent asks for
	Weight   float64 // that it is picked by now: what its agent and a slow start leave of the configured one
	Healthy  bool
	Ejected  bool      // it has failed and has not worked since
	Why      Reason    // for which it was ejected; empty where it is not
	Retry    time.Time // when the pause of its ejection is over; zero: it is, and the next client tries it, or it is not ejected
	Tried    time.Time // when it failed last, while it is ejected: only what makes an ejection, or another pause, counts
	Untried  bool      // nobody has asked it yet, as far as this replica knows, nor has a session there; what probes ask does not count
	Draining bool
	Since    time.Time // it is unhealthy or, if it is healthy, ejected; zero: it is neither
	Heard    time.Time // when a request of one of its sessions came last, if one has since it is drained
	Panic    bool      // it may be picked although it is unhealthy, since all are that may get sessions at all
}

// Takes reports whether the node gets new sessions.
func (s *Status) Takes() bool { return s.Healthy && !s.Ejected && !s.Draining && s.Weight > 0 }

// All is how many sessions all replicas have on the node, each counted once.
func (s *Status) All() int { return max(0, s.Sessions+s.Others-s.Twice) }

// Polling returns how many sessions poll that are counted here.
func (c *Cluster) Polling() (sum int) {
	for _, n := range c.Nodes() {
		sum += int(n.polling.Load())
	}
	return sum
}

// Statuses returns the status of all nodes, by name.
func (c *Cluster) Statuses() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warm()
	all := make([]Status, 0, len(c.Nodes()))
	for _, n := range c.Nodes() {
		why := Reason("")
		if n.failing.Load() {
			why = n.why
		}
		var heard, since, retry, tried time.Time
		if why != "" {
			tried = n.ejected
		}
		if why != "" && n.until.After(time.Now()) {
			retry = n.until
		}
		switch {
		case n.unhealthy:
			since = n.sick
		case why != "":
			since = n.failed
		}
		if at := n.heardAt.Load(); at > 0 {
			heard = time.Unix(0, at)
		}
		all = append(all, Status{
			Node: n, Sessions: n.sessions, Others: n.others, Twice: n.twice(), Leases: n.leases.Load(), Share: n.share, Weight: n.weight,
			Polling: int(n.polling.Load()), Lasting: int(n.lasting.Load()), Sockets: int(n.websockets.Load()),
			Healthy: !n.unhealthy, Ejected: why != "", Why: why, Retry: retry, Tried: tried, Untried: n.untried(), Draining: n.draining, Since: since, Heard: heard, Panic: c.panic && n.unhealthy && !n.leaves(),
		})
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Node.Name, b.Node.Name) })
	return all
}
