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
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/discover"
	"github.com/sidway/sidway/gateway/health"
)

// Nodes are the nodes of one cluster. Its methods may be called concurrently.
type Nodes struct {
	Cluster *cluster.Cluster
	// OnEvent, if set before Run, is told of what happens to a node, or to the cluster where node is empty. It must not block.
	OnEvent func(kind, node, text string)

	changed func()

	again   chan struct{} // has a token when the source is to be asked before its time
	prober  *health.Prober
	sources chan struct{} // has a token when discovery is to begin anew

	mu       sync.Mutex
	cfg      config.Cluster
	secrets  secrets
	found    []discover.Found
	listed   bool                 // the source has told what it knows
	kept     []config.Node        // what the configuration before had, until then
	trouble  error                // why the source cannot be asked; nil: it can
	everList bool                 // a source of this cluster has told what it knows, at some time
	since    map[string]time.Time // when a found node was first seen to terminate
	probes   map[probed]uint64
	changes  Changes
	agents   map[string]bool // nodes that ask to be drained themselves
	silent   map[string]*silence
	ended    map[string]*ended // of nodes whose drain is over its deadline
	uneven   uneven
	rechecks int              // waves since the beginning, for recheckUnloaded
	others   map[string]count // what other replicas have, by node
	replicas int              // that share the counts with this one
}

// NewNodes returns the nodes of a cluster that is configured so. changed is called after each later change of the cluster's list of
// nodes, and must not call back.
func NewNodes(cfg config.Cluster, changed func()) *Nodes {
	n := &Nodes{
		changed: changed, cfg: cfg, sources: make(chan struct{}, 1), again: make(chan struct{}, 1),
		since: map[string]time.Time{}, probes: map[probed]uint64{}, agents: map[string]bool{}, silent: map[string]*silence{}, ended: map[string]*ended{},
		OnEvent: func(string, string, string) {},
	}
	n.prober = health.New(health.Options{Tell: n.takeVerdict})
	n.Cluster = cluster.New(cfg.Name, n.settings())
	n.Cluster.OnMissing = n.lookAgain
	n.probe()
	return n
}

// Configure gives the cluster another configuration. What operators have changed stays, and what was found; where it is looked for
// elsewhere now, all nodes stay until that source has told what it knows. An operator's node goes before that of the configuration,
// also before a later one: replicas read theirs at different times, and what one reads must not take back what holds for all.
func (n *Nodes) Configure(cfg config.Cluster) {
	var hidden []string
	n.update(func() {
		if !reflect.DeepEqual(n.cfg.Discover, cfg.Discover) {
			n.kept, n.listed, n.trouble = n.base(), false, nil
			if n.found = nil; cfg.Discover == nil {
				n.kept = nil
			}
			select {
			case n.sources <- struct{}{}:
			default:
			}
		}
		for _, node := range cfg.Nodes {
			_, hides := n.changes.Nodes[node.Name]
			if hides && !slices.ContainsFunc(n.cfg.Nodes, func(old config.Node) bool { return reflect.DeepEqual(old, node) }) {
				hidden = append(hidden, node.Name)
			}
		}
		n.cfg = cfg
	})
	for _, name := range hidden {
		n.OnEvent("node", name, "the configuration has another node of this name now, which is not used: an operator has replaced it or taken it away, until it is put by the API as the configuration has it")
	}
}

// SetChanges gives the cluster what operators have changed, in place of what they had changed before.
func (n *Nodes) SetChanges(c Changes) {
	n.update(func() { n.changes = c })
}

// SetFound gives the cluster the nodes that were found, in place of those found before.
func (n *Nodes) SetFound(found []discover.Found) {
	n.update(func() {
		n.found, n.kept, n.listed, n.everList = found, nil, true, true
		terminating := map[string]time.Time{}
		for _, f := range found {
			if since, known := n.since[f.Name]; f.Terminating && known {
				terminating[f.Name] = since
			} else if f.Terminating {
				terminating[f.Name] = time.Now()
			}
		}
		n.since = terminating
	})
}

// Ready returns why the cluster's nodes are not known yet, nil once they were: a replica without them would end sessions that others
// have made.
func (n *Nodes) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.cfg.Discover == nil || n.everList:
		return nil
	case n.trouble != nil:
		return fmt.Errorf("its nodes are not known yet: %w", n.trouble)
	}
	return errors.New("its nodes are not known yet")
}

// Discovers reports whether nodes are looked for, and whether that works.
func (n *Nodes) Discovers() (looks, works bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cfg.Discover != nil, n.listed && n.trouble == nil
}

// Trouble returns why the source of nodes cannot be asked, nil where it can or there is none.
func (n *Nodes) Trouble() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trouble
}

// lookAgain has the source of nodes asked soon: somebody knows of one that is not known here.
func (n *Nodes) lookAgain() {
	select {
	case n.again <- struct{}{}:
	default:
	}
}

// update does change, and has the cluster follow.
func (n *Nodes) update(change func()) {
	n.mu.Lock()
	before := n.Cluster.Nodes()
	change()
	changed := n.Cluster.Update(n.settings())
	n.setDraining()
	n.probe()
	drained := n.drainedComers(before)
	n.mu.Unlock()
	if changed {
		n.changed()
	}
	for name, since := range drained {
		n.OnEvent("drain", name, "it gets no new sessions: an operator has drained it at "+since.Local().Format(time.DateTime)+", and a drain outlives its node; sidway undrain takes it back")
	}
}

// drainedComers returns the nodes that were not there before and that an operator has drained then, with when that was. It needs mu.
func (n *Nodes) drainedComers(before []*cluster.Node) map[string]time.Time {
	drained := map[string]time.Time{}
	for _, node := range n.Cluster.Nodes() {
		d, drains := n.changes.Drains[node.Name]
		if drains && !slices.ContainsFunc(before, func(b *cluster.Node) bool { return b.Name == node.Name }) {
			drained[node.Name] = d.Since
		}
	}
	return drained
}

// setDraining tells the cluster which nodes are drained. It needs mu.
func (n *Nodes) setDraining() {
	for _, node := range n.Cluster.Nodes() {
		_, drains := n.drains(node.Name)
		if was := node.Drains(); was != drains {
			n.Cluster.SetDraining(node, drains)
			n.Cluster.Sessions.Recheck(node) // they end sooner while it is drained
		}
	}
}

// setOthers notes how many other replicas there are, and what they have.
func (n *Nodes) setOthers(others map[string]count, replicas int) {
	n.mu.Lock()
	changed := n.replicas != replicas
	n.others, n.replicas = others, replicas
	n.mu.Unlock()
	if changed {
		n.update(func() {})
	}
}

// PollingElsewhere returns how many sessions poll that other replicas count on a node.
func (n *Nodes) PollingElsewhere(node string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.others[node].polling
}

var methods = map[config.Balance]cluster.Method{
	config.LeastSessions: cluster.LeastSessions,
	config.RoundRobin:    cluster.RoundRobin,
	config.RandomTwo:     cluster.RandomTwo,
	config.Hash:          cluster.Hash,
}

// settings needs mu.
func (n *Nodes) settings() cluster.Settings {
	s := cluster.Settings{
		Method:    methods[n.cfg.Balance],
		Release:   cluster.Release(n.cfg.Release),
		SlowStart: n.cfg.Pace.SlowStart,
		Pace:      n.pace(),
		// Until then nobody can say that a session's node is gone.
		Incomplete: n.cfg.Discover != nil && !n.listed,
	}
	if r := n.changes.Release; r != nil {
		s.Release = cluster.Release(*r)
	}
	nodes := n.list()
	for _, node := range nodes {
		s.Nodes = append(s.Nodes, cluster.Config{
			Name: node.Name, Address: node.Address(), Weight: node.Weight, Labels: node.Labels, TLS: n.secrets.of(node),
		})
	}
	n.secrets.keep(nodes)
	return s
}

// pace is this replica's part of the pace, which holds for all replicas together. It needs mu.
func (n *Nodes) pace() cluster.Pace {
	replicas := 1 + n.replicas
	p := cluster.Pace{Handshakes: n.cfg.Pace.Handshakes / float64(replicas)}
	if n.cfg.Pace.Burst > 0 {
		p.Burst = max(1, n.cfg.Pace.Burst/replicas)
	}
	return p
}

// List returns the nodes as they are now.
func (n *Nodes) List() []config.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.list()
}

// base returns the nodes of the configuration, in its order, and then those that were found. It needs mu.
func (n *Nodes) base() []config.Node {
	all := slices.Clone(n.cfg.Nodes)
	add := func(node config.Node) {
		if !slices.ContainsFunc(all, func(c config.Node) bool { return c.Name == node.Name }) {
			all = append(all, node)
		}
	}
	for _, node := range n.kept {
		add(node)
	}
	scheme := "http://"
	if n.cfg.Discover != nil && n.cfg.Discover.TLS {
		scheme = "https://"
	}
	for _, f := range n.found {
		add(config.Node{Name: f.Name, URL: scheme + f.Address, Weight: max(f.Weight, 1), Labels: f.Labels})
	}
	return all
}

// list returns the base with what operators have changed of it, and then what they have added, by name. It needs mu.
func (n *Nodes) list() []config.Node {
	var all []config.Node
	for _, node := range n.base() {
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

// Base returns the nodes that the cluster has without what operators have changed.
func (n *Nodes) Base() []config.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.base()
}

// Removed returns since when nodes of the configuration, and that were found, are taken away by an operator, by name; the zero time where that is
// not known.
func (n *Nodes) Removed() map[string]time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := map[string]time.Time{}
	for _, node := range n.base() {
		if c := n.changes.Nodes[node.Name]; c.Removed {
			all[node.Name] = c.Since
		}
	}
	return all
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
