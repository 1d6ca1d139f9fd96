package replica

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/notice"
)

const (
	// twinsEvery is how often nodes are compared whose addresses differ in spelling, and twinsTTL how long what was found is believed.
	twinsEvery = 10 * time.Second
	twinsTTL   = time.Minute
	// twinsTime bounds the look-up of a name, and twinsAtOnce how many there are at a time.
	twinsTime   = 3 * time.Second
	twinsAtOnce = 4
	twinsQuiet  = time.Hour
)

// Reasons in sidway_setup_faults_total.
const (
	faultTwins = "twin_nodes"
	faultSame  = "same_sids"
)

// resolver finds the addresses of a name.
type resolver func(ctx context.Context, network, host string) ([]netip.Addr, error)

// twins are two nodes of a cluster that are one process.
type twins struct {
	cluster    string
	one, other config.Node
	at         netip.AddrPort
}

// findTwins tells of nodes that are one process by different spellings of its address, until ctx is done: its sessions would be balanced as those
// of two. The same spelling is refused with the configuration.
func (r *Replica) findTwins(ctx context.Context) error {
	var nodes map[string][]config.Node
	var found []twins
	var looked time.Time
	told := notice.Limiter[string]{Pause: twinsQuiet}
	tick := time.NewTicker(twinsEvery)
	defer tick.Stop()
	for {
		now := map[string][]config.Node{}
		for _, p := range r.parts() {
			now[p.cfg.Name] = p.nodes.List()
		}
		if !reflect.DeepEqual(now, nodes) || time.Since(looked) > twinsTTL {
			nodes, found, looked = now, twinsOf(ctx, now, net.DefaultResolver.LookupNetIP), time.Now()
		}
		for _, t := range found {
			r.metrics.SetupFault(t.cluster, faultTwins, t.names(), t.String())
			if told.Due(t.cluster + " " + t.names()) {
				r.log.Warn(t.String(), "cluster", t.cluster)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (t twins) names() string { return t.one.Name + " and " + t.other.Name }

func (t twins) String() string {
	return fmt.Sprintf("two nodes are one process: %s both lead to %s (%s, %s). Take one of them out", t.names(), t.at, t.one.URL, t.other.URL)
}

// twinsOf returns the pairs of nodes of one cluster that have an address in common. A name that cannot be looked up has none.
func twinsOf(ctx context.Context, clusters map[string][]config.Node, look resolver) (all []twins) {
	found := addressesOf(ctx, clusters, look)
	for cluster, nodes := range clusters {
		owners := map[netip.AddrPort]config.Node{}
		for _, n := range nodes {
			host, port := splitAddress(n)
			told := map[string]bool{}
			for _, ip := range found[host] {
				at := netip.AddrPortFrom(ip.Unmap(), port)
				owner, taken := owners[at]
				if !taken {
					owners[at] = n
				} else if owner.Name != n.Name && !told[owner.Name] {
					told[owner.Name] = true
					all = append(all, twins{cluster, owner, n, at})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b twins) int {
		return cmp.Or(strings.Compare(a.cluster, b.cluster), strings.Compare(a.names(), b.names()))
	})
	return all
}

// addressesOf returns the addresses of the hosts of all nodes. It asks nobody of a cluster whose nodes have a port each.
func addressesOf(ctx context.Context, clusters map[string][]config.Node, look resolver) map[string][]netip.Addr {
	found := map[string][]netip.Addr{}
	var names []string
	for _, nodes := range clusters {
		ports := map[uint16]int{}
		for _, n := range nodes {
			_, port := splitAddress(n)
			ports[port]++
		}
		for _, n := range nodes {
			host, port := splitAddress(n)
			if ip, err := netip.ParseAddr(host); err == nil {
				found[host] = []netip.Addr{ip}
			} else if ports[port] > 1 {
				names = append(names, host)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	answers := make([][]netip.Addr, len(names))
	var work errgroup.Group
	work.SetLimit(twinsAtOnce)
	for i, name := range names {
		work.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, twinsTime)
			defer cancel()
			answers[i], _ = look(ctx, "ip", name)
			return nil
		})
	}
	_ = work.Wait() // which is nil
	for i, name := range names {
		found[name] = answers[i]
	}
	return found
}

// splitAddress returns the host and the port of a node, which is valid.
func splitAddress(n config.Node) (host string, port uint16) {
	host, text, _ := net.SplitHostPort(n.Address())
	_, _ = fmt.Sscan(text, &port)
	return host, port
}
