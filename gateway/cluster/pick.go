package cluster

import (
	"math"
	"math/rand/v2"
	"time"
)

// Method is a way of choosing the node of a new session. All go by the nodes' weights.
type Method uint8

const (
	// LeastSessions picks the node with the fewest sessions in proportion to its weight; ties go to the one that was
	// picked longest ago.
	LeastSessions Method = iota
	// RoundRobin picks nodes in turn, each as often as its weight says, spread smoothly.
	RoundRobin
	// RandomTwo draws two nodes and picks the one with fewer sessions in proportion to its weight: replicas that know little of each
	// other do not all pick the same node.
	RandomTwo
	// Hash picks the same node for the same Want.Key, at every replica (rendezvous hashing): as long as the nodes are the same, and
	// this one has no more than overfull of its fair share of sessions. Otherwise the next in an order of the key's own gets it.
	Hash
)

// overfull is how much of its fair share of sessions a node gets by Hash (consistent hashing with bounded loads).
const overfull = 1.25

// Want is what a new session asks for.
type Want struct {
	Tried []*Node // nodes that it has been to before
	Key   string  // what Hash goes by
}

// What a release is owed; each is an index of Cluster.owed.
const (
	owedSessions = iota
	owedRequests
)

// Pick chooses the node of a new session, other than those tried, and reserves a session on it, which Leave gives back.
// It takes a token of its pace as well: Unpick gives both back where the node was not asked. The error is ErrNoNode or a PacedError.
// Without the latter it does not allocate.
func (c *Cluster) Pick(w Want) (*Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := passed{tried: w.Tried, any: len(w.Tried) > 0}
	if c.settings.Pace.Handshakes > 0 {
		p.any, p.cluster, p.pace, p.now = true, c, &c.settings.Pace, time.Since(c.start)
	}
	s := c.choose(c.settings.Method, w.Key, &p)
	switch {
	case s == nil && p.wait > 0:
		return nil, PacedError{p.wait}
	case s == nil:
		return nil, ErrNoNode
	case p.pace != nil:
		s.bucket.Take()
	}
	if c.settings.Method == RoundRobin {
		c.took(s)
	}
	c.picks++
	s.picked = c.picks
	s.sessions++
	c.reorder(s)
	return s.node, nil
}

// Next chooses the node of a request that belongs to no session: the nodes take turns by weight, other than those
// tried. The error is ErrNoNode.
func (c *Cluster) Next(tried []*Node) (*Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.choose(RoundRobin, "", &passed{tried: tried, any: len(tried) > 0, owed: owedRequests})
	if s == nil {
		return nil, ErrNoNode
	}
	c.took(s)
	return s.node, nil
}

// choose returns the node that is picked: in the group whose turn it is, or, where that has none, in the other one. A group that
// only lacks tokens is waited for: else a release would get more than its share whenever much comes at once. It needs mu.
func (c *Cluster) choose(m Method, key string, p *passed) *state {
	c.readmit()
	c.warm()
	before := c.owed[p.owed]
	g := c.whose(p.tried, &c.owed[p.owed])
	s := c.groups[g].pick(m, key, p)
	if s == nil && p.wait == 0 {
		s = c.groups[1-g].pick(m, key, p)
	}
	if s == nil {
		c.owed[p.owed] = before
	}
	return s
}

// whose returns the group that is to take what comes. Of each that come the release gets its share, to within half a one, since
// what it got too much or too little is carried on. What a group cannot take is not owed to it: one that is back is not flooded.
func (c *Cluster) whose(tried []*Node, owed *float64) int {
	switch {
	case c.settings.Release.Label == "":
		return 0
	case len(tried) > 0: // it has been counted
		return tried[0].group
	}
	*owed += min(max(c.settings.Release.Share, 0), 1)
	if *owed < 0.5 {
		return 0
	}
	*owed--
	return 1
}

// took notes that it was s's turn. It needs mu.
func (c *Cluster) took(s *state) {
	g := &c.groups[s.group]
	s.turn = s.due()
	g.turn = max(g.turn, s.turn)
	g.turns.update(s, s.due(), s.picked)
}

// pick returns the node that m picks, of those that p does not pass over, nil where there is none.
func (g *group) pick(m Method, key string, p *passed) *state {
	if len(g.sessions.entries) == 0 {
		return nil
	}
	var e *entry
	switch m {
	case RandomTwo:
		return pickOfTwo(g.left(p))
	case Hash:
		return pickByHash(key, g.left(p))
	case RoundRobin:
		e = g.turns.first(0, p)
	default:
		e = g.sessions.first(0, p)
	}
	if e == nil {
		return nil
	}
	return e.node
}

// left returns the nodes that p does not pass over, until it is called again.
func (g *group) left(p *passed) []entry {
	if !p.any {
		return g.sessions.entries
	}
	g.some = g.some[:0]
	for _, e := range g.sessions.entries {
		if !p.over(e.node) {
			g.some = append(g.some, e)
		}
	}
	return g.some
}

// sum returns weight and sessions of all these nodes.
func sum(nodes []entry) (weight, sessions float64) {
	for i := range nodes {
		s := nodes[i].node
		weight += s.weight
		sessions += float64(s.all())
	}
	return weight, sessions
}

// pickOfTwo draws two different nodes by weight and returns the better one.
func pickOfTwo(nodes []entry) *state {
	weight, _ := sum(nodes)
	a := draw(weight, nodes, nil)
	if a == nil {
		return nil
	}
	b := draw(weight-a.weight, nodes, a)
	if b == nil || a.load() < b.load() || a.load() == b.load() && a.picked < b.picked {
		return a
	}
	return b
}

// draw returns one of these nodes, which have that weight together, but for one.
func draw(weight float64, nodes []entry, but *state) *state {
	at := rand.Float64() * weight
	var last *state // where rounding leaves a little of weight
	for i := range nodes {
		s := nodes[i].node
		if s == but {
			continue
		}
		if last = s; at < s.weight {
			break
		}
		at -= s.weight
	}
	return last
}

// pickByHash returns the first node that has room, in an order of the key's own: by numbers that key and node draw, exponentially
// distributed at the rate of the node's weight. So a node is the first of all for its share of the keys, and a change of its weight or
// presence moves no key between two others.
func pickByHash(by string, nodes []entry) *state {
	weight, sessions := sum(nodes)
	fair := overfull * (sessions + 1) / weight
	key := hash(by)
	var best *state
	least := math.Inf(1)
	for i := range nodes {
		s := nodes[i].node
		uniform := (float64(mix(key^s.hash)>>11) + 0.5) / (1 << 53)
		if 1-uniform >= least*s.weight { // and so is -ln uniform, which costs more
			continue
		}
		if float64(s.all()+1) > math.Ceil(fair*s.weight) {
			continue
		}
		if drawn := -math.Log(uniform) / s.weight; drawn < least {
			best, least = s, drawn
		}
	}
	return best
}

// hash is FNV-1a: the same at every replica, of whatever build.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64: it has each bit depend on each.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
