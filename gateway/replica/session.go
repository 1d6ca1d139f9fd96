package replica

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/cluster"
)

const whichSID = "a SID is socket.io.engine.id in a client and socket.conn.id at a node, not socket.id"

// sighting is what one replica knows of a session of a cluster.
type sighting struct {
	Replica     string              `json:"replica"`
	Cluster     string              `json:"cluster"`
	Node        string              `json:"node"`
	Made        time.Time           `json:"made,omitzero"` // zero: not there, or it is not remembered
	Tunnel      bool                `json:"tunnel"`
	TunnelSince time.Time           `json:"since,omitzero"`
	Ended       time.Time           `json:"ended,omitzero"`
	End         string              `json:"end,omitempty"`
	TTL         time.Duration       `json:"ttl"`
	Requests    []api.TracedRequest `json:"requests"`
}

// sightings are what is known here of a session without asking anybody.
func (r *Replica) sightings(sid string) (all []sighting) {
	for _, p := range r.parts() {
		t, known := r.gateway.Trail(p.cfg.Name, sid)
		s := sighting{
			Replica: r.name(), Cluster: p.cfg.Name, Node: t.Node, Made: t.Made, Tunnel: !t.Tunnel.IsZero() || p.nodes.Cluster.Sessions.HasTunnel(sid),
			TunnelSince: t.Tunnel, Ended: t.Ended, End: t.End, TTL: t.TTL,
		}
		for _, q := range t.Requests {
			s.Requests = append(s.Requests, api.TracedRequest{At: q.At, Replica: s.Replica, Kind: q.Kind, Status: q.Status, Took: q.Took.Seconds(), Cause: q.Cause})
		}
		if known || s.Tunnel {
			all = append(all, s)
		}
	}
	return all
}

// answer tells another replica what is known here of a session.
func (r *Replica) answer(sid string) string {
	text, _ := json.Marshal(r.sightings(sid)) // of strings, numbers and times of this century, so there is no error
	return string(text)
}

// readSightings reads what another replica's answer has told. What cannot be read is nothing.
func readSightings(text string) (all []sighting) {
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil
	}
	return all
}

// trails asks the other replicas what they remember of a session of a cluster, and reports whether all have answered.
func (r *Replica) trails(ctx context.Context, cluster, sid string) (all []gateway.Trail, whole bool) {
	answers, asked := r.board.Ask(ctx, sid)
	for _, text := range answers {
		for _, s := range readSightings(text) {
			if s.Cluster == cluster {
				all = append(all, s.trail())
			}
		}
	}
	return all, len(answers) >= asked
}

// trail is what a sighting tells of a session's requests and its end.
func (s *sighting) trail() gateway.Trail {
	t := gateway.Trail{Node: s.Node, TTL: s.TTL, Made: s.Made, Ended: s.Ended, End: s.End}
	for _, q := range s.Requests {
		t.Requests = append(t.Requests, gateway.TrailRequest{At: q.At, Kind: q.Kind, Status: q.Status, Took: time.Duration(q.Took * float64(time.Second)), Cause: q.Cause})
	}
	return t
}

// home returns where a session is bound: by what is known here, else by what Redis says at the first word. No part and no error says
// that nobody knows.
func (r *Replica) home(ctx context.Context, sid string) (*part, affinity.Binding, error) {
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
			return p, b, nil
		}
	}
	return nil, affinity.Binding{}, failed
}

// session tells where a session lives.
func (r *Replica) session(ctx context.Context, sid string) (api.Session, error) {
	if !engineio.ValidSID(sid) {
		return api.Session{}, fmt.Errorf("%w: that is no sid", api.ErrNoSession)
	}
	switch p, b, err := r.home(ctx, sid); {
	case err != nil:
		return api.Session{}, err
	case p == nil:
		return api.Session{}, fmt.Errorf("%w: no binding of it is known; it has ended, or never was", api.ErrNoSession)
	default:
		return sessionOf(p.nodes.Cluster, sid, b), nil
	}
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

// shortestBeginning is how much of a sid finds a session that is remembered here: as much as logs tell.
const shortestBeginning = 4

// trace tells what all replicas know of a session, or why nobody does.
func (r *Replica) trace(ctx context.Context, sid string) api.Trace {
	beginning := strings.TrimSuffix(sid, "…")
	t := api.Trace{SID: engineio.ShortSID(sid), Requests: []api.TracedRequest{}}
	if !engineio.ValidSID(beginning) {
		t.Why = "that is no sid"
		return t
	}
	p, b, err := r.home(ctx, sid)
	all := r.sightings(sid)
	if p == nil && len(all) == 0 && len(beginning) >= shortestBeginning {
		switch sids := r.gateway.TrailsOf(beginning); {
		case len(sids) > 1:
			t.Why = fmt.Sprintf("the sids of %d sessions begin so; give more of it", len(sids))
			return t
		case len(sids) == 1:
			sid = sids[0]
			p, b, err = r.home(ctx, sid)
			all = r.sightings(sid)
			t.SID = engineio.ShortSID(sid)
		}
	}
	answers, others := r.board.Ask(ctx, sid)
	t.Replicas, t.Answered = 1+others, 1+len(answers)
	for _, text := range answers {
		all = append(all, readSightings(text)...)
	}
	switch {
	case err != nil:
		t.Note = "Redis cannot be asked: " + err.Error()
	case r.board.Redis() == nil:
		t.Note = "without Redis only this replica was asked"
	case p != nil && len(all) == 0:
		t.Note = "only Redis knows it: no replica remembers a request of it"
	}
	if p != nil {
		t.Cluster, t.Node, t.EIO, t.Expires = p.cfg.Name, b.Node, b.Version, b.Expires
	}
	merge(&t, all)
	if t.NodeState = r.stateOfNode(t.Cluster, t.Node); p != nil {
		t.Live, t.Transport = t.NodeState != "gone", "polling"
	}
	judge(&t, all, err)
	return t
}

// merge adds what replicas know of a session.
func merge(t *api.Trace, all []sighting) {
	for _, s := range all {
		t.Cluster, t.Node = cmp.Or(t.Cluster, s.Cluster), cmp.Or(t.Node, s.Node)
		if t.Since.IsZero() {
			t.Since = s.Made
		}
		if s.Tunnel {
			t.Tunnel, t.TunnelSince = s.Replica, s.TunnelSince
		}
		t.Requests = append(t.Requests, s.Requests...)
	}
	slices.SortStableFunc(t.Requests, func(a, b api.TracedRequest) int { return a.At.Compare(b.At) })
	t.Requests = t.Requests[max(0, len(t.Requests)-mostTraced):]
}

// mostTraced is how many requests are told of a session, whichever replicas they came to.
const mostTraced = 16

// judge says whether a session lives that is live as far as its binding says, and if it does not, why. Redis may have failed.
func judge(t *api.Trace, all []sighting, failed error) {
	var last sighting // the one that saw its end last
	ttl := time.Duration(0)
	for _, s := range all {
		if s.Ended.After(last.Ended) {
			last = s
		}
		ttl = max(ttl, s.TTL)
	}
	if slices.ContainsFunc(t.Requests, func(q api.TracedRequest) bool { // which shows that it was not the end
		return (q.Status == 200 || q.Status == 101) && q.At.Add(-time.Duration(q.Took*float64(time.Second))).After(last.Ended)
	}) {
		last = sighting{}
	}
	const clock = time.RFC3339
	switch bound := t.Live; {
	case t.Tunnel != "":
		t.Live, t.Transport = true, "websocket"
		return
	case !last.Ended.IsZero():
		t.Why = fmt.Sprintf("it ended at %s: %s (seen by %s)", last.Ended.Format(clock), last.End, last.Replica)
	case t.NodeState == "gone":
		t.Why = fmt.Sprintf("its node is gone: cluster %s has no node %s", t.Cluster, t.Node)
	case bound:
		return
	case failed != nil:
		t.Why = "nobody knows whether it lives while Redis is away"
	case len(t.Requests) > 0:
		t.Why = fmt.Sprintf("it has expired, by %s at the latest: its client vanished", t.Requests[len(t.Requests)-1].At.Add(ttl).Format(clock))
	default:
		t.Why = "it was never seen, or is over for so long that nobody remembers it; " + whichSID
	}
	t.Live, t.Transport = false, ""
}

// stateOfNode is a word for how a node is, "gone" where its cluster has none of that name.
func (r *Replica) stateOfNode(clusterName, node string) string {
	for _, p := range r.parts() {
		if p.cfg.Name != clusterName {
			continue
		}
		for _, s := range p.nodes.Cluster.Statuses() {
			switch {
			case s.Node.Name != node:
			case !s.Healthy:
				return "unhealthy"
			case s.Ejected:
				return "ejected"
			case s.Draining:
				return "draining"
			default:
				return "healthy"
			}
		}
		return "gone"
	}
	return ""
}

// ofTunnel says what the API is to make of an error of the gateway's, and where the session's WebSocket is if it is not here.
func (r *Replica) ofTunnel(ctx context.Context, sid string, err error) error {
	switch {
	case errors.Is(err, gateway.ErrNoTunnel):
		switch t := r.trace(ctx, sid); {
		case t.Tunnel != "":
			return fmt.Errorf("%w here: its WebSocket runs through %s; ask that replica, by --admin", api.ErrNoSession, t.Tunnel)
		case t.Live:
			return fmt.Errorf("%w with a WebSocket: %w", api.ErrNoSession, errPolls)
		}
		return fmt.Errorf("%w: %w; %s", api.ErrNoSession, err, whichSID)
	case err != nil:
		return fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	return nil
}

// packets tells of the packets of a session whose WebSocket is here.
func (r *Replica) packets(ctx context.Context, sid string) (<-chan api.Packet, error) {
	seen, err := r.gateway.WatchPackets(ctx, sid)
	if err != nil {
		return nil, r.ofTunnel(ctx, sid, err)
	}
	told := make(chan api.Packet)
	go func() {
		defer close(told)
		for p := range seen {
			a := api.Packet{
				Time: p.At.UTC(), From: p.From.String(), Type: p.Type, Namespace: p.Namespace, Event: p.Event,
				Attachments: p.Attachments, Size: p.Size, Took: p.Took.Seconds(), Payload: p.Payload, Missed: p.Missed,
			}
			if p.HasID {
				a.ID = new(p.ID)
			}
			select {
			case told <- a:
			case <-ctx.Done():
				return
			}
		}
	}()
	return told, nil
}
