package control

import (
	"fmt"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/health"
	"github.com/sidway/sidway/gateway/notice"
)

// silentFor is how long a node may answer no probe until its sessions are ended. Their clients would wait for pingInterval + pingTimeout;
// a node that pauses for 8 s keeps them.
const silentFor = 9 * time.Second

// silence is that of a node whose probes are not answered.
type silence struct {
	since time.Time // the first of these probes began
	ended int       // sessions that were ended for it
}

// listen notes whether a node answers. A probe that was not possible here says nothing. It needs mu.
func (n *Nodes) listen(v health.Verdict) {
	switch {
	case v.Outcome == health.Unable:
	case v.Outcome != health.Silent:
		delete(n.silent, v.Node)
	case n.silent[v.Node] == nil:
		// A probe that took longer was paused with this process, and its node may have answered.
		n.silent[v.Node] = &silence{since: v.At.Add(-min(v.Took, n.cfg.Health.Timeout))}
	}
}

// endSilent ends the sessions of nodes that have been silent for too long, all that run through this replica, and those that come later
// with their next poll: unless no other node would take them, or all are silent and the fault may be here.
func (n *Nodes) endSilent(end Ender, tell func(kind, cluster, node, text string)) {
	type order struct {
		node *cluster.Node
		s    *silence
	}
	var orders []order
	n.mu.Lock()
	if len(n.silent) > 0 && n.rate(n.Cluster.Statuses()) > 0 {
		for name, s := range n.silent {
			if node := n.Cluster.Node(name); node == nil {
				delete(n.silent, name)
			} else if time.Since(s.since) >= silentFor {
				orders = append(orders, order{node, s})
			}
		}
	}
	n.mu.Unlock()
	for _, o := range orders {
		ended := end(o.node, 1<<30, cluster.Silence)
		if ended > 0 && o.s.ended == 0 {
			tell("unhealthy", n.Cluster.Name, o.node.Name,
				fmt.Sprintf("%s has answered no probe for %v, so its sessions are ended, or moved where they can be: %s, and more with their next poll", o.node.Name, silentFor, notice.Thousands(ended)))
		}
		o.s.ended += ended
	}
}
