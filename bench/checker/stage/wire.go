//go:build linux

package stage

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Link is how packets fare from one host to another: the zero Link passes them at once.
type Link struct {
	Cut   bool
	Delay time.Duration
	Loss  float64 // share of the packets that is lost
}

// A Wire joins hosts. It is a switch for IPv4 that looks at nothing but addresses, and for each pair of them it can delay
// packets, lose some or all: what tc's netem does in kernels that have it, many of which do not.
type Wire struct {
	mu    sync.Mutex // for whoever changes what is below
	hosts []*Host
	to    atomic.Pointer[map[netip.Addr]*Host] // who gets the packets for an address
	links atomic.Pointer[map[pair]Link]
	rest  atomic.Pointer[Link] // of all pairs that are not in links

	dropped atomic.Int64
	random  *rand.Rand // for losses; under lost
	lost    sync.Mutex
	lines   map[pair]chan packet // of packets that wait; under waiting
	waiting sync.Mutex
	wg      sync.WaitGroup
	closed  chan struct{}
}

type pair struct{ from, to netip.Addr }

// packet is one that is delayed.
type packet struct {
	due  time.Time
	host *Host
	data []byte
}

// mtu is what cards have unless told otherwise.
const mtu = 1500

func newWire(seed uint64) *Wire {
	w := &Wire{random: rand.New(rand.NewPCG(seed, 1)), lines: map[pair]chan packet{}, closed: make(chan struct{})}
	w.to.Store(&map[netip.Addr]*Host{})
	w.links.Store(&map[pair]Link{})
	w.rest.Store(&Link{})
	return w
}

// host adds a host with the next address; the first is the namespace of this process.
func (w *Wire) host(name string) (*Host, error) {
	addr := netip.AddrFrom4([4]byte{10, 99, 0, byte(1 + len(w.hosts))})
	h, err := newHost(name, addr, len(w.hosts) > 0)
	if err != nil {
		return nil, err
	}
	w.hosts = append(w.hosts, h)
	w.address(addr, h)
	w.wg.Go(func() { w.carry(h) })
	return h, nil
}

// alias gives a host a second address, by which it can be reached and cut off apart from the first.
func (w *Wire) alias(h *Host) (netip.Addr, error) {
	last := h.Addr.As4()
	last[3] += 100
	addr := netip.AddrFrom4(last)
	w.address(addr, h)
	return addr, h.alias(addr)
}

func (w *Wire) address(addr netip.Addr, h *Host) { change(w, &w.to, addr, h) }

// Set says how packets fare between two addresses from now on, both ways. Those that wait already are not touched.
func (w *Wire) Set(a, b netip.Addr, l Link) {
	change(w, &w.links, pair{a, b}, l)
	change(w, &w.links, pair{b, a}, l)
}

// SetAll says so for all addresses that Set was not called for.
func (w *Wire) SetAll(l Link) { w.rest.Store(&l) }

// change replaces a map that is read without a lock.
func change[K comparable, V any](w *Wire, at *atomic.Pointer[map[K]V], key K, value V) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := map[K]V{key: value}
	for k, v := range *at.Load() {
		if k != key {
			m[k] = v
		}
	}
	at.Store(&m)
}

// carry passes on what a host sends until its card is closed.
func (w *Wire) carry(h *Host) {
	buf := make([]byte, mtu+100)
	for {
		n, err := h.tun.Read(buf)
		if err != nil {
			return
		}
		if n >= 20 && buf[0]>>4 == 4 { // cards speak of IPv6 too
			w.pass(buf[:n])
		}
	}
}

func (w *Wire) pass(p []byte) {
	way := pair{netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))}
	to := (*w.to.Load())[way.to]
	l, set := (*w.links.Load())[way]
	if !set {
		l = *w.rest.Load()
	}
	if to == nil || l.Cut || l.Loss > 0 && w.loses(l.Loss) {
		return
	}
	if l.Delay > 0 {
		w.delay(way, packet{time.Now().Add(l.Delay), to, append([]byte(nil), p...)})
		return
	}
	w.put(to, p)
}

func (w *Wire) put(to *Host, p []byte) {
	if _, err := to.tun.Write(p); err != nil {
		w.dropped.Add(1)
	}
}

// Dropped is how many packets were lost that no link has lost: then a machine is too busy, and what came out is not the fault's.
func (w *Wire) Dropped() (n int64, err error) {
	for _, h := range w.hosts {
		h.do(func() {
			var lost int64
			lost, err = cardDrops()
			n += lost
		})
		if err != nil {
			return 0, err
		}
	}
	return n + w.dropped.Load(), nil
}

// cardDrops are those of the card of the namespace that it is called in, as its kernel counts them.
func cardDrops() (int64, error) {
	text, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return 0, fmt.Errorf("stage: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		// name, then eight figures of what came in and eight of what went out; the fourth of each is how many were dropped.
		if f := strings.Fields(line); f[0] == card+":" && len(f) == 17 {
			var in, out int64
			_, err := fmt.Sscan(f[4]+" "+f[12], &in, &out)
			return in + out, err
		}
	}
	return 0, fmt.Errorf("stage: no %s in /proc/net/dev", card)
}

func (w *Wire) loses(share float64) bool {
	w.lost.Lock()
	defer w.lost.Unlock()
	return w.random.Float64() < share
}

// delay puts a packet into the line of its way, so that packets do not overtake each other.
func (w *Wire) delay(way pair, p packet) {
	w.waiting.Lock()
	defer w.waiting.Unlock()
	line := w.lines[way]
	if line == nil {
		line = make(chan packet, 10000)
		w.lines[way] = line
		w.wg.Go(func() { w.release(line) })
	}
	select {
	case line <- p:
	default:
		w.dropped.Add(1)
	}
}

func (w *Wire) release(line <-chan packet) {
	for {
		select {
		case p := <-line:
			time.Sleep(time.Until(p.due))
			w.put(p.host, p.data)
		case <-w.closed:
			return
		}
	}
}

// close ends all hosts with what runs in them.
func (w *Wire) close() {
	close(w.closed)
	for _, h := range w.hosts {
		h.close()
	}
	w.wg.Wait()
}
