package cluster

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Reason is why a node was ejected.
type Reason string

// The reasons for an ejection.
const (
	ReasonRefused     Reason = "refused"         // it accepts no connection
	ReasonNoConnect   Reason = "connect_timeout" // a connection to it was not made in time: it is stopped, its backlog is full, or packets are dropped
	ReasonUnreachable Reason = "unreachable"     // there is no way to it, or its name is not known
	ReasonTLS         Reason = "tls"             // it cannot be spoken to by TLS
	ReasonSilent      Reason = "silent"          // it answered nothing for too long
	ReasonCut         Reason = "cut"             // it cut several handshakes in a row
	ReasonNoSession   Reason = "no_session"      // it answered several handshakes in a row with something else
)

// An ejected node is tried again after ejectFor, which doubles with each failure up to EjectMost; while no node is left, after
// ejectAll.
const (
	ejectFor  = 500 * time.Millisecond
	EjectMost = 15 * time.Second
	ejectAll  = 250 * time.Millisecond
)

// Failed ejects n for a while that grows with each failure in a row: it is not picked. Requests of sessions that live on
// n still go there.
func (c *Cluster) Failed(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eject(n.state, ReasonRefused)
}

func (c *Cluster) eject(n *state, why Reason) {
	if n.node == nil || n.until.After(time.Now()) {
		return // one outage, noticed by many requests at once, is one failure
	}
	n.why, n.ejected = why, time.Now()
	n.pause = min(max(2*n.pause, ejectFor), EjectMost)
	if !n.failing.Swap(true) {
		n.failed = n.ejected
		c.tell(n, true, n.pause)
	}
	n.until = time.Now().Add(n.pause)
	c.settle(n)
}

func (c *Cluster) setOutage(on bool) {
	if c.outage == on {
		return
	}
	c.outage = on
	if c.OnOutage != nil {
		c.OnOutage(on, c.lacks())
	}
}

// lacks says what keeps new sessions from the nodes, the first cause of each. It needs mu.
func (c *Cluster) lacks() string {
	causes := []string{"drained", "of weight 0%", "unhealthy", "ejected"}
	counts := make([]int, len(causes))
	for _, n := range c.Nodes() {
		switch {
		case n.draining:
			counts[0]++
		case n.share == 0:
			counts[1]++
		case n.unhealthy && !c.panic:
			counts[2]++
		case !n.mayBePicked():
			counts[3]++
		}
	}
	var all []string
	for i, n := range counts {
		if n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, causes[i]))
		}
	}
	return strings.Join(all, ", ")
}

// hurry has every node tried again soon: none is left to be picked, and whichever comes back first is to be found.
func (c *Cluster) hurry() {
	soon := time.Now().Add(ejectAll)
	for _, n := range c.states {
		n.pause = min(n.pause, ejectAll)
		if n.until.After(soon) {
			n.until = soon
			c.ejected.update(n, n.until.Sub(c.start).Seconds(), 0)
		}
	}
}

// Suspect tells that n has left a request waiting for long, or a connection to it, and reports whether n is ejected for that: only if nothing else has
// been heard of it since Heard had the given value, so that slowness is no failure and nobody can eject a node by asking it
// for what takes long, and only while another node may be picked.
func (c *Cluster) Suspect(n *Node, heard uint64, why Reason) bool {
	if n.Heard.Load() != heard {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ejectUnlessLast(n.state, why)
	return c.pickable() > 0 && n.until.After(time.Now())
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
	c.ejectUnlessLast(n.state, ReasonCut)
	return true
}

// NoSession tells that n has answered a handshake with what no Socket.IO server says to one, and reports whether it has done so
// several times in a row. Only a session ends the row, and other answers do not let the node back in: it would have the
// fewest sessions, and get every new one. A row of cuts is ended by it, as by any answer.
func (c *Cluster) NoSession(n *Node) bool {
	n.Heard.Add(1)
	n.cuts.Store(0)
	if n.misses.Add(1) < missesInARow {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ejectUnlessLast(n.state, ReasonNoSession)
	return true
}

// Refuses tells that n has refused a handshake by some rule. Since that makes it no session, it would have the fewest and get every new one: a refusal weighs as much as it takes to come no sooner than the
// others. The place that was reserved for the handshake is still counted.
func (c *Cluster) Refuses(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := n.state; s.node != nil {
		if behind := c.lightest(s) - s.load() + 1/float64(s.node.Weight); behind > 0 {
			s.handicap += behind
			s.handicapped.Store(true)
			c.reorder(s)
		}
	}
}

// lightest returns the smallest load of the nodes of its group other than s that may be picked, 0 where there is none.
func (c *Cluster) lightest(s *state) float64 {
	least := math.Inf(1)
	entries := c.groups[s.group].sessions.entries
	for _, e := range entries[:min(3, len(entries))] { // the root of the heap and what is next to it
		if e.node != s {
			least = min(least, e.key)
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

// Made is Answered for an answer that holds a session.
func (c *Cluster) Made(n *Node, connected time.Time) {
	if n.misses.Load() > 0 {
		n.misses.Store(0)
	}
	if n.handicapped.Load() {
		c.lighten(n)
	}
	c.Answered(n, connected)
}

// lighten takes back what one refusal weighs.
func (c *Cluster) lighten(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.node != nil {
		n.handicap = max(0, n.handicap-1/float64(n.node.Weight))
		n.handicapped.Store(n.handicap > 0)
		c.reorder(n.state)
	}
}

// ejectUnlessLast ejects n, unless it is the only node that may be picked: a node that only seems to fail is better than none.
func (c *Cluster) ejectUnlessLast(n *state, why Reason) {
	if left := c.pickable(); left > 1 || left == 1 && !n.mayBePicked() {
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
	if n.node == nil || n.why == ReasonRefused && !connected.After(n.ejected) {
		return
	}
	c.forgive(n.state)
	c.settle(n.state)
}

// Reached tells that a probe of n that began at the given time found it well: where n was ejected before, since no connection came
// about, that is disproved. Other failures are not: a page is no session.
func (c *Cluster) Reached(n *Node, began time.Time) {
	if !n.failing.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	connects := n.why == ReasonRefused || n.why == ReasonNoConnect || n.why == ReasonUnreachable
	if n.node != nil && connects && began.After(n.ejected) {
		c.forgive(n.state)
		c.settle(n.state)
	}
}

// forgive ends the ejection of n, if there is one. It needs mu.
func (c *Cluster) forgive(n *state) {
	n.pause = 0
	n.until = time.Time{}
	if n.failing.Swap(false) {
		c.tell(n, false, 0)
	}
	c.ejected.remove(n)
}

func (c *Cluster) tell(n *state, ejected bool, pause time.Duration) {
	if c.OnEjection != nil {
		c.OnEjection(n.node, ejected, n.why, pause)
	}
}
