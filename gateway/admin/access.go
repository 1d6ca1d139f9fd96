package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// access decides who may read and who may change. Clients on this machine may read, and may change too where there is no token.
// Whoever bears the token may do both, and nobody else may do either.
type access struct {
	needed bool              // there is a token
	sum    [sha256.Size]byte // of the token: comparing sums tells nothing of its length either
	own    *ownAddresses
}

func newAccess(token string) access {
	return access{token != "", sha256.Sum256([]byte(token)), &ownAddresses{}}
}

// only has next answer those who may ask, and tells the others why not.
func (a access) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local := a.isLocal(r)
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if local && (reads || !a.needed) || a.needed && a.bears(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		if !a.needed {
			write(w, http.StatusForbidden, failure{Error: "only clients on the replica's own machine are answered, and none through a proxy; set admin.token to let others ask"})
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="sidway"`)
		who := "requests from other machines need"
		if local {
			who = "changes need"
		}
		write(w, http.StatusUnauthorized, failure{Error: who + " Authorization: Bearer with the token of admin.token"})
	})
}

// bears reports, in the same time whatever is wrong, whether a request has the token.
func (a access) bears(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(given))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], a.sum[:]) == 1
}

// isLocal reports whether a request was made on this machine: by a Unix socket, from a loopback address, from the address that it
// came to or another one of the machine's, and by no proxy that says so.
func (a access) isLocal(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	to, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if to != nil && to.Network() == "unix" {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := from.Addr().Unmap()
	return ip.IsLoopback() || to != nil && (sameHost(to, ip) || a.own.have(ip, time.Now()))
}

func sameHost(a net.Addr, ip netip.Addr) bool {
	other, err := netip.ParseAddrPort(a.String())
	return err == nil && other.Addr().Unmap() == ip
}

// ownTime is how long the machine's addresses are believed to be the same ones.
const ownTime = 10 * time.Second

// ownAddresses are those of the machine's interfaces: it may have several, of which one comes and goes, as keepalived has it.
type ownAddresses struct {
	mu     sync.Mutex
	looked time.Time
	all    []net.Addr
}

// have reports whether ip is one of them. While they cannot be looked up none is.
func (o *ownAddresses) have(ip netip.Addr, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.looked) >= ownTime {
		o.all, _ = net.InterfaceAddrs()
		o.looked = now
	}
	return slices.ContainsFunc(o.all, func(a net.Addr) bool {
		own, err := netip.ParsePrefix(a.String())
		return err == nil && own.Addr().Unmap() == ip.WithZone("")
	})
}
