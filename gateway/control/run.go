package control

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/discover"
	"github.com/sidway/sidway/gateway/health"
	"github.com/sidway/sidway/gateway/proxyheader"
)

// probed is a node with what became of a probe of it.
type probed struct {
	node    string
	outcome health.Outcome
}

// Run probes the nodes and looks for them, as the configuration has it, until ctx is done. It returns nil.
func (n *Nodes) Run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return n.prober.Run(ctx) })
	work.Go(func() error { return n.discover(ctx) })
	return work.Wait()
}

// discover runs the source of nodes that the configuration names, and another one when it names another.
func (n *Nodes) discover(ctx context.Context) error {
	for ctx.Err() == nil {
		n.mu.Lock()
		cfg := n.cfg.Discover
		n.mu.Unlock()
		running, cancel := context.WithCancel(ctx)
		var work errgroup.Group
		if cfg != nil {
			work.Go(func() error { return n.source(*cfg).Run(running, n.takeFound(cfg), n.tellProblem) })
		}
		select {
		case <-ctx.Done():
		case <-n.sources:
		}
		cancel()
		_ = work.Wait() // a source returns nil
	}
	return nil
}

// takeFound returns what takes the nodes of a source that is still the configuration's.
func (n *Nodes) takeFound(cfg *config.Discover) func([]discover.Found) {
	return func(found []discover.Found) {
		n.mu.Lock()
		current := reflect.DeepEqual(n.cfg.Discover, cfg)
		n.mu.Unlock()
		if current {
			n.SetFound(found)
		}
	}
}

func (n *Nodes) source(cfg config.Discover) discover.Source {
	switch {
	case cfg.Kubernetes != nil:
		k := cfg.Kubernetes
		return &discover.Kubernetes{Service: k.Service, Namespace: k.Namespace, Port: k.Port, API: k.API}
	case cfg.SRV != "":
		return &discover.DNS{Service: cfg.SRV, Interval: cfg.Interval, Again: n.again}
	}
	return &discover.DNS{Address: cfg.DNS, Interval: cfg.Interval, Again: n.again}
}

// tellProblem tells that nodes cannot be looked for, or can again where err is nil, and what that comes to.
func (n *Nodes) tellProblem(err error) {
	n.mu.Lock()
	n.trouble = err
	known, listed := len(n.list()), n.listed
	n.mu.Unlock()
	switch {
	case err == nil:
		n.OnEvent("discovered", "", fmt.Sprintf("nodes are found again: %d", known))
	case known > 0:
		n.OnEvent("discovery", "", "not all nodes can be found, those that are known stay: "+err.Error())
	case listed:
		n.OnEvent("discovery", "", "no node is found any more, so there is none: "+err.Error())
	default:
		n.OnEvent("discovery", "", "no node has been found yet: "+err.Error())
	}
}

// probe has the prober follow the configuration and the nodes. It needs mu.
func (n *Nodes) probe() {
	h := n.cfg.Health
	if h == nil {
		n.prober.Update(health.Settings{}, nil)
		for _, node := range n.Cluster.Nodes() {
			n.Cluster.SetHealthy(node, true)
			n.Cluster.SetShare(node, 1)
		}
		clear(n.silent)
		return
	}
	header := ""
	if v := n.cfg.ProxyVersion(); v > 0 {
		header = string(proxyheader.Append(nil, v, netip.AddrPort{}, netip.AddrPort{}))
	}
	var nodes []health.Node
	for _, node := range n.Cluster.Nodes() {
		nodes = append(nodes, health.Node{Name: node.Name, Address: node.Address, TLS: node.TLS, First: header})
	}
	n.prober.Update(health.Settings{
		Path: h.Path, Status: h.Status, Interval: h.Interval, Timeout: h.Timeout, Rise: h.Rise, Fall: h.Fall,
		Handshake: h.Handshake, EngineIO: n.cfg.Path,
	}, nodes)
}

// takeVerdict has the cluster follow what a probe has found.
func (n *Nodes) takeVerdict(v health.Verdict) {
	n.mu.Lock()
	node := n.Cluster.Node(v.Node)
	if node == nil || n.cfg.Health == nil {
		n.mu.Unlock()
		return
	}
	n.probes[probed{v.Node, v.Outcome}]++
	n.Cluster.SetHealthy(node, v.Healthy)
	if v.Outcome == health.OK {
		n.Cluster.Reached(node, v.At.Add(-v.Took))
	}
	n.Cluster.SetShare(node, v.Weight)
	n.listen(v)
	asked := n.agents[v.Node]
	if v.Drain {
		n.agents[v.Node] = true
	} else {
		delete(n.agents, v.Node)
	}
	if asked != v.Drain {
		n.setDraining()
	}
	n.mu.Unlock()
	switch {
	case !v.Changed:
	case asked != v.Drain && v.Drain:
		n.OnEvent("drain", v.Node, "the node asks for its drain: it gets no new sessions")
	case asked != v.Drain:
		n.OnEvent("undrain", v.Node, "the node asks for new sessions again")
	case v.Healthy:
		n.OnEvent("healthy", v.Node, "probes find it healthy again")
	default:
		n.OnEvent("unhealthy", v.Node, "probes find it unhealthy: "+v.Reason)
	}
}

// Probe is what is known of a node by its probes.
type Probe struct {
	At     time.Time
	Took   time.Duration
	Reason string // what is wrong; empty where nothing is
}

// Probe returns what the last probe of a node has found, if there was one.
func (n *Nodes) Probe(node string) (Probe, bool) {
	v, ok := n.prober.Last(node)
	return Probe{v.At, v.Took, v.Reason}, ok
}

// EachProbes tells how many probes of which node had which outcome. It calls f for nodes that the cluster has.
func (n *Nodes) EachProbes(f func(node, outcome string, count uint64)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p, count := range n.probes {
		if n.Cluster.Node(p.node) == nil {
			delete(n.probes, p)
			continue
		}
		f(p.node, p.outcome.String(), count)
	}
}
