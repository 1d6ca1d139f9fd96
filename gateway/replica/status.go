package replica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/cluster"
)

// api returns the handler of /api/.
func (r *Replica) api() http.Handler {
	return api.New(api.Options{
		Board: r.board, Status: r.status, Session: r.session, Reload: r.Reload, Events: &r.events,
		Token: r.cfg.Load().Admin.Token, Log: r.log,
	})
}

// status tells how the replica and its clusters are.
func (r *Replica) status() api.Status {
	open, limit := r.gateway.Connections()
	s := api.Status{
		Replica: api.Replica{
			Name: r.name(), Version: r.Version, Started: r.started, Stopping: r.stopping.Load(),
			Connections: open, Limit: limit, Tunnels: r.tunnels.Len(),
		},
		Store: api.Store{Kind: r.storeName(), Up: true},
	}
	if err := r.askStores((*affinity.Cached).Fault); err != nil {
		s.Store.Up, s.Store.Error = false, err.Error()
	}
	for _, p := range r.parts() {
		s.Clusters = append(s.Clusters, r.statusOf(p))
	}
	return s
}

func (r *Replica) statusOf(p *part) api.Cluster {
	c := api.Cluster{Name: p.cfg.Name, Hosts: p.cfg.Host, Path: p.cfg.Path, Balance: string(p.cfg.Balance)}
	if rel := p.nodes.Release(); rel.Label != "" {
		c.Release = &api.Release{Label: rel.Label, Value: rel.Value, Share: fmt.Sprintf("%.6g%%", 100*rel.Share)}
	}
	drains, now := p.nodes.Draining(), time.Now().UTC()
	for _, s := range p.nodes.Cluster.Statuses() {
		n := api.Node{
			Name: s.Node.Name, Address: s.Node.Address, Weight: s.Node.Weight, Share: s.Weight, Labels: s.Node.Labels, Source: p.nodes.Source(s.Node.Name),
			Healthy: s.Healthy, Ejected: s.Ejected, Draining: s.Draining,
			Sessions: s.Sessions, Total: s.Sessions + s.Others, Tunnels: r.tunnels.LenOf(s.Node.Key()), Leases: s.Leases,
		}
		if d, drains := drains[n.Name]; drains {
			n.Drain = &api.Drain{Since: d.Since, Rate: d.Rate}
			if !d.Deadline.IsZero() {
				n.Drain.Deadline = &d.Deadline
			}
			if d.Rate > 0 {
				n.Drain.Done = new(now.Add(d.Left))
			}
		}
		if v, probed := p.nodes.Probe(n.Name); probed {
			n.Probe = &api.Probe{At: v.At.UTC(), Took: v.Took.Seconds(), Reason: v.Reason}
		}
		c.Panic = c.Panic || s.Panic
		c.Nodes = append(c.Nodes, n)
	}
	return c
}

// session tells where a session lives: by what is known here, else by what Redis says at the first word.
func (r *Replica) session(ctx context.Context, sid string) (api.Session, error) {
	if !engineio.ValidSID(sid) {
		return api.Session{}, fmt.Errorf("%w: that is no sid", api.ErrNoSession)
	}
	var failed error
	for _, p := range r.parts() {
		b, known := p.memory.Known(sid)
		if !known && p.store != nil {
			var err error
			if b, err = p.store.Glance(ctx, sid); err != nil && !errors.Is(err, affinity.ErrNotFound) {
				failed = err
			}
			known = err == nil
		}
		if known {
			return sessionOf(p.nodes.Cluster, sid, b), nil
		}
	}
	if failed != nil {
		return api.Session{}, failed
	}
	return api.Session{}, fmt.Errorf("%w: no binding of it is known; it has ended, or never was", api.ErrNoSession)
}

func sessionOf(c *cluster.Cluster, sid string, b affinity.Binding) api.Session {
	s := api.Session{
		SID: engineio.ShortSID(sid), Cluster: c.Name, Node: b.Node, Known: c.Node(b.Node) != nil,
		EIO: b.Version, Transport: "polling", Expires: b.Expires,
	}
	if c.Sessions.HasTunnel(sid) {
		s.Transport = "websocket"
	}
	return s
}

// name is what people know this replica by.
func (r *Replica) name() string {
	host, _ := os.Hostname()
	if len(r.addrs) > 0 {
		host += "/" + r.addrs[0].String()
	}
	return host
}

// event tells whoever listens to the API of what happens.
func (r *Replica) event(kind, cluster, node, text string) {
	r.events.Add(api.Event{Kind: kind, Cluster: cluster, Node: node, Text: text})
}
