package control

import (
	"fmt"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/notice"
)

const (
	// endEvery is how often sessions of drained nodes are ended: in waves small enough that their clients come back evenly.
	endEvery = 250 * time.Millisecond
	// recheckWaves is with each how many waves the bindings of a drained node's sessions are looked at: another replica may have ended
	// sessions that this one counts.
	recheckWaves = 8
	// drainRate is how many sessions a second are ended for each node that takes new ones, where the cluster has no pace.
	drainRate = 50
)

// Ender moves up to count sessions of a node that run through this replica to other nodes, or ends them, as why says, and returns how many. It may
// be called for nodes of several clusters one after the other, and does not wait for their clients.
type Ender func(n *cluster.Node, count int, why cluster.Removal) int

// Draining is how far the drain of a node has come.
type Draining struct {
	Drain
	Sessions int           // of all replicas
	Rate     float64       // sessions per second that all replicas end together; 0 before the deadline, and while no other node takes any
	Left     time.Duration // that it takes to end at that rate those that can be
	Silent   int           // sessions without a request in flight: they poll, and cannot be ended before they do so again
	Heard    time.Time     // when a request of one of them has come to this replica last; zero: none has since the drain began
}

// ended is what has been done of a drain whose deadline is over.
type ended struct {
	budget budget
	waves  int // so many have been
	began  bool
	empty  bool
}

// budget is how many sessions may be ended or moved now.
type budget float64

// earn adds what a rate in sessions per second allows within endEvery. What could not be done a moment ago comes with the next.
func (b *budget) earn(rate float64) {
	wave := budget(rate * endEvery.Seconds())
	*b = min(*b+wave, 2*wave+1)
}

// part is this replica's part of a node's sessions: of what is in flight at all replicas, since that may be of sessions that another one counts. 0: there
// is none, or no node. It needs mu.
func (n *Nodes) part(s cluster.Status) float64 {
	if s.Node == nil {
		return 0
	}
	all := int(s.Leases) + n.others[s.Node.Name].leases
	return float64(s.Leases) / float64(max(all, 1))
}

// Draining returns the drains of the cluster by node.
func (n *Nodes) Draining() map[string]Draining {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := map[string]Draining{}
	statuses := n.Cluster.Statuses()
	for _, s := range statuses {
		d, drains := n.drains(s.Node.Name)
		if !drains {
			continue
		}
		now := Draining{Drain: d, Sessions: s.All(), Heard: s.Heard}
		now.Silent = max(0, now.Sessions-int(s.Leases)-n.others[s.Node.Name].leases)
		if n.isOver(d, time.Now()) {
			if now.Rate = n.rate(statuses); now.Rate > 0 {
				now.Left = time.Duration(float64(now.Sessions-now.Silent) / now.Rate * float64(time.Second))
			}
		}
		all[s.Node.Name] = now
	}
	return all
}

// drains returns the drain that an operator has asked for, or that the end of a found node or the node itself asks for. It needs mu.
func (n *Nodes) drains(node string) (Drain, bool) {
	if d, drains := n.changes.Drains[node]; drains {
		return d, true
	}
	if since, terminates := n.since[node]; terminates { // it has little time left, so its sessions end at once
		return Drain{Since: since, Deadline: since}, true
	}
	return Drain{}, n.agents[node]
}

// isDrained reports whether a node is drained, by whomever.
func (n *Nodes) isDrained(node string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, drains := n.drains(node)
	return drains
}

// isOver reports whether the sessions are to be ended.
func (n *Nodes) isOver(d Drain, now time.Time) bool {
	return !d.Deadline.IsZero() && now.After(d.Deadline)
}

// rate is how many sessions a second the nodes that take new ones admit, for each node that is drained and over its deadline. It
// needs mu.
func (n *Nodes) rate(statuses []cluster.Status) float64 {
	now, taking, over := time.Now(), 0, 0
	for _, s := range statuses {
		if d, drains := n.drains(s.Node.Name); drains && n.isOver(d, now) {
			over++
		}
		if s.Takes() {
			taking++
		}
	}
	each := n.cfg.Pace.Handshakes
	if each == 0 {
		each = drainRate
	}
	return each * float64(taking) / float64(max(over, 1))
}

// endDrained ends sessions of nodes whose drain is over its deadline, and moves them before: this replica's part of as many as the other nodes admit within
// endEvery.
func (n *Nodes) endDrained(end Ender, tell func(kind, cluster, node, text string)) {
	type order struct {
		node  *cluster.Node
		count int
		why   cluster.Removal
		e     *ended
	}
	var orders []order
	n.mu.Lock()
	statuses := n.Cluster.Statuses()
	rate := n.rate(statuses)
	for _, s := range statuses {
		name := s.Node.Name
		d, drains := n.drains(name)
		over := n.isOver(d, time.Now())
		if !drains || !over && !n.moves() {
			delete(n.ended, name)
			continue
		}
		e := n.ended[name]
		if e == nil {
			e = new(ended)
			n.ended[name] = e
		}
		if part := n.part(s); rate > 0 && part > 0 {
			e.budget.earn(rate * part)
		}
		if e.waves++; e.waves%recheckWaves == 0 && s.Sessions > 0 {
			n.Cluster.Sessions.Recheck(s.Node)
		}
		if over {
			n.tellDrain(s, e, rate, tell)
		}
		if count := int(e.budget); count > 0 {
			why := cluster.Unload
			if over {
				why = cluster.Drain
			}
			orders = append(orders, order{s.Node, count, why, e})
		}
	}
	n.mu.Unlock()
	for _, o := range orders {
		done := end(o.node, o.count, o.why)
		n.mu.Lock()
		o.e.budget -= budget(done)
		n.mu.Unlock()
	}
}

// moves reports whether sessions go on at other nodes. It needs mu.
func (n *Nodes) moves() bool { return n.cfg.Sessions != nil && n.cfg.Sessions.Move }

// movesSessions is moves for one who does not hold mu.
func (n *Nodes) movesSessions() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.moves()
}

// tellDrain tells when the end of a node's sessions begins, and when none is left.
func (n *Nodes) tellDrain(s cluster.Status, e *ended, rate float64, tell func(kind, cluster, node, text string)) {
	all := s.All()
	switch {
	case !e.began && all > 0 && rate == 0:
		e.began = true
		tell("drain", n.Cluster.Name, s.Node.Name, "no other node takes new sessions, so those of this one are not ended")
	case !e.began && all > 0:
		e.began = true
		done := time.Now().Add(time.Duration(float64(all) / rate * float64(time.Second)))
		tell("drain", n.Cluster.Name, s.Node.Name, sentence(all, rate, done))
	case !e.empty && all == 0:
		e.began, e.empty = true, true
		tell("drain", n.Cluster.Name, s.Node.Name, "drained: no session is left")
	}
}

// sentence says what an end of sessions comes to, as "12,400 sessions, 150/s, done at 14:32:05".
func sentence(sessions int, rate float64, done time.Time) string {
	return fmt.Sprintf("%s sessions, %.0f/s, done at %s", notice.Thousands(sessions), rate, done.Format(time.TimeOnly))
}
