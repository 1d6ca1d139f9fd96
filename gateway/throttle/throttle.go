// Package throttle bounds how often each of many clients does something, in a table whose size is fixed.
//
//	t := throttle.New()
//	wait, ok := t.Take(throttle.Of(addr), throttle.Requests, now, throttle.Rate{PerSecond: 50, Wait: time.Second})
//
// It has no clock and no goroutine, and allocates nothing but the table.
package throttle

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Client is what counts as one client: an IPv4 address, or an IPv6 /64. The zero value is nobody.
type Client struct{ hi, lo uint64 }

// Of returns the client at addr, nobody where addr is no address.
func Of(addr netip.Addr) Client {
	if !addr.IsValid() {
		return Client{}
	}
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return Client{lo: 1<<32 | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := addr.As16()
	return Client{binary.BigEndian.Uint64(b[:]), 1}
}

// Known reports whether c is somebody.
func (c Client) Known() bool { return c != Client{} }

// Kind is what is bounded.
type Kind uint8

const (
	Requests   Kind = iota
	Handshakes      // requests for a session, and upgrades
	kinds
)

// Rate is a bound: so many in a second, twice as many at once, and who comes sooner than that waits up to Wait.
type Rate struct {
	PerSecond float64
	Wait      time.Duration
}

// Bucket is a token bucket. The zero value is full, and so is each that has not been asked for long.
type Bucket struct {
	full time.Duration // when it is full again
}

// Take takes a token, and returns how long its owner is to wait for it. It reports false, and takes none, where that were more than
// r.Wait. Who waits has a place in turn: nobody who comes later waits less.
func (b *Bucket) Take(now time.Duration, r Rate) (time.Duration, bool) {
	each := time.Duration(float64(time.Second) / r.PerSecond)
	full := max(b.full, now)
	wait := max(0, full-now-max(0, 2*time.Second-each))
	if wait > r.Wait {
		return 0, false
	}
	b.full = full + each
	return wait, true
}

// ways is how many clients one set of the table holds, sets how many sets there are, a power of two.
const (
	ways = 8
	sets = 8 << 10
)

// Table holds the buckets of the clients that came last: 64 Ki of them, in 2.2 MB. A client whose buckets are full needs no place, so
// that nothing is lost with it. Where one has to give way, it is that with the fullest buckets: clients that are being bounded stay, however
// many others come. Its methods may be called concurrently.
type Table struct {
	seed Client // which no client knows, so that none chooses its set
	sets []set
}

type set struct {
	mu      sync.Mutex
	clients [ways]Client
	buckets [ways][kinds]Bucket
}

// New returns an empty table.
func New() *Table { return &Table{Client{rand.Uint64(), rand.Uint64()}, make([]set, sets)} }

// Take is Bucket's for one of the client's buckets.
func (t *Table) Take(c Client, k Kind, now time.Duration, r Rate) (time.Duration, bool) {
	hi, lo := bits.Mul64(c.hi^t.seed.hi, c.lo^t.seed.lo) // as wyhash mixes
	s := &t.sets[(hi^lo)%sets]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(c)[k].Take(now, r)
}

// place returns the client's buckets. It needs mu.
func (s *set) place(c Client) *[kinds]Bucket {
	for i := range s.clients {
		if s.clients[i] == c {
			return &s.buckets[i]
		}
	}
	fullest := 0
	for i := range s.clients {
		if s.owes(i) < s.owes(fullest) {
			fullest = i
		}
	}
	s.clients[fullest], s.buckets[fullest] = c, [kinds]Bucket{}
	return &s.buckets[fullest]
}

// owes is when both buckets are full again.
func (s *set) owes(i int) time.Duration {
	return max(s.buckets[i][Requests].full, s.buckets[i][Handshakes].full)
}

// Counts says how much each client has of something, such as connections. It remembers those that have any. The zero value is ready;
// its methods may be called concurrently.
type Counts struct {
	mu sync.Mutex
	by map[Client]int
}

// Add counts one more, and returns how many c has.
func (n *Counts) Add(c Client) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil {
		n.by = map[Client]int{}
	}
	n.by[c]++
	return n.by[c]
}

// Remove counts one less.
func (n *Counts) Remove(c Client) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by[c]--; n.by[c] <= 0 {
		delete(n.by, c)
	}
}
