package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// check finds what is only wrong beside something else. A value that was refused by itself is not mentioned again.
func (l *loader) check() {
	l.checkAddresses()
	l.checkTLS()
	l.checkPassword()
	switch {
	case len(l.cfg.Clusters) > 0 || !l.clean("clusters") || l.broken || l.meant["clusters"]:
	case !l.said("clusters"):
		file := "write clusters in the file"
		if !l.hasFile {
			file = "name a file that has clusters, as --config sidway.yaml"
		}
		l.add("", place{}, "there are no nodes to send anything to; "+file+", or set SIDWAY_NODES, or give --node http://127.0.0.1:3001")
	default:
		l.addAt("clusters", "the list is empty; write at least one cluster with its nodes")
	}
	if l.cfg.Log.AccessFormat != "text" && l.cfg.Log.Access == "" && l.clean("log.access") {
		l.addAt("log.access_format", "it is the format of log.access, which is not there; write log.access: stdout or a file, or take it out: lines in the log are written in log.format")
	}
	if l.cfg.AccessLog && l.cfg.Log.Access == "" && l.clean("log.level") && (l.cfg.Log.Level == "warn" || l.cfg.Log.Level == "error") {
		l.addAt("access_log", "its lines are of level info, and log.level "+l.cfg.Log.Level+" leaves them out; write info there, or false here")
	}
	names := map[string]string{}
	var routes []route
	for i := range l.cfg.Clusters {
		c := &l.cfg.Clusters[i]
		base := fmt.Sprintf("clusters[%d]", i)
		if l.unread[base] {
			continue
		}
		l.require(base+".name", "every cluster needs a name of its own; it is part of the keys in Redis, so keep it")
		l.unique(names, c.Name, base+".name", "cluster names must differ")
		routes = l.checkRoute(routes, c, base)
		l.checkNodes(c, base+".nodes")
		l.checkCluster(c, base)
	}
}

func (l *loader) require(key, text string) {
	if !l.said(key) {
		l.addAt(key, "this is missing; "+text)
	}
}

// unique reports a value that an earlier setting has too. seen maps values to the settings that had them.
func (l *loader) unique(seen map[string]string, value, key, text string) {
	if value == "" {
		return
	}
	if first, ok := seen[value]; ok {
		l.addAt(key, fmt.Sprintf("%s is also %s; %s", quote(value), l.where(first), text))
		return
	}
	seen[value] = key
}

// route is a host, "" for any, with a path, and the cluster that has it.
type route struct {
	host, path, base string
	files            bool // the path is of files; a path of Socket.IO comes before, whichever cluster has it
}

// takes reports whether r gets all that is for o.
func (r route) takes(o route) bool {
	below, pattern := strings.CutPrefix(r.host, "*")
	return (o.files || !r.files) && strings.HasPrefix(o.path, r.path) &&
		(r.host == "" || r.host == o.host || pattern && len(o.host) > len(below) && strings.HasSuffix(o.host, below))
}

// checkRoute refuses a host and path for which an earlier cluster is found first, and returns what is seen so far.
func (l *loader) checkRoute(seen []route, c *Cluster, base string) []route {
	if !l.clean(base+".host") || !l.clean(base+".path") {
		return seen
	}
	hosts := c.Host
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	earlier := seen
	for _, h := range hosts {
		r := route{h, c.Path, base, false}
		if i := slices.IndexFunc(seen, func(s route) bool { return s.base == base && s.takes(r) }); i < 0 {
			l.checkEarlier(earlier, r, base+".path")
		} else if seen[i].host == h {
			l.addAt(base+".host", quote(h)+" is written twice")
		} else {
			l.addAt(base+".host", fmt.Sprintf("%s is part of %s, which is written before it", quote(h), quote(seen[i].host)))
		}
		seen = append(seen, r)
		for _, s := range c.Static {
			r.path, r.files = s.Prefix, true
			l.checkEarlier(earlier, r, base+".static."+s.Prefix)
			seen = append(seen, r)
		}
	}
	return seen
}

// checkEarlier refuses a route that an earlier cluster takes.
func (l *loader) checkEarlier(earlier []route, r route, key string) {
	i := slices.IndexFunc(earlier, func(s route) bool { return s.takes(r) })
	switch {
	case i < 0:
	case earlier[i].host == r.host && earlier[i].path == r.path:
		l.addAt(key, fmt.Sprintf("%s%s also leads to %s; give one of them another host or path", r.host, r.path, l.where(earlier[i].base)))
	default:
		l.addAt(key, fmt.Sprintf("%s%s never gets here, because %s with %s%s comes first; write this cluster before it",
			r.host, r.path, l.where(earlier[i].base), earlier[i].host, earlier[i].path))
	}
}

func (l *loader) checkNodes(c *Cluster, base string) {
	if len(c.Nodes) == 0 && c.Discover == nil {
		if !l.said(base) {
			l.require(base, "write at least one node, as - {name: n1, url: http://127.0.0.1:3001}, or discover")
		} else if l.clean(base) {
			l.addAt(base, "the list is empty; write at least one node")
		}
	}
	names, urls := map[string]string{}, map[string]string{}
	for i, n := range c.Nodes {
		key := fmt.Sprintf("%s[%d]", base, i)
		if l.unread[key] {
			continue
		}
		l.require(key+".name", "every node needs a name of its own; bindings hold it, so keep it when the address changes")
		l.require(key+".url", "write http://host:port")
		l.unique(names, n.Name, key+".name", "node names must differ within a cluster")
		l.unique(urls, n.URL, key+".url", "one process is one node; raise its weight instead")
		if own := l.own(n); own != "" && l.clean(own) {
			l.addAt(key+".url", fmt.Sprintf("%s is an address of sidway itself, %s; write where the Socket.IO server listens", quote(n.URL), own))
		}
	}
}

// checkAddresses refuses addresses that could not be listened on at the same time.
func (l *loader) checkAddresses() {
	for i, a := range l.cfg.Listen {
		for _, b := range l.cfg.Listen[:i] {
			switch {
			case !a.isTCP() && a.Address == b.Address:
				l.addAt("listen", fmt.Sprintf("%s is written twice", a.Address))
			case a.isTCP() && b.isTCP() && clash(a.Address, b.Address):
				l.addAt("listen", fmt.Sprintf("%s and %s are the same port of the same host", b.Address, a.Address))
			}
		}
		if a.isTCP() && clash(a.Address, l.cfg.Admin.Listen) {
			l.addAt("admin.listen", fmt.Sprintf("%s is taken by listen %s; use another port", l.cfg.Admin.Listen, a.Address))
		}
	}
	if i := slices.IndexFunc(l.cfg.Listen, func(a Listener) bool { return a.ProxyProtocol && a.isTCP() }); i >= 0 && len(l.cfg.TrustedProxies) == 0 && l.clean("trusted_proxies") {
		l.addAt("listen", fmt.Sprintf("%s would serve nobody, since the PROXY protocol is taken from trusted_proxies alone; write the balancers' addresses there",
			l.cfg.Listen[i].Address))
	}
	if !slices.ContainsFunc(l.cfg.Listen, func(a Listener) bool { return a.Redirect == "" }) && len(l.cfg.Listen) > 0 && l.clean("listen") {
		l.addAt("listen", "all of them redirect, and nobody would be served; write one without redirect, too")
	}
	secure := slices.IndexFunc(l.cfg.Listen, func(a Listener) bool { return a.TLS })
	switch files, obtained := len(l.cfg.TLS.Certificates) > 0, len(l.cfg.TLS.ACME.Domains) > 0; {
	case !l.clean("tls"):
	case secure >= 0 && !files && !obtained:
		l.addAt("listen", fmt.Sprintf("%s is to speak TLS, and there is no certificate; write tls.certificates or tls.acme.domains", l.cfg.Listen[secure].Address))
	case secure < 0 && files:
		l.addAt("tls.certificates", "nobody is shown them, since no listener speaks TLS; write listen: [{address: \":443\", tls: true}]")
	case secure < 0 && obtained:
		l.addAt("tls.acme.domains", "nobody is shown their certificates, since no listener speaks TLS; write listen: [{address: \":443\", tls: true}]")
	case secure < 0 && l.clean("listen"):
		l.checkWithoutTLS()
	}
	if len(l.cfg.Listen) == 0 && l.clean("listen") {
		l.addAt("listen", "the list is empty; write at least one address, as 0.0.0.0:8080")
	}
}

func clash(a, b string) bool {
	ha, pa, errA := net.SplitHostPort(a)
	hb, pb, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || pa != pb || strings.Trim(pa, "0") == "" {
		return false
	}
	return ha == hb || everywhere(ha, hb) || everywhere(hb, ha)
}

// everywhere reports whether listening on host takes other's port too. 0.0.0.0 beside an IPv6 address does not.
func everywhere(host, other string) bool {
	if host == "" || host == "::" {
		return true
	}
	a, err := netip.ParseAddr(other)
	return host == "0.0.0.0" && (err != nil || a.Is4())
}
