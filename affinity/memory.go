package affinity

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// A shard is worth its own lock and keeps the pause of a snapshot short when it holds this many bindings.
	shardSize = 4096
	maxShards = 64
	// Each Bind buries up to this many bindings that expired unseen, so that the memory follows the live ones.
	burials = 2
)

var _ Store = (*Memory)(nil)

// Memory is a Store in this process: bounded, least recently used first out, expiring. It serves one replica alone or
// stands in front of a shared store. Its clock is monotonic, so a step of the wall clock has no effect.
type Memory struct {
	seed   maphash.Seed
	shards []shard
	start  time.Time
}

type shard struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, held]
}

// held is what is kept per sid. The sessions of one node share one fact, so a million of them cost a million words.
type held struct {
	fact    unique.Handle[Binding]
	expires time.Duration // since Memory.start
}

// NewMemory returns an empty Memory that holds size bindings, or a sixteenth more where it is divided: sids do not
// spread evenly.
func NewMemory(size int) *Memory {
	size = max(size, 1)
	n := 1
	for n < maxShards && size/(2*n) >= shardSize {
		n *= 2
	}
	each := size
	if n > 1 {
		each = size/n + size/n/16
	}
	m := &Memory{seed: maphash.MakeSeed(), shards: make([]shard, n), start: time.Now()}
	for i := range m.shards {
		// The only error is a size below one.
		m.shards[i].lru, _ = simplelru.NewLRU[string, held](each, nil)
	}
	return m
}

// Bind implements Store. It fails only where ctx is done.
func (m *Memory) Bind(ctx context.Context, sid string, b Binding) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.put(sid, b, time.Since(m.start)+b.TTL())
	return nil
}

// put keeps b until expires.
func (m *Memory) put(sid string, b Binding, expires time.Duration) {
	b.Expires = time.Time{}
	h := held{fact: unique.Make(b), expires: expires}
	now := time.Since(m.start)
	s := m.shard(sid)
	s.mu.Lock()
	defer s.mu.Unlock()
	for range burials {
		_, old, ok := s.lru.GetOldest()
		if !ok || old.expires > now {
			break
		}
		s.lru.RemoveOldest()
	}
	s.lru.Add(strings.Clone(sid), h)
}

// Known is Lookup for one who cannot give a context. It does not allocate.
func (m *Memory) Known(sid string) (Binding, bool) { return m.get(sid) }

// Lookup implements Store. It does not allocate where it finds the binding.
func (m *Memory) Lookup(ctx context.Context, sid string) (Binding, error) {
	if err := ctx.Err(); err != nil {
		return Binding{}, err
	}
	b, ok := m.get(sid)
	if !ok {
		return Binding{}, ErrNotFound
	}
	return b, nil
}

// get returns the live binding of sid and marks it as used.
func (m *Memory) get(sid string) (Binding, bool) {
	s := m.shard(sid)
	s.mu.Lock()
	h, ok := s.lru.Get(sid)
	s.mu.Unlock()
	return m.live(h, ok)
}

// peek is get without marking the binding as used.
func (m *Memory) peek(sid string) (Binding, bool) {
	s := m.shard(sid)
	s.mu.Lock()
	h, ok := s.lru.Peek(sid)
	s.mu.Unlock()
	return m.live(h, ok)
}

func (m *Memory) live(h held, ok bool) (Binding, bool) {
	if !ok || h.expires <= time.Since(m.start) {
		return Binding{}, false
	}
	b := h.fact.Value()
	b.Expires = m.start.Add(h.expires)
	return b, true
}

// Unbind implements Store. It fails only where ctx is done.
func (m *Memory) Unbind(ctx context.Context, sid string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.drop(sid)
	return nil
}

func (m *Memory) drop(sid string) {
	s := m.shard(sid)
	s.mu.Lock()
	s.lru.Remove(sid)
	s.mu.Unlock()
}

// Len returns the number of bindings held, with those that have expired and were not buried yet.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.lru.Len()
		s.mu.Unlock()
	}
	return n
}

// keys returns the sids of one shard, those used last first.
func (m *Memory) keys(i int) []string {
	s := &m.shards[i]
	s.mu.Lock()
	keys := s.lru.Keys()
	s.mu.Unlock()
	for l, r := 0, len(keys)-1; l < r; l, r = l+1, r-1 {
		keys[l], keys[r] = keys[r], keys[l]
	}
	return keys
}

func (m *Memory) shard(sid string) *shard {
	return &m.shards[maphash.String(m.seed, sid)&uint64(len(m.shards)-1)]
}
