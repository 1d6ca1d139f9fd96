package discover

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/gateway/nodename"
)

// DNS is a Source that asks DNS (RFC 1035) in the manner of getaddrinfo: a name is looked for in /etc/hosts first, then in the
// domains of resolv.conf's search list by its ndots, so that a bare service name works in Docker Compose and in Kubernetes (where
// the name of a headless Service has all pods' addresses; any other's has one, behind which nodes cannot be told apart). The domain
// in which it was found first is the one that is asked from then on.
//
// With Address, each A record is a node, called by its address as the settings would (10.0.0.1-3001). If there is no A record, each AAAA
// record is: an IPv4 and an IPv6 address of the same process cannot be told apart, and two nodes must not be one process.
//
// With Service, each SRV record (RFC 2782) of the lowest priority is a node, with its port and weight. Weight 0 means 1; if one is
// greater than 1000, all are scaled down until the greatest is 1000. If the target has one address, the node is called by target and port
// (chat-0.example-3001), so that its name outlives its address. If it has several, each is a node of that weight, called by its address.
//
// DNS is asked again when the TTL of its answer is over, after 1 s at least and 15 s at most, since some servers say too much: Docker's
// always says 600 s. After failures it is asked again within 15 s, too, and within 2 s while no list is known at all.
//
// An answer without any node is believed when it has been given three times in a row, each at least 5 s and its own TTL (RFC 2308; up
// to 1 min), or one Interval, after the one before. A DNS server that has just started or has lost its source says for a moment that
// a name does not exist, and such a hiccup must not drain a cluster. A server's error or silence keeps the list. And a node goes when
// three answers in a row have left it out, about a second apart: some servers give parts of what they have, in turns.
type DNS struct {
	Address  string        // host:port; or
	Service  string        // the owner name of SRV records: _sio._tcp.chat
	Interval time.Duration // how often to ask, whatever TTLs say; 0: by TTL
	// Again has it ask before its time, for each value, but not more than once a second. It may be nil.
	Again      <-chan struct{}
	ResolvConf string // a resolv.conf(5); empty: /etc/resolv.conf. It is read again each time

	port string // of the servers; empty: 53
}

const (
	shortestTTL, longestTTL = time.Second, 12500 * time.Millisecond // later makes it 15 s at most
	emptyPause, longestVoid = 5 * time.Second, time.Minute          // between answers without any node that count
	lookupTime              = time.Minute                           // for everything that one round asks
	targetsAtOnce           = 8
	greatestWeight          = 1000
)

// Run is Source's.
func (d *DNS) Run(ctx context.Context, found func([]Found), problem func(error)) error {
	look, err := d.look()
	if err != nil {
		return err
	}
	n := news{found: found, problem: problem}
	retry := backoff{first: time.Second}
	missing := absences{}
	void, counts, full := 0, time.Time{}, map[string]string{}
	for ctx.Err() == nil {
		list, ttl, err := d.round(ctx, look, full)
		if ctx.Err() != nil {
			break
		}
		waits, pause := false, later(min(max(ttl, shortestTTL), longestTTL))
		switch {
		case len(list) > 0:
			void, counts = 0, time.Time{}
			if list, waits = missing.keep(n.last, list); waits {
				pause = min(pause, later(shortestTTL))
			}
			n.list(list)
		case err == nil:
			gap := min(max(ttl, emptyPause), longestVoid)
			if pause = min(later(min(gap, longestTTL)), n.longest()); d.Interval > 0 {
				gap = min(gap, d.Interval)
			}
			if now := time.Now(); !now.Before(counts) {
				void, counts = void+1, now.Add(gap)
			}
			if void == lasting {
				n.list(nil)
			}
			err = fmt.Errorf("DNS has no address of %s", cmp.Or(d.Address, d.Service))
		default:
			void, counts, pause = 0, time.Time{}, retry.next(n.longest())
		}
		if err == nil {
			retry.fails = 0
			n.well()
		} else {
			n.failed(err)
		}
		if d.Interval > 0 && (err == nil && !waits || d.Interval < pause) {
			pause = later(d.Interval)
		}
		sleep(ctx, pause, d.Again)
	}
	return nil
}

// absences counts the answers in a row that have left a node out.
type absences map[string]int

// keep returns an answer with those of the nodes before that were not left out often enough, and whether there are any. One whose
// address has another name now, or addresses of the other family, is the same process.
func (a absences) keep(before, now []Found) (all []Found, waits bool) {
	all = now
	for _, f := range before {
		if slices.ContainsFunc(now, func(g Found) bool { return g.Name == f.Name || g.Address == f.Address }) || isIPv6(f) != isIPv6(now[0]) {
			delete(a, f.Name)
		} else if a[f.Name]++; a[f.Name] < lasting {
			all, waits = append(all, f), true
		} else {
			delete(a, f.Name)
		}
	}
	return all, waits
}

func isIPv6(f Found) bool { return strings.HasPrefix(f.Address, "[") }

// later is somewhat more: caches between have forgotten the answer by then, and replicas do not ask all at once.
func later(d time.Duration) time.Duration { return d + rand.N(d/5+1) }

// lookup asks once. It may know some nodes and have an error for others.
type lookup func(ctx context.Context, r *resolver) (list []Found, ttl time.Duration, err error)

func (d *DNS) round(ctx context.Context, look lookup, full map[string]string) ([]Found, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	r := newResolver(cmp.Or(d.ResolvConf, "/etc/resolv.conf"), full)
	r.conf.Port = cmp.Or(d.port, r.conf.Port)
	return look(ctx, r)
}

func (d *DNS) look() (lookup, error) {
	if d.Service != "" {
		if _, ok := dns.IsDomainName(d.Service); !ok || d.Address != "" {
			return nil, fmt.Errorf("discover: DNS: %q is no name of a service", d.Service)
		}
		s := services{name: d.Service, known: map[string]target{}}
		return s.look, nil
	}
	host, text, err := net.SplitHostPort(d.Address)
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err := cmp.Or(err, portErr); err != nil || host == "" || port == 0 {
		return nil, fmt.Errorf("discover: DNS: %q is no host:port", d.Address)
	}
	return func(ctx context.Context, r *resolver) (list []Found, ttl time.Duration, err error) {
		t, err := r.addresses(ctx, host)
		return byAddress(t.addrs, uint16(port), 1), t.ttl, err
	}, nil
}

func byAddress(addrs []netip.Addr, port uint16, weight int) (list []Found) {
	for _, a := range addrs {
		address := netip.AddrPortFrom(a.Unmap(), port).String()
		list = append(list, Found{Name: nodename.Of(address), Address: address, Weight: weight})
	}
	return unique(list)
}

// unique leaves the first of each name.
func unique(list []Found) (kept []Found) {
	names := map[string]bool{}
	for _, f := range list {
		if !names[f.Name] {
			names[f.Name] = true
			kept = append(kept, f)
		}
	}
	return kept
}

// services are the targets of a service's SRV records.
type services struct {
	name  string
	known map[string]target // by name, of the last round, for a round in which DNS fails for some
}

func (s *services) look(ctx context.Context, r *resolver) (list []Found, ttl time.Duration, err error) {
	a, err := r.find(ctx, s.name, dns.TypeSRV)
	if err != nil {
		return nil, 0, err
	}
	return s.nodes(ctx, r, a)
}

// nodes are what an answer with SRV records names.
func (s *services) nodes(ctx context.Context, r *resolver, a answer) (list []Found, ttl time.Duration, err error) {
	records, greatest := preferred(a.records)
	targets, err := s.targets(ctx, r, records, a.extra)
	s.known, ttl = targets, a.ttl
	for _, rr := range records {
		t, ok := targets[rr.Target]
		if !ok {
			continue
		}
		ttl = min(ttl, t.ttl)
		if rr.Port == 0 {
			err = cmp.Or(err, fmt.Errorf("DNS: %.64q is left out: its port is 0", rr.Target))
			continue
		}
		weight := int(max(rr.Weight, 1))
		if greatest > greatestWeight {
			weight = max(weight*greatestWeight/greatest, 1)
		}
		nodes := byAddress(t.addrs, rr.Port, weight)
		if len(nodes) == 1 {
			nodes[0].Name = nodename.Of(strings.ToLower(strings.TrimSuffix(rr.Target, ".")) + ":" + strconv.Itoa(int(rr.Port)))
			if !nodename.Valid(nodes[0].Name) {
				err = cmp.Or(err, fmt.Errorf("DNS: %.64q is left out: it cannot be a node's name", nodes[0].Name))
				continue
			}
		}
		list = append(list, nodes...)
	}
	return unique(list), ttl, err
}

// preferred are the records of the lowest priority, and the greatest weight among them. A target "." says that there is no such
// service (RFC 2782).
func preferred(answer []dns.RR) (records []*dns.SRV, greatest int) {
	for _, rr := range answer {
		srv, ok := rr.(*dns.SRV)
		if !ok || srv.Target == "." {
			continue
		}
		if len(records) > 0 && srv.Priority < records[0].Priority {
			records, greatest = nil, 0
		}
		if len(records) == 0 || srv.Priority == records[0].Priority {
			records, greatest = append(records, srv), max(greatest, int(srv.Weight))
		}
	}
	return records, greatest
}

// targets finds the addresses of all targets: in what came with the records, or else by asking. Where DNS fails for one its last
// addresses stay.
func (s *services) targets(ctx context.Context, r *resolver, records []*dns.SRV, extra []dns.RR) (map[string]target, error) {
	targets := map[string]target{}
	var first error
	var mu sync.Mutex // of both
	var asking errgroup.Group
	asking.SetLimit(targetsAtOnce)
	for _, rr := range records {
		if t, ok := glue(extra, rr.Target); ok {
			mu.Lock()
			targets[rr.Target] = t
			mu.Unlock()
			continue
		}
		asking.Go(func() error {
			t, err := r.addresses(ctx, rr.Target)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				first = cmp.Or(first, err)
				t = s.known[rr.Target]
			}
			if len(t.addrs) > 0 {
				targets[rr.Target] = t
			}
			return nil
		})
	}
	_ = asking.Wait() // the errors are in first
	return targets, first
}

// glue takes a target's A records from the additional section, where servers put them (RFC 2782).
func glue(extra []dns.RR, name string) (target, bool) {
	var records []dns.RR
	for _, rr := range extra {
		if _, ok := rr.(*dns.A); ok && strings.EqualFold(rr.Header().Name, name) {
			records = append(records, rr)
		}
	}
	if len(records) == 0 {
		return target{}, false
	}
	return target{ips(records), shortest(records)}, true
}
