package replica

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// nameTime is how long the name of a node may take to be resolved at start.
const nameTime = time.Second

// refuseOwnNodes returns what refuseOwn does of the first node of a configuration that is refused.
func (r *Replica) refuseOwnNodes(cfg *config.Config, listens []net.Addr) error {
	for _, c := range cfg.Clusters {
		for _, n := range c.Nodes {
			if err := r.refuseOwn(c.Name, n, listens); err != nil {
				return fmt.Errorf("clusters: %w", err)
			}
		}
	}
	return nil
}

// refuseOwn returns an error where a node's address is one of those that clients are served on, or the admin address: each request would come back here.
func (r *Replica) refuseOwn(cluster string, n config.Node, listens []net.Addr) error {
	if r.adminAt != nil {
		listens = append(listens[:len(listens):len(listens)], r.adminAt.Addr())
	}
	for _, a := range listens {
		if tcp, ok := a.(*net.TCPAddr); ok && reaches(n.Address(), tcp.AddrPort()) {
			return fmt.Errorf("node %s of %s: %s is an address of sidway itself; write where the Socket.IO server listens", n.Name, cluster, n.URL)
		}
	}
	return nil
}

// reaches reports whether who dials address reaches a socket of this machine that listens on l. A name that cannot be
// resolved now reaches nothing.
func reaches(address string, l netip.AddrPort) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != fmt.Sprint(l.Port()) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), nameTime)
	defer cancel()
	found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	own := l.Addr().Unmap()
	for _, ip := range found {
		ip = ip.Unmap()
		if ip == own || own.IsUnspecified() && (ip.Is4() || own.Is6()) && isLocal(ip) { // :: takes IPv4 too
			return true
		}
	}
	return false
}

// isLocal reports whether ip is one of this machine's own addresses.
func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	own, _ := net.InterfaceAddrs()
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == ip {
			return true
		}
	}
	return false
}
