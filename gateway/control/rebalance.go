package control

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

const (
	// evenEnough is by which part of its share a node may have more than that, and leastUneven by how many sessions at least.
	evenEnough  = 0.1
	leastUneven = 2
	// toldTimes is how often others have been told that sessions are moved off a node until those that poll are: all have read it by the second time.
	toldTimes = 2
	// recount is how long it takes until all replicas count the sessions of a node as they are: those that poll are counted by their requests.
	recount = 3 * time.Second
)

// uneven is how far sessions have been moved off a node that has more than its share.
type uneven struct {
	node   string // "": all have their share
	budget budget
	told   int       // so often have others been told of it
	left   int       // sessions that are to be moved off it before it is counted again
	again  time.Time // when that is, where none is left
}

// rebalance moves sessions to other nodes from the one that has most beyond its share, by weight, of all sessions on nodes that take new ones: this
// replica's part of as many as sessions.rebalance allows within endEvery. alone says that there are no other replicas.
func (n *Nodes) rebalance(alone bool, end Ender, tell func(kind, cluster, node, text string)) {
	n.mu.Lock()
	rate := 0.0
	if n.moves() {
		rate = n.cfg.Sessions.Rebalance
	}
	n.recheckUnloaded()
	if rate == 0 {
		n.uneven = uneven{}
		n.unload()
		n.mu.Unlock()
		return
	}
	s, over := n.heaviest()
	switch u := &n.uneven; {
	case s.Node == nil:
		*u = uneven{}
	case u.node != s.Node.Name:
		*u = uneven{node: s.Node.Name}
		defer tell("rebalance", n.Cluster.Name, s.Node.Name,
			fmt.Sprintf("it has %d sessions, %d more than its share: they move to other nodes, up to %g a second", s.All(), over, rate))
	}
	if alone {
		n.uneven.told = toldTimes
	}
	n.unload()
	count := 0
	if part := n.part(s); part > 0 {
		u, now := &n.uneven, time.Now()
		if u.left == 0 && !now.Before(u.again) {
			u.left, u.again = int(float64(over)*part+rand.Float64()), now.Add(recount) // by chance one more, so that together they are as many
		}
		u.budget.earn(rate * part)
		count = int(min(float64(u.budget), float64(u.left), float64(over)*part+1))
	}
	n.mu.Unlock()
	if count == 0 {
		return
	}
	done := end(s.Node, count, cluster.Unload)
	n.mu.Lock()
	n.uneven.budget -= budget(done)
	if n.uneven.left -= done; n.uneven.left <= 0 {
		n.uneven.left, n.uneven.again = 0, time.Now().Add(recount)
	}
	n.mu.Unlock()
}

// unloaded returns the node that has more than its share as far as this replica knows, "" where none has.
func (n *Nodes) unloaded() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.uneven.node
}

// toldUnloaded takes what others have read of this replica's counts.
func (n *Nodes) toldUnloaded(own map[string]count) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := &n.uneven; u.node != "" && own[u.node].unloads > 0 {
		u.told++
	} else {
		u.told = 0
	}
	n.unload()
}

// unload has the cluster know off which nodes sessions are moved, by any replica. It needs mu.
func (n *Nodes) unload() {
	for _, node := range n.Cluster.Nodes() {
		own := node.Name == n.uneven.node && n.uneven.told >= toldTimes
		n.Cluster.SetUnloading(node, own || n.others[node.Name].unloads > 0)
	}
}

// recheckUnloaded looks at the bindings of sessions, from time to time, that another replica may have moved and that this one counts. It needs mu.
func (n *Nodes) recheckUnloaded() {
	if n.rechecks++; n.rechecks%recheckWaves != 0 {
		return
	}
	for _, node := range n.Cluster.Nodes() {
		if !node.Drains() && node.UnloadsFor() > 0 {
			n.Cluster.Sessions.Recheck(node)
		}
	}
}

// heaviest returns the node that has most beyond its share, and how many those are; none where all are close to it. One that sessions are moved off
// is heavy until it has half of that. It needs mu.
func (n *Nodes) heaviest() (heavy cluster.Status, over int) {
	statuses := n.Cluster.Statuses()
	sessions, weight := 0, 0.0
	for _, s := range statuses {
		if s.Takes() {
			sessions, weight = sessions+s.All(), weight+s.Weight
		}
	}
	for _, s := range statuses {
		if !s.Takes() {
			continue
		}
		share := float64(sessions) * s.Weight / weight
		limit := max(leastUneven, share*evenEnough)
		if s.Node.Name == n.uneven.node {
			limit = max(1, limit/2)
		}
		if beyond := float64(s.All()) - share; beyond >= limit && int(beyond) > over {
			heavy, over = s, int(beyond)
		}
	}
	return heavy, over
}
