package config

import (
	"net"
	"net/netip"
)

// own returns the setting of a listener that a node's URL leads to, where each request would come back here, or "". It asks for no names, so
// that a replica, which does, may find more.
func (l *loader) own(n Node) string {
	for _, a := range l.cfg.Listen {
		if a.isTCP() && leadsTo(n.Address(), a.Address) {
			return "listen"
		}
	}
	if leadsTo(n.Address(), l.cfg.Admin.Listen) {
		return "admin.listen"
	}
	return ""
}

// leadsTo reports whether who dials an address on this machine reaches a listener.
func leadsTo(address, listener string) bool {
	host, port, err := net.SplitHostPort(address)
	at, atPort, errAt := net.SplitHostPort(listener)
	if err != nil || errAt != nil || port != atPort {
		return false
	}
	all := at == "" || at == "0.0.0.0" || at == "::"
	if host == at || host == "localhost" && (all || loopback(at)) || at == "localhost" && loopback(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	own, errOwn := netip.ParseAddr(at)
	return err == nil && (errOwn == nil && ip.Unmap() == own.Unmap() || all && (ip.IsUnspecified() || loopback(host)))
}

// loopback reports whether host is the address that localhost stands for.
func loopback(host string) bool { return host == "127.0.0.1" || host == "::1" }
