package api

import "time"

// Status is a replica and its clusters at one moment.
type Status struct {
	Replica  Replica   `json:"replica"`
	Store    Store     `json:"store"`
	Clusters []Cluster `json:"clusters"`
}

// Replica is this process.
type Replica struct {
	Name        string    `json:"name" doc:"host and address of its first listener"`
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Stopping    bool      `json:"stopping"`
	Connections int64     `json:"connections" doc:"open client connections, those of tunnels included"`
	Limit       int64     `json:"limit" doc:"how many there may be"`
	Tunnels     int       `json:"tunnels" doc:"WebSockets"`
}

// Store is where bindings are kept.
type Store struct {
	Kind  string `json:"kind" doc:"memory or redis"`
	Up    bool   `json:"up"`
	Error string `json:"error,omitempty" doc:"why it is not up"`
}

// Cluster is the nodes of one route.
type Cluster struct {
	Name    string   `json:"name"`
	Hosts   []string `json:"hosts,omitempty" doc:"none means any"`
	Path    string   `json:"path"`
	Balance string   `json:"balance"`
	Release *Release `json:"release,omitempty"`
	Panic   bool     `json:"panic" doc:"all nodes are unhealthy, so health is not looked at"`
	Nodes   []Node   `json:"nodes"`
}

// Node is one Socket.IO server process.
type Node struct {
	Name     string            `json:"name"`
	Address  string            `json:"address"`
	Weight   int               `json:"weight" doc:"as it is set"`
	Share    float64           `json:"share" doc:"weight by which it is picked now: what slow start and the node itself leave of the one that is set"`
	Labels   map[string]string `json:"labels,omitempty"`
	Source   string            `json:"source" doc:"configuration, discovery or api"`
	Healthy  bool              `json:"healthy" doc:"what its probes found"`
	Ejected  bool              `json:"ejected" doc:"it failed requests and gets no new sessions for a while"`
	Draining bool              `json:"draining" doc:"it gets no new sessions"`
	Drain    *Drain            `json:"drain,omitempty"`
	Probe    *Probe            `json:"probe,omitempty" doc:"the last one, where nodes are probed"`
	Sessions int               `json:"sessions" doc:"that this replica counts"`
	Total    int               `json:"total" doc:"sessions that all replicas count"`
	Tunnels  int               `json:"tunnels" doc:"WebSockets of this replica"`
	Leases   int64             `json:"leases" doc:"requests and WebSockets of this replica in flight"`
}

// Drain is how far the drain of a node has come.
type Drain struct {
	Since    time.Time  `json:"since"`
	Deadline *time.Time `json:"deadline,omitempty" doc:"when its sessions begin to be ended; none: they are not"`
	Rate     float64    `json:"rate,omitempty" doc:"sessions per second that all replicas end together"`
	Done     *time.Time `json:"done,omitempty" doc:"when the last one will have been ended at that rate"`
}

// Probe is what a probe of a node has found.
type Probe struct {
	At     time.Time `json:"at"`
	Took   float64   `json:"took" doc:"seconds"`
	Reason string    `json:"reason,omitempty" doc:"what is wrong; left out where nothing is"`
}

// Session is where a session lives.
type Session struct {
	SID       string    `json:"sid" doc:"its beginning: a sid is a secret"`
	Cluster   string    `json:"cluster"`
	Node      string    `json:"node"`
	Known     bool      `json:"known" doc:"whether its node is one of the cluster's"`
	EIO       int       `json:"eio"`
	Transport string    `json:"transport" doc:"polling or websocket, as far as this replica knows"`
	Expires   time.Time `json:"expires" doc:"of the binding, unless it is renewed"`
}

// NodeSettings are what a node is put with.
type NodeSettings struct {
	URL    string            `json:"url" doc:"http://host:port"`
	Weight int               `json:"weight,omitempty" doc:"1 to 1000; left out: 1"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Release is the share of new sessions that goes to nodes with a label.
type Release struct {
	Label string `json:"label" doc:"as version"`
	Value string `json:"value" doc:"as v2"`
	Share string `json:"share" doc:"as 10% or 0.1"`
}

// DrainSettings are how a node is drained.
type DrainSettings struct {
	Deadline string `json:"deadline,omitempty" doc:"after which its sessions are ended, as 5m; 0s: at once; left out: never"`
}

// Done says that what was asked for is done.
type Done struct {
	Done bool `json:"done"`
}

// Failure says what is wrong.
type Failure struct {
	Error string `json:"error"`
}
