package replica

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/control"
)

// api returns the handler of /api/.
func (r *Replica) api() http.Handler {
	return api.New(api.Options{
		Board: r.board, Status: r.status, Session: r.session, Trace: r.trace, Move: r.move, Packets: r.packets, Reload: r.Reload, Events: &r.events,
		Log: r.log,
	})
}

// status tells how the replica and its clusters are.
func (r *Replica) status() api.Status {
	self := r.self()
	s := api.Status{
		At: time.Now().UTC(),
		Replica: api.Replica{
			Name: self.Name, Version: self.Version, Started: self.Started, Stopping: self.Stopping,
			Connections: self.Connections, Limit: self.Limit, Tunnels: self.Tunnels, Token: r.cfg.Load().Admin.Token != "",
		},
		Replicas: []api.Peer{peer(self, 0)},
		Store:    api.Store{Kind: r.storeName(), Up: true},
		Faults:   []api.Fault{},
	}
	s.Replicas[0].Self = true
	for _, p := range r.board.Peers() {
		s.Replicas = append(s.Replicas, peer(p.Self, time.Since(p.Heard)))
	}
	if why := r.storeWords(); why != "" {
		s.Store.Up, s.Store.Error = false, why
	}
	if why := r.board.Refusal(); why != nil {
		s.Store.Deaf = why.Deaf
	}
	if n, why := r.outages.count(s.At); n > 0 {
		s.Store.Fell, s.Store.Last = n, why
	}
	s.Certificates = r.statusOfCertificates()
	figures := r.gateway.Figures()
	s.Replica.Recent = r.recent.of("", s.At, figures[""], 0).Responses
	if why := r.refused.Load(); why != nil {
		s.Replica.ReloadError = *why
	}
	for _, p := range r.parts() {
		s.Clusters = append(s.Clusters, r.statusOf(p, figures[p.cfg.Name]))
	}
	for _, f := range r.metrics.Faults() {
		s.Faults = append(s.Faults, api.Fault(f))
	}
	return s
}

// noteRecent remembers what has been counted by now.
func (r *Replica) noteRecent(now time.Time) {
	ended := map[string]uint64{}
	for _, p := range r.parts() {
		ended[p.cfg.Name], _ = p.nodes.Cluster.Sessions.Ended()
	}
	r.recent.note(now, r.gateway.Figures(), ended)
}

// lost returns why a store that was there is not used.
func lost(c *affinity.Cached) error {
	if c.Ready() != nil { // no session is bound before
		return nil
	}
	return c.Fault()
}

// self is what other replicas are told of this one.
func (r *Replica) self() control.Self {
	open, limit := r.gateway.Connections()
	s := control.Self{
		Name: r.name(), Version: r.Version, Started: r.started, Stopping: r.stopping.Load(),
		Connections: open, Limit: limit, Descriptors: r.limitedBy.Load(), Tunnels: r.tunnels.Len(), Away: r.askStores(lost) != nil,
	}
	if err := r.ready(); err != nil && !s.Stopping {
		s.Unready = fmt.Sprintf("%.300s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	for _, p := range r.parts() {
		for _, n := range p.nodes.Cluster.Statuses() {
			s.Sessions += n.Sessions
		}
	}
	return s
}

func peer(s control.Self, silent time.Duration) api.Peer {
	return api.Peer{
		Name: s.Name, Version: s.Version, Started: s.Started, Stopping: s.Stopping,
		Connections: s.Connections, Limit: s.Limit, Descriptors: s.Descriptors, Tunnels: s.Tunnels, Sessions: s.Sessions, Unready: s.Unready, Heard: silent.Seconds(),
	}
}

func (r *Replica) statusOf(p *part, f *gateway.Figures) api.Cluster {
	c := api.Cluster{Name: p.cfg.Name, Hosts: p.cfg.Host, Path: p.cfg.Path, Balance: string(p.cfg.Balance), Nodes: []api.Node{}}
	if rel := p.nodes.Release(); rel.Label != "" {
		c.Release = &api.Release{Label: rel.Label, Value: rel.Value, Share: fmt.Sprintf("%.6g%%", 100*rel.Share)}
	}
	if f == nil { // the gateway has not been told of it yet
		f = &gateway.Figures{}
	}
	c.Waiting, c.Tunnels, c.Ends, c.Moves, c.Responses = f.Waiting, f.Tunnels, f.Ends, f.Moves, f.Responses
	if !f.MovesAgain.IsZero() {
		c.MovesAgain = new(f.MovesAgain.UTC())
	}
	c.Handshakes, c.Upgrades = api.Made(f.Handshakes), api.Made(f.Upgrades)
	c.Mute = f.Mute
	c.Storm = r.storms.of(c.Name)
	c.Auth = statusOfAuth(p)
	if err := p.nodes.Trouble(); err != nil {
		c.NodesError = err.Error()
	}
	sessions := p.nodes.Cluster.Sessions
	c.Ended, c.Expired = sessions.Ended()
	c.Recent = r.recent.of(c.Name, time.Now(), f, c.Ended)
	drains := p.nodes.Draining()
	statuses := p.nodes.Cluster.Statuses()
	for _, s := range statuses {
		n := r.statusOfNode(p, s)
		if d, drains := drains[n.Name]; drains {
			n.Drain = statusOfDrain(d)
			n.Drain.MovesAgain = c.MovesAgain
			if n.Since.IsZero() {
				n.Since = d.Since
			}
		}
		of := f.Nodes[n.Name]
		n.Handshakes, n.Errors, n.Unanswered, n.NoUpgrade = of.Handshakes, of.Errors, of.Unanswered, of.NoUpgrade
		c.Panic = c.Panic || s.Panic
		c.Nodes = append(c.Nodes, n)
	}
	removed := p.nodes.Removed()
	for _, name := range slices.Sorted(maps.Keys(removed)) {
		c.Removed = append(c.Removed, api.Gone{Name: name, Since: removed[name]})
	}
	c.Old = p.old(statuses)
	return c
}

func (r *Replica) statusOfNode(p *part, s cluster.Status) api.Node {
	n := api.Node{
		Name: s.Node.Name, Address: s.Node.Address, Weight: s.Node.Weight, Share: s.Weight, Labels: s.Node.Labels, Source: p.nodes.Source(s.Node.Name),
		Healthy: s.Healthy, Ejected: s.Ejected, Why: string(s.Why), Retry: s.Retry.UTC(), Tried: s.Tried.UTC(), Untried: s.Untried, Draining: s.Draining, Since: s.Since.UTC(),
		Sessions: s.Sessions, Polling: s.Polling, Sockets: s.Sockets, Total: s.All(), Polls: min(s.All(), max(0, s.Polling+p.nodes.PollingElsewhere(s.Node.Name)-s.Twice)),
		Tunnels: r.tunnels.LenOf(s.Node.Key()), Leases: s.Leases,
	}
	if s.Share < 1 {
		n.Asks = &s.Share
	}
	if v, probed := p.nodes.Probe(n.Name); probed {
		n.Untried = false
		n.Probe = &api.Probe{At: v.At.UTC(), Took: v.Took.Seconds(), Reason: v.Reason}
	}
	return n
}

func statusOfDrain(d control.Draining) *api.Drain {
	s := &api.Drain{Since: d.Since, Rate: d.Rate, Silent: d.Silent}
	if !d.Heard.IsZero() {
		s.Heard = &d.Heard
	}
	if !d.Deadline.IsZero() {
		s.Deadline = &d.Deadline
	}
	if d.Rate > 0 {
		s.Done = new(time.Now().UTC().Add(d.Left))
	}
	return s
}

// name is what people know this replica by, as long as it runs: the address is the one that it began with.
func (r *Replica) name() string {
	host, _ := os.Hostname()
	if r.begun != "" {
		host += "/" + r.begun
	}
	return host
}

// event tells whoever listens to the API of what happens.
func (r *Replica) event(kind, cluster, node, text string) {
	r.events.Add(api.Event{Kind: kind, Cluster: cluster, Node: node, Text: text})
}

// tellFault tells of a setup fault.
func (r *Replica) tellFault(f gateway.Fault) {
	node, text := "", f.Text
	for _, p := range r.parts() {
		if p.cfg.Name == f.Cluster && p.nodes.Cluster.Node(f.Subject) != nil {
			node = f.Subject
		}
	}
	if node == "" && f.Subject != "" && !strings.Contains(text, f.Subject) {
		text += " (" + f.Subject + ")"
	}
	r.event("fault", f.Cluster, node, text)
}

// old tells how many of the sessions that are older than half a minute poll, of those of which it is known.
func (p *part) old(nodes []cluster.Status) api.Old {
	all, polling := p.nodes.Cluster.Sessions.Old()
	sockets := 0
	for _, s := range nodes {
		sockets += s.Sockets
	}
	return api.Old{All: min(all, polling+sockets), Polling: polling}
}

// pollingQuiet is how long the log does not repeat that a cluster's clients poll.
const pollingQuiet = time.Hour

// pollers are sessions of a cluster that poll, and whether their clients seem to want it so.
type pollers struct {
	cluster string
	wanted  bool
}

// tellPolling logs that clients of a cluster do not come to WebSockets.
func (r *Replica) tellPolling() {
	for _, p := range r.parts() {
		o := p.old(p.nodes.Cluster.Statuses())
		if !o.Stuck() {
			continue
		}
		why, wanted, s := "", false, r.status()
		for i := range s.Clusters {
			if c := &s.Clusters[i]; c.Name == p.cfg.Name {
				why, wanted = s.WhyPolling(c)
			}
		}
		switch {
		case !r.polling.Due(pollers{p.cfg.Name, wanted}):
		case wanted:
			r.log.Info("sessions poll that are older than half a minute, as their clients seem to want it", "cluster", p.cfg.Name, "polling", o.Polling, "of", o.All, "why", why)
		default:
			r.log.Warn("sessions poll that are older than half a minute", "cluster", p.cfg.Name, "polling", o.Polling, "of", o.All, "why", why)
		}
	}
}
