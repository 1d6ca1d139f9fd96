package affinity

import (
	"context"
	"hash/maphash"
	"iter"
	"slices"
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

// shard is a part of the bindings: those that were not looked up yet, and the others.
type shard struct {
	mu          sync.Mutex
	size        int
	peak        int // the most that it has held since its lists were made
	fresh, used *list
}

type list = simplelru.LRU[string, held]

// held is what is kept per sid. The sessions of one node share one fact, so a million of them cost a million words.
type held struct {
	fact    unique.Handle[Binding]
	ends    int64         // Binding.Ends, which they do not share
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
	m := &Memory{seed: maphash.MakeSeed(), shards: make([]shard, n), start: time.Now()}
	for i := range m.shards {
		s := &m.shards[i]
		s.size = m.share(size)
		s.fresh, s.used = s.empty(), s.empty()
	}
	return m
}

// share is how many bindings one shard holds, of so many in all.
func (m *Memory) share(size int) int {
	n := len(m.shards)
	if n == 1 {
		return max(size, 1)
	}
	return max(size/n+size/n/16, 1)
}

// SetSize changes how many bindings m holds. Of those that it holds already as many make room as are too many, as if it were full.
func (m *Memory) SetSize(size int) {
	each := m.share(size)
	for i := range m.shards {
		used, unused := m.shards[i].resize(each)
		for n := range used + unused {
			if m.OnEvict != nil {
				m.OnEvict(n < used)
			}
		}
	}
}

// resize gives s another size, and returns how many bindings had to go that had been looked up, and that had not.
func (s *shard) resize(size int) (used, unused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == size {
		return 0, 0
	}
	for s.size = size; s.len() > size; {
		if s.evict() {
			used++
		} else {
			unused++
		}
	}
	for _, l := range s.lists() {
		l.Resize(size)
	}
	return used, unused
}

// Bind implements Store.
func (m *Memory) Bind(ctx context.Context, sid string, b Binding) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.put(sid, b, time.Since(m.start)+b.TTL())
}

// BindThen implements Store. done has been called when it returns.
func (m *Memory) BindThen(sid string, b Binding, done func(error)) {
	done(m.Bind(context.Background(), sid, b))
}

// LookupThen implements Store. done has been called when it returns.
func (m *Memory) LookupThen(sid string, done func(Binding, error)) {
	done(m.Lookup(context.Background(), sid))
}

// put keeps b until expires. It fails only with a TakenError.
func (m *Memory) put(sid string, b Binding, expires time.Duration) error {
	return m.write(sid, b, expires, false)
}

// replace is put over whatever is known.
func (m *Memory) replace(sid string, b Binding, expires time.Duration) {
	_ = m.write(sid, b, expires, true)
}

func (m *Memory) write(sid string, b Binding, expires time.Duration, over bool) error {
	ends := b.Ends
	b.Ends, b.Expires = 0, time.Time{}
	h, now := held{unique.Make(b), ends, expires}, time.Since(m.start)
	s := m.shard(sid)
	s.mu.Lock()
	in, old, known := s.find(sid)
	if known && old.expires <= now { // of a session that is no more
		in.Remove(sid)
		known = false
	}
	if known {
		if node := old.fact.Value().Node; node != b.Node && !over {
			s.mu.Unlock()
			return &TakenError{node}
		}
		in.Add(sid, h) // under the key that is there
		s.mu.Unlock()
		return nil
	}
	evicted, used := s.makeRoom(now)
	s.fresh.Add(strings.Clone(sid), h)
	s.peak = max(s.peak, s.len())
	s.mu.Unlock()
	if evicted && m.OnEvict != nil {
		m.OnEvict(used)
	}
	return nil
}

// makeRoom makes room for a new binding, and reports whether a live one had to go, and from which list.
func (s *shard) makeRoom(now time.Duration) (evicted, used bool) {
	for _, l := range s.lists() {
		for range burials {
			if _, oldest, ok := l.GetOldest(); ok && oldest.expires <= now {
				l.RemoveOldest()
			}
		}
	}
	if s.len() < s.size {
		return false, false
	}
	return true, s.evict()
}

// evict drops the binding that is needed least, and reports whether it had been looked up.
func (s *shard) evict() (used bool) {
	if s.fresh.Len() > s.size/freshShare || s.used.Len() == 0 {
		s.fresh.RemoveOldest()
		return false
	}
	s.used.RemoveOldest()
	return true
}

// find returns the list that sid is in, with what it says.
func (s *shard) find(sid string) (in *list, h held, ok bool) {
	for _, l := range s.lists() {
		if h, ok := l.Peek(sid); ok {
			return l, h, true
		}
	}
	return nil, held{}, false
}

func (s *shard) lists() [2]*list { return [2]*list{s.used, s.fresh} }

func (s *shard) len() int { return s.fresh.Len() + s.used.Len() }

// empty returns a list that can hold all bindings of the shard: makeRoom bounds both together.
func (s *shard) empty() *list {
	l, _ := simplelru.NewLRU[string, held](s.size, nil) // the only error is a size below one
	return l
}

// Sweep drops what has expired from one part of m, the next one with each call. Called once a second it goes round in 64
// seconds at most. Only one Sweep may run at a time.
func (m *Memory) Sweep() {
	m.swept = (m.swept + 1) % len(m.shards)
	s, now := &m.shards[m.swept], time.Since(m.start)
	for batch := range slices.Chunk(m.keys(m.swept), sweepBatch) {
		s.mu.Lock()
		for _, sid := range batch {
			if in, h, ok := s.find(sid); ok && h.expires <= now {
				in.Remove(sid)
			}
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.len() >= s.peak/shrinkAt {
		return
	}
	for _, l := range []**list{&s.fresh, &s.used} {
		small := s.empty()
		for _, sid := range (*l).Keys() {
			h, _ := (*l).Peek(sid)
			small.Add(sid, h)
		}
		*l = small
	}
	s.peak = s.len()
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

// Peek is Known for one who is not the session's client: the binding does not count as used by that.
func (m *Memory) Peek(sid string) (Binding, bool) { return m.peek(sid) }

// peek is get without marking the binding as used.
func (m *Memory) peek(sid string) (Binding, bool) { return m.find(sid, false) }

func (m *Memory) find(sid string, use bool) (Binding, bool) {
	now := time.Since(m.start)
	s := m.shard(sid)
	s.mu.Lock()
	h, ok := held{}, false
	if use {
		h, ok = s.used.Get(sid)
	} else {
		h, ok = s.used.Peek(sid)
	}
	if !ok {
		if h, ok = s.fresh.Peek(sid); ok && use {
			s.fresh.Remove(sid)
			s.used.Add(strings.Clone(sid), h)
		}
	}
	if !ok || h.expires <= now {
		s.mu.Unlock()
		return Binding{}, false
	}
	s.mu.Unlock()
	b := h.fact.Value()
	b.Ends, b.Expires = h.ends, m.start.Add(h.expires)
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
	if in, _, ok := s.find(sid); ok {
		in.Remove(sid)
	}
	s.mu.Unlock()
}

// Len returns the number of bindings held, with those that have expired and were not swept yet.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.len()
		s.mu.Unlock()
	}
	return n
}

// All yields the live bindings, some time between its begin and its end. It holds no lock while it yields.
func (m *Memory) All() iter.Seq2[string, Binding] {
	return func(yield func(string, Binding) bool) {
		for i := range m.shards {
			for _, sid := range m.keys(i) {
				if b, ok := m.peek(sid); ok && !yield(sid, b) {
					return
				}
			}
		}
	}
}

// keys returns the sids of one shard, those used last first.
func (m *Memory) keys(i int) []string {
	s := &m.shards[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := append(s.fresh.Keys(), s.used.Keys()...)
	slices.Reverse(keys)
	return keys
}

func (m *Memory) shard(sid string) *shard {
	return &m.shards[maphash.String(m.seed, sid)&uint64(len(m.shards)-1)]
}
