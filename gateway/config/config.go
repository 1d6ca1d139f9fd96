// Package config loads and validates the settings of one sidway replica. The result is plain data: nothing here dials,
// listens or watches a file, and of sidway it imports only the type of the limits and what reads Redis URLs, keys and certificates. Directories and files
// that settings name are looked at once, so that a misspelt one is found before it is needed.
//
//	cfg, err := config.Load("sidway.yaml", os.Environ())
//
// A file is YAML of the shape that sidway.example.yaml documents key by key. It is read strictly: an unknown key, a
// key given twice or a value out of its range is refused, and one Error tells of all of them, each with its file and
// line, the key's path, what is wrong and what to write instead.
//
// ${NAME} in a value of the file stands for that variable, which must be set and not empty. It is replaced after the file
// was parsed, so a variable can be part of a value but never a key, a list or a second value. $${ stands for a literal ${.
// Variables and flags of sidway's own are not expanded: shells and orchestrators do that.
//
// A secret may be written as file:/run/secrets/name, which stands for what that file holds, without one line break at its end. It
// is read with the configuration, and again with each reload.
//
// # Environment
//
// Defaults come first, then the file, then the environment, then the flags of the command line; the later one wins.
// Each setting outside clusters has a variable and a flag, and Settings returns them: SIDWAY_ and the key's path in upper case,
// with _ for each dot, as SIDWAY_LIMITS_HEADER_TIME, and -- and the path with - for _, as --limits.header-time. Only affinity.redis, which most people set, has the shorter SIDWAY_REDIS and --redis, and admin.listen --admin,
// and the nodes of a single cluster come as SIDWAY_NODES. A variable that is empty counts as not set. Lists are separated by
// commas. Any other variable that begins with SIDWAY_ is refused, but for SIDWAY_DEMO_* and what Kubernetes sets for a
// Service called sidway or sidway-something.
//
// In SIDWAY_NODES the name and the ;weight or ;weight=5 may be left out; a node of the file may be written so too. A node without a
// name is named after its address (10.0.0.1-3001), never after its place in the list: replicas that were given the nodes
// in different orders must agree on the names.
package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/limits"
)

// Config is all that a replica is told. Load and FromNodes return it valid, with every default filled in.
type Config struct {
	Listen         []Listener // where clients connect, at least one
	Admin          Admin
	Affinity       Affinity
	AccessLog      bool // one log line for each request
	Log            Log
	Trace          Trace
	TrustedProxies []netip.Prefix // whose Forwarded and X-Forwarded-* are believed, and appended to
	TLS            TLS
	Limits         limits.Limits
	Runtime        Runtime
	Shutdown       Shutdown
	Clusters       []Cluster // at least one; their routes differ
}

// Admin is the address for health checks, metrics and operators.
type Admin struct {
	Listen      string   // "host:port", or "off"
	Hosts       []string // names by which it is asked, beyond those that are known anyway; exact or "*.example.com"
	Pprof       bool     // serve profiles of the process
	OpenMetrics bool     // serve metrics to other machines without the token
	Token       string   // what changes must bear, and all requests from other machines; empty: none was set. Never log it.
}

// String shows all but the token.
func (a Admin) String() string {
	return fmt.Sprintf("{%s %v %v %v}", a.Listen, a.Hosts, a.Pprof, a.OpenMetrics)
}

// Off reports whether no admin address is wanted.
func (a Admin) Off() bool { return a.Listen == "off" }

// Affinity says where bindings are kept.
type Affinity struct {
	Redis    string // URL; empty means in memory, for one replica. It may hold a password: never log it.
	Password string // for Redis, which is in the URL too; never log it
	Prefix   string // what every key in Redis starts with
	Cache    int    // bindings kept in memory, at most
	// UnreadyAfter is how long Redis may be of no use before /readyz says no; 0: it may for ever.
	UnreadyAfter time.Duration
}

// String names the store without user, password and options, for people and logs.
func (a Affinity) String() string {
	if a.Redis == "" {
		return "memory"
	}
	scheme, rest, _ := strings.Cut(a.Redis, "://")
	rest, options, _ := strings.Cut(rest, "?")
	if strings.Contains(options, "@") { // a password may begin before the ?
		return scheme + "://…"
	}
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}

// Stdout is Log.Access for standard output.
const Stdout = "stdout"

// HasAccess reports whether there is a line for each request.
func (c *Config) HasAccess() bool { return c.AccessLog || c.Log.Access != "" }

// Everybody returns the first of TrustedProxies that has all addresses of IPv4 or of IPv6 in it, if there is one. Each client then
// chooses its address, and none is counted for limits.client_connections.
func (c *Config) Everybody() (netip.Prefix, bool) {
	i := slices.IndexFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Bits() == 0 })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return c.TrustedProxies[i], true
}

// Log says what the replica's own log looks like.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json

	Access       string // where lines about requests go: Stdout or a file; empty: to this log, if there is an access log
	AccessFormat string // text, json or combined, where Access is not empty
}

// Trace says where traces of requests go.
type Trace struct {
	Endpoint string  // URL of a collector that takes OTLP over HTTP; empty: there are no traces
	Sample   float64 // the share of those that are begun here
}

// Shutdown says how a replica ends after a signal.
type Shutdown struct {
	Notice   time.Duration // between "not ready" and the closing of the listeners, so that balancers notice
	Deadline time.Duration // for all requests and tunnels to end, after Notice
	Waves    int           // in which tunnels are closed, spread over half of the deadline
}

// Runtime says how the replica uses Go's runtime.
type Runtime struct {
	BusyLoops bool // event loops keep their processor while they wait for a moment
}

// Default returns the settings that hold where nothing else is said. It has no clusters, so it is not yet valid.
func Default() *Config {
	c := &Config{}
	fill(c, settings)
	return c
}
