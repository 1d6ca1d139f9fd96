package cluster

import (
	"hash/maphash"
	"sync/atomic"
)

// SIDs remembers sids, each until another takes its place: of so many that it has slots, most. It may forget one at any time, but it
// takes none for another but with the probability that their hashes are the same. Its methods may be called concurrently, take no
// lock, and allocate nothing.
type SIDs struct {
	seed  maphash.Seed
	slots []atomic.Uint64
}

// NewSIDs returns one with n slots, a power of two.
func NewSIDs(n int) *SIDs { return &SIDs{maphash.MakeSeed(), make([]atomic.Uint64, n)} }

// Add remembers sid.
func (s *SIDs) Add(sid string) {
	slot, hash := s.slot(sid)
	slot.Store(hash)
}

// Has reports whether sid is remembered.
func (s *SIDs) Has(sid string) bool {
	slot, hash := s.slot(sid)
	return slot.Load() == hash
}

// Take forgets sid, and reports whether it was remembered.
func (s *SIDs) Take(sid string) bool {
	slot, hash := s.slot(sid)
	return slot.Load() == hash && slot.CompareAndSwap(hash, 0)
}

// slot returns where sid is remembered, and as what; 0 is nothing.
func (s *SIDs) slot(sid string) (*atomic.Uint64, uint64) {
	hash := maphash.String(s.seed, sid) | 1<<63
	return &s.slots[hash&uint64(len(s.slots)-1)], hash
}
