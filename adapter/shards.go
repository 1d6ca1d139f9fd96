package adapter

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// shards receives sharded channels of one namespace. On a single server that is the hub's connection; in a Cluster each
// channel lives on the master of its slot, with one connection per master, and follows its slot when that moves.
type shards struct {
	hub *hub

	mu     sync.Mutex
	placed map[string]place
	closed bool
}

// place is where a channel is subscribed.
type place struct {
	in    *inbox
	route *route
	fn    route
}

func newShards(h *hub) *shards {
	s := &shards{hub: h, placed: make(map[string]place)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shards[s] = struct{}{}
	return s
}

func shard(channel string) subscription { return subscription{byShard, channel} }

// add subscribes to channel.
func (s *shards) add(channel string, fn route) {
	in := s.hub.inboxFor(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.placed[channel]; known || s.closed {
		return
	}
	s.placed[channel] = place{in, in.add(shard(channel), fn), fn}
}

func (s *shards) remove(channel string) {
	s.mu.Lock()
	p, ok := s.placed[channel]
	delete(s.placed, channel)
	s.mu.Unlock()
	if ok {
		p.in.remove(shard(channel), p.route)
	}
}

// follow subscribes again to the channels whose slot has moved to another master.
func (s *shards) follow() {
	s.mu.Lock()
	channels := make([]string, 0, len(s.placed))
	for c := range s.placed {
		channels = append(channels, c)
	}
	s.mu.Unlock()
	for _, c := range channels {
		in := s.hub.inboxFor(c)
		s.mu.Lock()
		if p, ok := s.placed[c]; ok && p.in != in {
			s.placed[c] = place{in, in.add(shard(c), p.fn), p.fn}
			p.in.remove(shard(c), p.route)
		}
		s.mu.Unlock()
	}
}

func (s *shards) settled() {
	for _, in := range s.inboxes() {
		in.settled()
	}
}

// away tells whether any of the connections is known to be broken.
func (s *shards) away() bool {
	for _, in := range s.inboxes() {
		if !in.connected() {
			return true
		}
	}
	return false
}

func (s *shards) inboxes() map[*inbox]*inbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[*inbox]*inbox)
	for _, p := range s.placed {
		all[p.in] = p.in
	}
	return all
}

func (s *shards) close() {
	s.mu.Lock()
	s.closed = true
	channels := make([]string, 0, len(s.placed))
	for c := range s.placed {
		channels = append(channels, c)
	}
	s.mu.Unlock()
	for _, c := range channels {
		s.remove(c)
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.shards, s)
}

// follow lets all namespaces look where their channels belong now.
func (h *hub) follow() {
	h.mu.Lock()
	all := make([]*shards, 0, len(h.shards))
	for s := range h.shards {
		all = append(all, s)
	}
	h.mu.Unlock()
	for _, s := range all {
		s.follow()
	}
}

// inboxFor returns the connection that channel belongs to.
func (h *hub) inboxFor(channel string) *inbox {
	cluster, ok := h.client.(*redis.ClusterClient)
	if !ok {
		return h.in
	}
	ctx, cancel := context.WithTimeout(h.ctx, time.Second)
	defer cancel()
	master, err := cluster.MasterForKey(ctx, channel)
	if err != nil {
		return h.in // not known now: its loss or its refusal makes the channel move later
	}
	addr := master.Options().Addr
	h.mu.Lock()
	defer h.mu.Unlock()
	if in, ok := h.masters[addr]; ok {
		return in
	}
	if h.ctx.Err() != nil {
		return h.in
	}
	in := newInbox(master, h.opts)
	in.moved = h.follow
	h.masters[addr] = in
	h.wg.Go(in.run)
	return in
}
