package config

import (
	"strings"
	"time"
)

// Balance is a way to pick a node for a new session.
type Balance string

// The ways to pick a node. All go by the nodes' weights.
const (
	LeastSessions Balance = "least_sessions" // the default
	RoundRobin    Balance = "round_robin"
	RandomTwo     Balance = "random_two" // of two random nodes the one with fewer sessions
	Hash          Balance = "hash"       // by what Cluster.HashBy names
)

// Cluster is the nodes that serve one route.
type Cluster struct {
	Name    string
	Host    []string // lower case, without port, exact or "*.example.com"; none means any host
	Path    string   // where the nodes serve Socket.IO; begins and ends with "/"
	Balance Balance
	HashBy  string // for Hash alone, else empty: client, query:NAME, header:NAME or cookie:NAME
	// DisableKeepAlive has each connection to a node carry one request, for nodes behind something that routes connections,
	// and not requests, by their first request.
	DisableKeepAlive bool
	ProxyProtocol    string  // v1 or v2: connections to nodes begin with its header; empty: with the request
	MaxBody          int64   // bytes of one request's body; 0 means what the node's open packet says for Socket.IO, else no limit
	Health           *Health // nil: no probes
	Pace             Pace
	Release          Release
	Discover         *Discover // nil: the nodes are listed
	Auth             Auth
	Headers          Headers
	Static           []Static // the longest prefix first
	Maintenance      string   // a file, HTML, for ordinary requests while the cluster has no node to be had; empty: none
	Origins          []string // of pages that may use Socket.IO; none: any
	CORS             *CORS    // nil: nodes see to it
	Guard            Guard
	Sessions         *Sessions // nil: packets are not looked at
	NodeTLS          *NodeTLS  // nil: nodes with https:// have certificates that the system trusts
	Nodes            []Node    // at least one unless Discover is there
}

// ProxyVersion is the number of ProxyProtocol, 0 where there is none.
func (c *Cluster) ProxyVersion() byte {
	return map[string]byte{"v1": 1, "v2": 2}[c.ProxyProtocol]
}

// Node is one Socket.IO server process. Its name is what bindings hold, so it must outlive a change of address.
type Node struct {
	Name   string
	URL    string // http://host:port or https://host:port
	Weight int    // 1 to 1000
	Labels map[string]string
}

// Address returns the host:port to dial.
func (n Node) Address() string {
	_, address, _ := strings.Cut(n.URL, "://")
	return address
}

// TLS reports whether the node is spoken to by TLS.
func (n Node) TLS() bool { return strings.HasPrefix(n.URL, "https:") }

// Guard says what is done with requests that would harm nodes of some versions: see package guard.
type Guard struct {
	Report         []string // the rules that let them through and only count them
	MaxAttachments int      // that a packet may announce
	Frames         bool     // packets in WebSockets are looked at too
}

// Sessions says what is done with the packets of sessions.
type Sessions struct {
	Move      bool          // to other nodes, when theirs is drained or crashes
	Patience  time.Duration // how long a move may wait until nothing is under way
	Rebalance float64       // sessions a second that are moved off nodes with more than their share; 0: none
	Heartbeat bool          // clients are pinged from here, and nodes' pings answered
	Payloads  bool          // they are shown to who looks at a session's packets
	Recovery  string        // how nodes restore them: streams
	Redis     string        // URL of the Redis that the nodes' adapters use; affinity.redis, as a rule
	Stream    string        // the adapters' streamName
	Prefix    string        // and their sessionKeyPrefix
}

// CORS is what pages are told for the nodes.
type CORS struct {
	Origins     []string // as Cluster.Origins
	Credentials bool
	MaxAge      time.Duration
}

// NodeTLS is what sidway and the nodes that it speaks TLS with show each other.
type NodeTLS struct {
	CA        string // a file with the certificates that the nodes' are signed by; empty: those that the system trusts
	Name      string // that the nodes' certificates are for; empty: each node's own host
	Cert, Key string // files: what sidway itself shows; empty: nothing
	Insecure  bool   // nodes may show any certificate
}

// Health says how the nodes are probed: by a GET of Path, by an Engine.IO handshake, or, with neither, by a TCP connection.
type Health struct {
	Path              string // begins with "/", may have a query
	Status            int    // the answer's, for Path
	Interval, Timeout time.Duration
	Rise, Fall        int // so many probes in a row make a node healthy again, or unhealthy
	Handshake         bool
}

// Pace bounds the new sessions of each node.
type Pace struct {
	Handshakes float64       // per second and node; 0: no limit
	Burst      int           // at once; 0: twice Handshakes
	SlowStart  time.Duration // in which a new or healed node comes to its full weight; 0: at once
}

// Release sends a share of the new sessions to the nodes that have a label. The others get the rest.
type Release struct {
	Label, Value string  // Label is empty where there is none
	Share        float64 // 0 to 1
}

// Discover says where nodes are found. Exactly one of DNS, SRV and Kubernetes is set.
type Discover struct {
	DNS        string // host:port, the host's A and AAAA records
	SRV        string // the name of SRV records
	Kubernetes *Kubernetes
	Interval   time.Duration
	TLS        bool // the nodes are spoken to by TLS
}

// Kubernetes is a Service whose endpoints are the nodes.
type Kubernetes struct {
	Service   string
	Namespace string // empty: the pod's own
	Port      string // name or number; empty: the first
	API       string // URL; empty: the cluster that sidway itself runs in
}

// Headers says what is changed in the head of a request before a node gets it.
type Headers struct {
	Set    []Header // each replaces what the client sent under its name
	Remove []string
}

// Header is a field of a request's head.
type Header struct {
	Name  string
	Value string // it may be a password: never log it
}

// String returns the name alone.
func (h Header) String() string { return h.Name }

// Static is a directory whose files are served below a prefix.
type Static struct {
	Prefix string // begins and ends with "/"
	Dir    string
	MaxAge time.Duration // for Cache-Control; 0: clients ask each time
}
