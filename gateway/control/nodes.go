// Package control decides which nodes a cluster has and how it treats them: by its configuration, by what is discovered, and by
// what operators change while it works. It is the only one that changes the nodes of a cluster.
//
//	nodes := control.NewNodes(cfg, changed)
//	nodes.Configure(cfg)         // the configuration was read anew
//	nodes.SetFound(found)        // a source of nodes has told what it knows
//	nodes.SetChanges(changes)    // an operator has changed something, here or at another replica
//	c := nodes.Cluster
//
// What operators change is kept in a Board, which replicas share through Redis.
package control

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
)

// Nodes are the nodes of one cluster. Its methods may be called concurrently.
type Nodes struct {
	Cluster *cluster.Cluster
	changed func()

	mu      sync.Mutex
	cfg     config.Cluster
	changes Changes
	agents  map[string]bool   // nodes that ask to be drained themselves
	ended   map[string]*ended // of nodes whose drain is over its deadline
	leases  map[string]int    // requests and tunnels that other replicas have in flight, by node
}

// NewNodes returns the nodes of a cluster that is configured so. changed is called after each later change of the cluster's list of
// nodes, and must not call back.
func NewNodes(cfg config.Cluster, changed func()) *Nodes {
	n := &Nodes{changed: changed, cfg: cfg, ended: map[string]*ended{}}
	n.Cluster = cluster.New(cfg.Name, n.settings())
	return n
}

var methods = map[config.Balance]cluster.Method{
	config.LeastSessions: cluster.LeastSessions,
	config.RoundRobin:    cluster.RoundRobin,
	config.RandomTwo:     cluster.RandomTwo,
	config.Hash:          cluster.Hash,
}

// Configure gives the cluster another configuration. What operators have changed stays.
func (n *Nodes) Configure(cfg config.Cluster) {
	n.update(func() { n.cfg = cfg })
}

// SetChanges gives the cluster what operators have changed, in place of what they had changed before.
func (n *Nodes) SetChanges(c Changes) {
	n.update(func() { n.changes = c })
}

// SetAgent notes whether a node asks to be drained itself.
func (n *Nodes) SetAgent(node string, drain bool) {
	n.update(func() {
		if drain {
			if n.agents == nil {
				n.agents = map[string]bool{}
			}
			n.agents[node] = true
		} else {
			delete(n.agents, node)
		}
	})
}

// setOtherLeases notes what other replicas have in flight.
func (n *Nodes) setOtherLeases(leases map[string]int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leases = leases
}

// update does change, and has the cluster follow.
func (n *Nodes) update(change func()) {
	n.mu.Lock()
	change()
	changed := n.Cluster.Update(n.settings())
	for _, node := range n.Cluster.Nodes() {
		_, drains := n.drains(node.Name)
		n.Cluster.SetDraining(node, drains || n.agents[node.Name])
	}
	n.mu.Unlock()
	if changed {
		n.changed()
	}
}

// settings needs mu.
func (n *Nodes) settings() cluster.Settings {
	s := cluster.Settings{
		Method:    methods[n.cfg.Balance],
		Release:   cluster.Release(n.cfg.Release),
		SlowStart: n.cfg.Pace.SlowStart,
		Pace:      cluster.Pace{Handshakes: n.cfg.Pace.Handshakes, Burst: n.cfg.Pace.Burst},
	}
	if r := n.changes.Release; r != nil {
		s.Release = cluster.Release(*r)
	}
	for _, node := range n.list() {
		s.Nodes = append(s.Nodes, cluster.Config{Name: node.Name, Address: node.Address(), Weight: node.Weight, Labels: node.Labels})
	}
	return s
}

// List returns the nodes as they are now.
func (n *Nodes) List() []config.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.list()
}

// list returns the nodes of the configuration, in its order, and then others by name. It needs mu.
func (n *Nodes) list() []config.Node {
	var all []config.Node
	for _, node := range n.cfg.Nodes {
		if _, changed := n.changes.Nodes[node.Name]; !changed {
			all = append(all, node)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.changes.Nodes)) {
		if c := n.changes.Nodes[name]; !c.Removed {
			all = append(all, config.Node{Name: name, URL: c.URL, Weight: cmp.Or(c.Weight, 1), Labels: c.Labels})
		}
	}
	return all
}

// Release returns the release that holds now; its Label is empty where there is none.
func (n *Nodes) Release() Release {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Release(n.settings().Release)
}

// Configured returns the nodes that the cluster has without what operators have changed.
func (n *Nodes) Configured() []config.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.cfg.Nodes)
}

// Source says where a node comes from: configuration, discovery or api.
func (n *Nodes) Source(node string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, changed := n.changes.Nodes[node]; changed {
		return "api"
	}
	if slices.ContainsFunc(n.cfg.Nodes, func(c config.Node) bool { return c.Name == node }) {
		return "configuration"
	}
	return "discovery"
}
