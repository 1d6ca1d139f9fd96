package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// access decides who may read and who may change. Clients on this machine may read, and may change too where there is no token.
// Whoever bears the token may do both, and nobody else may do either.
type access struct {
	needed bool              // there is a token
	sum    [sha256.Size]byte // of the token: comparing sums tells nothing of its length either
}

func newAccess(token string) access {
	return access{token != "", sha256.Sum256([]byte(token))}
}

// only has next answer those who may ask, and tells the others why not.
func (a access) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local := isLocal(r)
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

// isLocal reports whether a request was made on this machine: by a Unix socket, from a loopback address, or from the address that it
// came to, and by no proxy that says so.
func isLocal(r *http.Request) bool {
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
	return from.Addr().Unmap().IsLoopback() || to != nil && sameHost(to, from)
}

func sameHost(a net.Addr, b netip.AddrPort) bool {
	other, err := netip.ParseAddrPort(a.String())
	return err == nil && other.Addr().Unmap() == b.Addr().Unmap()
}
