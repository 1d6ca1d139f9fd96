package admin

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// bodyTime is how long the body of a request may take.
const bodyTime = 5 * time.Second

// guard refuses what a web page may send from the browser of somebody who can reach this address: requests of another
// site, and those to a name that the page's owner has pointed here (DNS rebinding), which the browser takes for its own.
type guard struct {
	next     http.Handler
	loopback bool     // only this machine can connect
	hosts    []string // names that are known beyond those that cannot be rebound
	log      *slog.Logger
	told     sync.Once
}

func newGuard(o Options, next http.Handler) *guard {
	g := &guard{next: next, hosts: []string{"localhost"}, log: o.Log}
	listen, _, _ := net.SplitHostPort(o.Listen)
	ip, err := netip.ParseAddr(listen)
	g.loopback = listen == "localhost" || err == nil && ip.IsLoopback()
	for _, h := range append([]string{listen}, o.Hosts...) {
		g.hosts = append(g.hosts, bare(h))
	}
	return g
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		wait := time.Duration(0) // only the API takes a body, and net/http must not wait for the rest of another one
		if strings.HasPrefix(r.URL.Path, "/api/") {
			wait = bodyTime
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(wait))
	}
	switch {
	case !g.knows(bare(r.Host)):
		if g.log != nil {
			g.told.Do(func() {
				g.log.Warn("admin request refused: its Host is not known; if it is yours, add it to admin.hosts", "host", r.Host)
			})
		}
		write(w, http.StatusForbidden, failure{Error: "unknown host " + r.Host + "; if it is yours, add it to admin.hosts"})
	case crossSite(r) && !followsLink(r):
		write(w, http.StatusForbidden, failure{Error: "cross-site request"})
	case crowded(w, r):
		w.Header().Set("Retry-After", "5")
		write(w, http.StatusServiceUnavailable, failure{Error: "too many connections to the admin address"})
	default:
		g.next.ServeHTTP(w, r)
	}
}

// bare returns a host in lower case, without port and brackets.
func bare(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// knows reports whether a host cannot have been rebound, or was named by the operator. Browsers always send a host, and
// for an address the one that they connect to. A name without a dot, as of a container or a Service, is none that a
// stranger can own; who can forge it in this network can also connect, unless only this machine can.
func (g *guard) knows(host string) bool {
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", slices.ContainsFunc(g.hosts, func(h string) bool { return matches(h, host) }):
		return true
	case err == nil:
		return !g.loopback || ip.IsLoopback()
	}
	return !g.loopback && !strings.Contains(host, ".")
}

// matches reports whether host is known, which may begin with "*.".
func matches(known, host string) bool {
	below, pattern := strings.CutPrefix(known, "*")
	return known == host || pattern && len(host) > len(below) && strings.HasSuffix(host, below)
}

// crossSite reports whether a browser says that a page of another origin made the request.
func crossSite(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin != "" && (err != nil || !strings.EqualFold(u.Host, r.Host))
}

// followsLink reports whether a browser shows the status page because somebody has followed a link to it, as from a chat or another
// tool. That page has nothing of the replica in it, and no other page may frame it.
func followsLink(r *http.Request) bool {
	return r.URL.Path == "/" && r.Method == http.MethodGet && r.Header.Get("Origin") == "" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
