package affinity

import (
	"context"
	"hash/maphash"
	"maps"
	"strings"
	"sync"
	"time"
	"unique"
)

const (
	// A shard is worth its own lock and keeps the pause of a snapshot short when it holds this many bindings.
	shardSize = 4096
	maxShards = 64
	// A Bind of a new sid drops up to this many expired bindings of each list.
	burials = 2
	// One part in so many is for bindings that were not looked up yet. With less, sessions that have ended but not
	// expired would leave new ones no room from their handshake to their first request.
	freshShare = 8
	// Sweep holds a shard's lock for so many bindings at a time.
	sweepBatch = 256
	// Sweep rebuilds a shard's map when it holds less than this part of what it has held: a map never shrinks by itself.
	shrinkAt = 8
)

var _ Store = (*Memory)(nil)

// Memory is a Store in this process: bounded and expiring. When it is full, the oldest binding that was never looked up
// makes room, as long as such bindings fill more than an eighth of it, and otherwise the one used longest ago. It serves
// one replica alone or stands in front of a shared store. Its clock is monotonic, so a step of the wall clock has no effect.
type Memory struct {
	// OnEvict is told of each live binding that had to make room, and whether it had been looked up since it was bound.
	// Set it before the first use. It may be nil, is called concurrently and must not block.
	OnEvict func(used bool)

	seed   maphash.Seed
	shards []shard
	start  time.Time
	swept  int // the shard that Sweep did last
}

// shard is a part of the bindings. fresh and used are the roots of two rings, newest first: of the bindings that were not
// looked up yet, and of the others.
type shard struct {
	mu          sync.Mutex
	size        int
	peak        int // the most that m has held since it was made
	unused      int // entries in fresh
	m           map[string]*entry
	fresh, used entry
}

// entry is what is kept per sid. The sessions of one node share one fact, so a million of them cost a million words.
type entry struct {
	prev, next *entry
	sid        string
	fact       unique.Handle[Binding]
	expires    time.Duration // since Memory.start
	used       bool
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
		s := &m.shards[i]
		s.size, s.m = each, make(map[string]*entry)
		for _, root := range s.rings() {
			root.prev, root.next = root, root
		}
	}
	return m
}

// Bind implements Store.
func (m *Memory) Bind(ctx context.Context, sid string, b Binding) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.put(sid, b, time.Since(m.start)+b.TTL())
}

// put keeps b until expires. It fails only with a TakenError.
func (m *Memory) put(sid string, b Binding, expires time.Duration) error {
	b.Expires = time.Time{}
	fact, now := unique.Make(b), time.Since(m.start)
	s := m.shard(sid)
	s.mu.Lock()
	e, evicted := s.m[sid], (*entry)(nil)
	switch {
	case e == nil:
		e, evicted = s.add(sid, now)
	case e.expires <= now:
		if e.used { // by a session that is no more
			e.used = false
			s.unused++
		}
	case e.fact != fact:
		if node := e.fact.Value().Node; node != b.Node {
			s.mu.Unlock()
			return &TakenError{node}
		}
	}
	e.fact, e.expires = fact, expires
	s.touch(e)
	s.mu.Unlock()
	if evicted != nil && m.OnEvict != nil {
		m.OnEvict(evicted.used)
	}
	return nil
}

// add makes room for a new entry and returns it, with the live one that had to go for it or nil.
func (s *shard) add(sid string, now time.Duration) (e, evicted *entry) {
	for _, root := range s.rings() {
		for range burials {
			if oldest := root.prev; oldest != root && oldest.expires <= now {
				s.remove(oldest)
			}
		}
	}
	if len(s.m) >= s.size {
		if evicted = s.used.prev; s.unused > s.size/freshShare || evicted == &s.used {
			evicted = s.fresh.prev
		}
		s.remove(evicted)
	}
	e = &entry{sid: strings.Clone(sid)}
	e.prev, e.next = e, e
	s.m[e.sid] = e
	s.unused++
	s.peak = max(s.peak, len(s.m))
	return e, evicted
}

func (s *shard) rings() [2]*entry { return [2]*entry{&s.used, &s.fresh} }

// touch makes e the newest of its ring.
func (s *shard) touch(e *entry) {
	root := &s.fresh
	if e.used {
		root = &s.used
	}
	e.unlink()
	e.prev, e.next = root, root.next
	root.next.prev, root.next = e, e
}

func (s *shard) remove(e *entry) {
	if !e.used {
		s.unused--
	}
	e.unlink()
	delete(s.m, e.sid)
}

func (e *entry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

// Sweep drops what has expired from one part of m, the next one with each call. Called once a second it goes round in 64
// seconds at most. Only one Sweep may run at a time.
func (m *Memory) Sweep() {
	m.swept = (m.swept + 1) % len(m.shards)
	s, now := &m.shards[m.swept], time.Since(m.start)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.m {
		if e.expires <= now {
			s.remove(e)
		}
		if n++; n%sweepBatch == 0 { // a map may be changed between two steps of a loop over it
			s.mu.Unlock()
			s.mu.Lock()
		}
	}
	if len(s.m) < s.peak/shrinkAt {
		small := make(map[string]*entry, len(s.m))
		maps.Copy(small, s.m)
		s.m, s.peak = small, len(small)
	}
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
func (m *Memory) get(sid string) (Binding, bool) { return m.find(sid, true) }

// peek is get without marking the binding as used.
func (m *Memory) peek(sid string) (Binding, bool) { return m.find(sid, false) }

func (m *Memory) find(sid string, use bool) (Binding, bool) {
	now := time.Since(m.start)
	s := m.shard(sid)
	s.mu.Lock()
	e := s.m[sid]
	if e == nil || e.expires <= now {
		s.mu.Unlock()
		return Binding{}, false
	}
	fact, expires := e.fact, e.expires
	if use {
		if !e.used {
			e.used = true
			s.unused--
		}
		s.touch(e)
	}
	s.mu.Unlock()
	b := fact.Value()
	b.Expires = m.start.Add(expires)
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
	if e := s.m[sid]; e != nil {
		s.remove(e)
	}
	s.mu.Unlock()
}

// Len returns the number of bindings held, with those that have expired and were not swept yet.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.m)
		s.mu.Unlock()
	}
	return n
}

// keys returns the sids of one shard, those used last first.
func (m *Memory) keys(i int) []string {
	s := &m.shards[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]string, 0, len(s.m))
	for _, root := range s.rings() {
		for e := root.next; e != root; e = e.next {
			keys = append(keys, e.sid)
		}
	}
	return keys
}

func (m *Memory) shard(sid string) *shard {
	return &m.shards[maphash.String(m.seed, sid)&uint64(len(m.shards)-1)]
}
