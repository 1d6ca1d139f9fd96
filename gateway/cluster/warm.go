package cluster

import (
	"slices"
	"time"
)

// Slow start: a node that is new or back has caches to fill and code to compile, and it has the fewest sessions, so that it would get
// every new one. It is picked by a weight that grows from coldest to the whole. Weights are compared with each other only, so that
// nodes that are all new are held back by nothing.
const (
	coldest = 0.1
	// shortOutage is how long a node may be ejected without warming up again when it is back.
	shortOutage = 5 * time.Second
	// warmSteps is in how many steps a weight grows: between two of them Pick has nothing to do for it.
	warmSteps = 1000
)

// begin settles whether s, which comes to be picked, warms up. It needs mu.
func (c *Cluster) begin(s *state, now time.Time) {
	if s.cold || !s.failed.IsZero() && now.Sub(s.failed) > shortOutage {
		s.warmSince = now
		if !slices.Contains(c.warming, s) {
			c.warming = append(c.warming, s)
		}
	}
	s.cold = false
	c.weigh(s, now)
}

// warm brings the weights of warming nodes up to date. It needs mu.
func (c *Cluster) warm() {
	if len(c.warming) == 0 {
		return
	}
	now := time.Now()
	if now.Sub(c.warmed) < c.settings.SlowStart/warmSteps {
		return
	}
	c.warmed = now
	c.warming = slices.DeleteFunc(c.warming, func(s *state) bool {
		if s.node == nil {
			s.warmSince = time.Time{}
		} else {
			c.weigh(s, now)
		}
		return s.warmSince.IsZero()
	})
}

// weigh finds out by what weight s is to be picked now, and has it stand in its queues accordingly. It needs mu.
func (c *Cluster) weigh(s *state, now time.Time) {
	s.weight = float64(s.node.Weight) * s.share
	if passed := now.Sub(s.warmSince); passed >= c.settings.SlowStart {
		s.warmSince = time.Time{}
	} else {
		s.weight *= coldest + (1-coldest)*float64(passed)/float64(c.settings.SlowStart)
	}
	if !s.mayBePicked() {
		return
	}
	g := &c.groups[s.group]
	s.turn = max(s.turn, g.turn-1/s.weight) // a weight that grows makes no backlog of turns
	g.turns.update(s, s.due(), s.picked)
	g.sessions.update(s, s.load(), s.picked)
}
