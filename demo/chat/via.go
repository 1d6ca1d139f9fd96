package chat

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/zishang520/engine.io/v2/engine"
)

// Replica is a gateway before the nodes: its name, and the address at which it serves clients.
type Replica struct {
	Name string
	Host string
	Port string
}

// Lookup returns the addresses of a host, as net.Resolver's LookupHost does.
type Lookup func(ctx context.Context, host string) ([]string, error)

// via knows through which replica each session's last request came. A replica is told by the address of its connection
// to the node, and by the port that it says its client connected to.
type via struct {
	replicas []Replica
	lookup   Lookup

	mu    sync.Mutex
	last  map[string]hop // sid -> how its last request came
	names map[hop]string // as last looked up
}

// hop is the address of a gateway's connection to this node, and the port that the gateway's client connected to.
type hop struct{ address, port string }

const lookupLimit = time.Second

func hopOf(r *http.Request) hop {
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // net/http's server always has both
	return hop{host, r.Header.Get("X-Forwarded-Port")}
}

// note records how each request of a session came on its way to the Socket.IO server. It ignores sids that the engine has not
// made, so that strangers cannot fill the map.
func (v *via) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sid := r.URL.Query().Get("sid")
		v.mu.Lock()
		if _, begun := v.last[sid]; begun {
			v.last[sid] = hopOf(r)
		}
		v.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// watch remembers the engine's sessions from their handshakes on: the request that makes one a WebSocket may come before
// its client has connected to a namespace.
func (v *via) watch(e engine.BaseServer) error {
	return e.On("connection", func(args ...any) {
		s := args[0].(engine.Socket)
		v.mu.Lock()
		v.last[s.Id()] = hopOf(s.Request().Request())
		v.mu.Unlock()
		_ = s.Once("close", func(...any) { v.end(s.Id()) }) // fails only without a listener
	})
}

func (v *via) end(sid string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.last, sid)
}

// of names the gateway that the session's last request came through; empty if it is none that is known.
func (v *via) of(sid string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.names[v.last[sid]]
}

// look finds the replicas' addresses. It is called now and then, because a container gets its name after this node has
// started, or comes back at another address. Sessions are named when they are asked for, so that one whose replica could
// not be found at first is named as soon as it can.
func (v *via) look(ctx context.Context) {
	for _, r := range v.replicas {
		limited, cancel := context.WithTimeout(ctx, lookupLimit)
		addresses, err := v.lookup(limited, r.Host)
		cancel()
		if err != nil {
			continue // what it had stays its own until another one is found there
		}
		v.mu.Lock()
		maps.DeleteFunc(v.names, func(_ hop, name string) bool { return name == r.Name })
		for _, a := range addresses {
			v.names[hop{a, r.Port}] = r.Name
		}
		v.mu.Unlock()
	}
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
