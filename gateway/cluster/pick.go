package cluster

import (
	"math"
	"math/rand/v2"
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
// The error is ErrNoNode. It does not allocate.
func (c *Cluster) Pick(w Want) (*Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.choose(c.settings.Method, w, owedSessions)
	if s == nil {
		return nil, ErrNoNode
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
	s := c.choose(RoundRobin, Want{Tried: tried}, owedRequests)
	if s == nil {
		return nil, ErrNoNode
	}
	c.took(s)
	return s.node, nil
}

// choose returns the node that is picked: in the group whose turn it is, or, where that has none, in the other one. It needs mu.
func (c *Cluster) choose(m Method, w Want, owed int) *state {
	c.readmit()
	c.warm()
	before := c.owed[owed]
	g := c.whose(w.Tried, &c.owed[owed])
	s := c.groups[g].pick(m, w)
	if s == nil {
		s = c.groups[1-g].pick(m, w)
	}
	if s == nil {
		c.owed[owed] = before
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

// pick returns the node that m picks, other than those tried, nil where there is none.
func (g *group) pick(m Method, w Want) *state {
	if len(g.sessions.entries) == 0 {
		return nil
	}
	var e *entry
	switch m {
	case RandomTwo:
		return g.pickOfTwo(w.Tried)
	case Hash:
		return g.pickByHash(w)
	case RoundRobin:
		e = g.turns.first(0, w.Tried)
	default:
		e = g.sessions.first(0, w.Tried)
	}
	if e == nil {
		return nil
	}
	return e.node
}

// sum returns weight and sessions of all nodes but those tried.
func (g *group) sum(tried []*Node) (weight, sessions float64) {
	for i := range g.sessions.entries {
		if s := g.sessions.entries[i].node; !among(tried, s) {
			weight += s.weight
			sessions += float64(s.all())
		}
	}
	return weight, sessions
}

// pickOfTwo draws two different nodes by weight and returns the better one.
func (g *group) pickOfTwo(tried []*Node) *state {
	weight, _ := g.sum(tried)
	a := g.draw(weight, tried, nil)
	if a == nil {
		return nil
	}
	b := g.draw(weight-a.weight, tried, a)
	if b == nil || a.load() < b.load() || a.load() == b.load() && a.picked < b.picked {
		return a
	}
	return b
}

// draw returns one of the nodes, which have that weight together, but for those tried and one more.
func (g *group) draw(weight float64, tried []*Node, but *state) *state {
	at := rand.Float64() * weight
	var last *state // where rounding leaves a little of weight
	for i := range g.sessions.entries {
		s := g.sessions.entries[i].node
		if s == but || among(tried, s) {
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
func (g *group) pickByHash(w Want) *state {
	weight, sessions := g.sum(w.Tried)
	fair := overfull * (sessions + 1) / weight
	key := hash(w.Key)
	var best *state
	least := math.Inf(1)
	for i := range g.sessions.entries {
		s := g.sessions.entries[i].node
		uniform := (float64(mix(key^s.hash)>>11) + 0.5) / (1 << 53)
		if 1-uniform >= least*s.weight { // and so is -ln uniform, which costs more
			continue
		}
		if among(w.Tried, s) || float64(s.all()+1) > math.Ceil(fair*s.weight) {
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
