package config

import (
	"fmt"
	"slices"
	"strings"
)

// checkCluster finds what is only wrong beside something else in the same cluster.
func (l *loader) checkCluster(c *Cluster, base string) {
	switch {
	case c.Balance == Hash && c.HashBy == "":
		c.HashBy = "client"
	case c.HashBy != "" && c.Balance != Hash && l.clean(base+".balance"):
		l.addAt(base+".hash_by", fmt.Sprintf("it is for balance: hash, and balance is %s; write balance: hash, or take it out", c.Balance))
	}
	if c.Pace.Burst > 0 && c.Pace.Handshakes == 0 && l.clean(base+".pace") {
		l.addAt(base+".pace.burst", "without handshakes there is no limit for it to exceed; write handshakes too, as 200/s")
	}
	if c.Health != nil && l.clean(base+".health") {
		l.checkHealth(c.Health, base+".health")
	}
	if c.Discover != nil && l.clean(base+".discover") {
		l.checkDiscover(c.Discover, base+".discover")
	}
	if t := c.NodeTLS; t != nil && l.clean(base+".node_tls") {
		switch key := base + ".node_tls"; {
		case t.Cert != "" && t.Key == "":
			l.addAt(key+".cert", "a certificate is of no use without its key; write key too")
		case t.Key != "" && t.Cert == "":
			l.addAt(key+".key", "a key is of no use without its certificate; write cert too")
		case t.Insecure && (t.CA != "" || t.Name != ""):
			l.addAt(key+".insecure", "with it nobody looks at the nodes' certificates; take it out, or ca and name")
		case l.strict && l.clean(base+".nodes") && l.clean(base+".discover") && !c.speaksTLS(): // a replica may be given such nodes by the API
			l.addAt(key, "no node is spoken to by TLS; write https:// in the url of those that are to be, or discover.tls: true, or take it out")
		}
	}
	l.checkAuth(c, base+".auth")
	if s := c.CORS; s != nil && l.clean(base+".cors") {
		l.require(base+".cors.origins", "write the pages' origins, as [\"https://chat.example.com\"]")
		if s.Credentials && slices.Contains(s.Origins, "*") {
			l.addAt(base+".cors.credentials", "any page on the internet could act with a user's cookies; take it out, or name the origins")
		}
	}
	l.checkSessions(c, base+".sessions")
	l.checkHeaders(c.Headers, base+".request_headers")
	l.checkRelease(c, base)
	for _, s := range c.Static {
		l.checkStatic(s, c.Path, base+".static."+s.Prefix)
	}
}

func (l *loader) checkSessions(c *Cluster, base string) {
	s := c.Sessions
	if s != nil && s.Rebalance > 0 && l.clean(base) {
		switch {
		case !s.Move:
			l.addAt(base+".rebalance", "sessions are not moved here; write move: true too, or take it out")
		case c.Balance == Hash && l.clean(strings.TrimSuffix(base, ".sessions")+".balance"):
			l.addAt(base+".rebalance", "with balance: hash each session has its own node, however many others have; take one of the two out")
		case c.Release.Label != "":
			l.addAt(base+".rebalance", "it knows nothing of the release's share and would even it out; take one of the two out")
		}
	}
	if s == nil || !s.Move || !l.clean(base) || !l.clean("affinity") {
		return
	}
	if s.Redis == "" {
		s.Redis = l.cfg.Affinity.Redis
	}
	switch {
	case s.Redis == "":
		l.addAt(base+".redis", "this is missing; write the URL of the Redis that the nodes' adapters use")
	case c.ProxyProtocol != "" && l.clean(strings.TrimSuffix(base, ".sessions")+".proxy_protocol"):
		l.addAt(base+".move", "connections that begin with the PROXY protocol's header cannot be opened for a session that moves; take proxy_protocol out, or this")
	}
}

// speaksTLS reports whether a node that is written or found is spoken to by TLS.
func (c *Cluster) speaksTLS() bool {
	return c.Discover != nil && c.Discover.TLS || slices.ContainsFunc(c.Nodes, Node.TLS)
}

func (l *loader) checkHealth(h *Health, base string) {
	switch {
	case h.Path != "" && h.Handshake:
		l.addAt(base+".handshake", "a probe asks for path or opens a session; take one of the two out")
	case h.Path == "" && h.Status != 200:
		l.addAt(base+".status", "it is the answer to path, and there is none; write path too, as /healthz")
	}
	switch {
	case h.Timeout <= h.Interval:
	case l.said(base + ".timeout"):
		l.addAt(base+".timeout", fmt.Sprintf("%s is longer than interval, %s; write at most that", short(h.Timeout), short(h.Interval)))
	default:
		h.Timeout = h.Interval
	}
}

func (l *loader) checkDiscover(d *Discover, base string) {
	var said []string
	for _, key := range []string{"dns", "srv", "kubernetes"} {
		if l.said(base + "." + key) {
			said = append(said, key)
		}
	}
	switch {
	case len(said) == 0:
		l.addAt(base, "it does not say where; write one of dns, srv and kubernetes, as {dns: \"chat:3000\"}")
	case len(said) > 1:
		l.addAt(base+"."+said[1], strings.Join(said, " and ")+" are there; write one of them, or two clusters")
	case d.Kubernetes != nil:
		l.require(base+".kubernetes.service", "write the Service's name")
	}
}

// checkHeaders refuses a header that is named twice, in whatever case.
func (l *loader) checkHeaders(h Headers, base string) {
	seen := map[string]string{}
	for _, s := range h.Set {
		l.unique(seen, strings.ToLower(s.Name), base+".set."+s.Name, "the case of letters is nothing to HTTP; write it once")
	}
	for _, name := range h.Remove {
		l.unique(seen, strings.ToLower(name), base+".remove", "write it once; what is set replaces the client's anyway")
	}
}

// checkRelease refuses a release that no listed node is part of. Nodes that are found may have labels that are not known yet.
func (l *loader) checkRelease(c *Cluster, base string) {
	key, r := base+".release", c.Release
	if !l.said(key) || !l.clean(key) {
		return
	}
	if r.Label == "" {
		l.addAt(key, "a label is missing; write it and its share, as {version: v2, share: 10%}")
		return
	}
	l.require(key+".share", "write which share of the new sessions these nodes get, as 10%")
	if c.Discover != nil || len(c.Nodes) == 0 || !l.clean(base+".nodes") {
		return
	}
	var names, values []string
	for _, n := range c.Nodes {
		if v, ok := n.Labels[r.Label]; ok && !slices.Contains(values, v) {
			values = append(values, v)
		}
		for _, label := range n.labels() {
			names = append(names, label.Key)
		}
	}
	switch near := Nearest(r.Label, names); {
	case slices.Contains(values, r.Value):
	case len(values) > 0:
		l.addAt(key+"."+r.Label, fmt.Sprintf("no node has %s: %s; they have %s", r.Label, r.Value, strings.Join(values, ", ")))
	case near != "":
		l.addAt(key+"."+r.Label, fmt.Sprintf("no node has a label %s; did you mean %s?", r.Label, near))
	default:
		l.addAt(key+"."+r.Label, fmt.Sprintf("no node has a label %s; write labels: {%s: %s} at a node", r.Label, r.Label, r.Value))
	}
}

func (l *loader) checkStatic(s Static, path, key string) {
	if !l.clean(key) {
		return
	}
	l.require(key+".dir", "write the directory, as {dir: ./public}")
	if strings.HasPrefix(s.Prefix, path) {
		l.addAt(key, fmt.Sprintf("it is below Socket.IO's path %s, which nodes answer; write a prefix beside it, as /assets/", path))
	}
}
