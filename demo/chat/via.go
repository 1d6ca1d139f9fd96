package chat

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/zishang520/socket.io/v2/socket"
)

// Replica is a gateway before the nodes: its name, and the address at which it serves clients.
type Replica struct {
	Name string
	Host string
	Port string
}

// via knows through which replica each session's last request came. A replica is told by the address of its connection
// to the node, and by the port that it says its client connected to.
type via struct {
	replicas []Replica

	mu    sync.Mutex
	known map[string]string // sid -> name of the replica
	hosts map[string]lookup // host -> its addresses
}

// lookup is an answer of the resolver, kept for a while: a container may come back at another address.
type lookup struct {
	addresses []string
	at        time.Time
}

const lookupLife = 5 * time.Second

// note remembers how requests came on their way to the Socket.IO server.
func (v *via) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sid := r.URL.Query().Get("sid"); sid != "" {
			v.set(sid, v.replica(r.Context(), r))
		}
		next.ServeHTTP(w, r)
	})
}

// set remembers only sessions that were begun; see begin.
func (v *via) set(sid, replica string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, begun := v.known[sid]; begun && replica != "" {
		v.known[sid] = replica
	}
}

// begin starts to remember a session, with the way of its handshake.
func (v *via) begin(s *socket.Socket) {
	replica := v.replica(context.Background(), s.Request().Request())
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = map[string]string{}
	}
	v.known[s.Conn().Id()] = replica
}

func (v *via) end(sid string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, sid)
}

func (v *via) of(sid string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[sid]
}

// replica names the gateway that a request came through; empty if it is none that is known.
func (v *via) replica(ctx context.Context, r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	port := r.Header.Get("X-Forwarded-Port")
	for _, known := range v.replicas {
		if known.Port == port && v.has(ctx, known.Host, host) {
			return known.Name
		}
	}
	return ""
}

func (v *via) has(ctx context.Context, host, address string) bool {
	if host == address {
		return true
	}
	if net.ParseIP(host) != nil {
		return false
	}
	v.mu.Lock()
	known, ok := v.hosts[host]
	v.mu.Unlock()
	if !ok || time.Since(known.at) > lookupLife {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		known.addresses, _ = net.DefaultResolver.LookupHost(ctx, host) // a host that is away has no addresses
		known.at = time.Now()
		v.mu.Lock()
		if v.hosts == nil {
			v.hosts = map[string]lookup{}
		}
		v.hosts[host] = known
		v.mu.Unlock()
	}
	for _, a := range known.addresses {
		if a == address {
			return true
		}
	}
	return false
}

// ParseReplica reads name=host:port.
func ParseReplica(text string) (Replica, error) {
	for i := range len(text) {
		if text[i] != '=' {
			continue
		}
		host, port, err := net.SplitHostPort(text[i+1:])
		if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || i == 0 || host == "" {
			break
		}
		return Replica{Name: text[:i], Host: host, Port: port}, nil
	}
	return Replica{}, fmt.Errorf("%q is not name=host:port", text)
}
