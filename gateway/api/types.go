package api

import "time"

// Status is a replica and its clusters at one moment. What is called a total counts from the start of the replica, so that the
// difference of two statuses, by the time between them, is a rate.
type Status struct {
	At       time.Time `json:"at" doc:"when it was so, by the replica's clock"`
	Headline string    `json:"headline" doc:"a sentence that says whether all is well, or what is wrong"`
	Problems []Problem `json:"problems" doc:"the gravest first. What grows is only known beside an earlier status, as in the stream"`
	Replica  Replica   `json:"replica"`
	Replicas []Peer    `json:"replicas" doc:"all that share the Redis, this one first; without Redis this one alone"`
	Store    Store     `json:"store"`
	Clusters []Cluster `json:"clusters"`

	Certificates []Certificate `json:"certificates" doc:"what this replica shows to clients with TLS"`
	Faults       []Fault       `json:"faults" doc:"signs of the last hour that clients, nodes, proxies or replicas are set up wrongly, the latest first"`
}

// Replica is this process.
type Replica struct {
	Name        string            `json:"name" doc:"host and address of its first listener"`
	Version     string            `json:"version"`
	Started     time.Time         `json:"started"`
	Stopping    bool              `json:"stopping"`
	Connections int64             `json:"connections" doc:"open client connections, those of tunnels included"`
	Limit       int64             `json:"limit" doc:"how many there may be"`
	Tunnels     int               `json:"tunnels" doc:"WebSockets"`
	ReloadError string            `json:"reload_error,omitempty" doc:"why the settings that were read last are not in force"`
	Recent      map[string]uint64 `json:"recent" doc:"answers of the last minute that belong to no cluster, by reason; and connections that came to no request: plain_http (to a port for TLS), tls_failed, no_proxy_header, untrusted_proxy"`
	Token       bool              `json:"token" doc:"there is an admin.token, which changes need, and clients on other machines for everything; else clients on this machine alone are answered"`
}

// Peer is what a replica tells the others of itself, once a second.
type Peer struct {
	Name        string    `json:"name"`
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Stopping    bool      `json:"stopping"`
	Connections int64     `json:"connections"`
	Limit       int64     `json:"limit"`
	Descriptors uint64    `json:"descriptors,omitempty" doc:"that it may open (ulimit -n), where these set the limit; left out: limits.connections does"`
	Tunnels     int       `json:"tunnels"`
	Sessions    int       `json:"sessions" doc:"that it counts, of all clusters"`
	Self        bool      `json:"self,omitempty" doc:"it is the one that was asked"`
	Unready     string    `json:"unready,omitempty" doc:"why its /readyz says 503; left out where it is ready, and while it stops"`
	Heard       float64   `json:"heard" doc:"seconds since it was heard last; one that has ended is forgotten at once, one that died after ten minutes, or when one of its name is there"`
}

// Store is where bindings are kept.
type Store struct {
	Kind  string `json:"kind" doc:"memory or redis"`
	Up    bool   `json:"up"`
	Error string `json:"error,omitempty" doc:"why it is not up"`
	Fell  int    `json:"fell,omitempty" doc:"how often it could not be used any more within the last minute"`
	Last  string `json:"last,omitempty" doc:"what was wrong with it then"`
	Deaf  bool   `json:"deaf,omitempty" doc:"Redis refuses a right without which replicas do not hear each other: see the fault redis_rights"`
}

// Certificate is one that clients are shown.
type Certificate struct {
	Name  string    `json:"name" doc:"the first name that it is for"`
	Ends  time.Time `json:"ends,omitzero" doc:"left out where there is none yet"`
	Late  bool      `json:"late" doc:"it should have been renewed: 14 days before its end, or a quarter of its time, if that is less"`
	Error string    `json:"error,omitempty" doc:"why what should take its place does not"`
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
	Removed []Gone   `json:"removed,omitempty" doc:"nodes that the configuration has, or that were found, and that an operator has taken away"`
	Auth    *Auth    `json:"auth,omitempty" doc:"where somebody has to be asked whether clients may have a session"`

	Waiting    int64             `json:"waiting" doc:"handshakes that wait because the pace of all nodes allows no more"`
	Handshakes Made              `json:"handshakes" doc:"total of handshakes and direct connects that a node answered"`
	Upgrades   Made              `json:"upgrades" doc:"total of upgrades that a node answered"`
	Mute       uint64            `json:"mute" doc:"total of WebSockets that were open for two seconds or more and ended without a byte from their client, which should have spoken first: something in front swallows frames"`
	Old        Old               `json:"old"`
	Ended      uint64            `json:"ended" doc:"total of sessions whose end this replica has seen. A client that comes back begins another, and nothing tells it from a new one: so many that end and begin are a storm"`
	Expired    uint64            `json:"expired" doc:"total of sessions whose binding ran out: of clients that vanished, or that went on as a WebSocket at another replica"`
	Tunnels    int               `json:"tunnels" doc:"WebSockets of this replica"`
	Ends       map[string]uint64 `json:"ends" doc:"total of WebSockets that ended, by cause, as in sidway_tunnels_ended_total"`
	Moves      map[string]uint64 `json:"moves" doc:"total of sessions that were to go on at another node while their client stayed, by outcome, as in sidway_moves_total"`
	MovesAgain *time.Time        `json:"moves_again,omitempty" doc:"when this replica moves sessions again, since five moves in a row went wrong; left out: it moves them"`
	Responses  map[string]uint64 `json:"responses" doc:"total of requests that this replica answered itself, by reason, as in sidway_local_responses_total"`
	Recent     Recent            `json:"recent" doc:"of the last minute"`
	Storm      *Storm            `json:"storm,omitempty" doc:"while clients come back all at once, and for a minute after that"`
	NodesError string            `json:"nodes_error,omitempty" doc:"why nodes cannot be looked for; those that are known stay"`
}

// Gone is a node that an operator has taken away.
type Gone struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since,omitzero" doc:"left out where it is not known"`
}

// Recent is what a replica has counted in the last minute.
type Recent struct {
	Seconds   float64           `json:"seconds" doc:"how long that is: up to 70 s, and less while the replica is younger"`
	Made      uint64            `json:"made" doc:"handshakes and direct connects that came to a session"`
	Ended     uint64            `json:"ended" doc:"sessions whose end was seen"`
	Ends      map[string]uint64 `json:"ends,omitempty" doc:"WebSockets that ended, by cause"`
	Nodes     map[string]Grew   `json:"nodes,omitempty" doc:"by name; left out: nothing of either"`
	Responses map[string]uint64 `json:"responses,omitempty" doc:"requests that it answered itself, by reason"`
	Strangers uint64            `json:"strangers,omitempty" doc:"different sids that nobody knew"`
}

// Grew is what a node's totals have grown by.
type Grew struct {
	Handshakes uint64 `json:"handshakes"`
	Errors     uint64 `json:"errors"`
}

// Auth is how the last look-up went by which clients are let in.
type Auth struct {
	Asks   string    `json:"asks" doc:"jwks: for keys; forward: a server, about each client"`
	Up     bool      `json:"up" doc:"the last look-up has worked, or none has ended yet"`
	Failed time.Time `json:"failed,omitzero" doc:"when the last one failed"`
	Error  string    `json:"error,omitempty" doc:"why it failed"`
	LetsIn bool      `json:"lets_in,omitempty" doc:"clients are let in all the same: by keys that are known, or unasked by fail_open"`
}

// Made is how many came to something, and how many did not.
type Made struct {
	Made    uint64 `json:"made"`
	Refused uint64 `json:"refused"`
}

// Old is the sessions of this replica that are older than 30 seconds and of which it is known whether they poll still.
type Old struct {
	All     int `json:"all" doc:"that have a WebSocket here, or poll still"`
	Polling int `json:"polling" doc:"that poll still. It is found out when a binding is renewed, so that it takes up to a third of the session's timers more; of sessions that poll by turns at several replicas some are left out"`
}

// Stuck reports whether so many poll that something seems to keep them from WebSockets.
func (o Old) Stuck() bool {
	return o.All >= fewestOld && o.Polling*pollingShare >= o.All || o.All >= fewestAllPolling && o.Polling == o.All
}

// Storm is very many sessions that have begun at once here, as after something has cut them all.
type Storm struct {
	Since     time.Time `json:"since" doc:"the first second in which so many began"`
	Last      time.Time `json:"last" doc:"the last second in which at least a tenth as many began as in the worst"`
	Begun     uint64    `json:"begun" doc:"sessions that began from ten seconds before until ten seconds after"`
	Peak      uint64    `json:"peak" doc:"the most of them within one second"`
	Ended     uint64    `json:"ended" doc:"WebSockets that ended in that time"`
	ByClients uint64    `json:"by_clients" doc:"WebSockets of these that the clients' side closed, or that nothing came from any more"`
	ByNodes   uint64    `json:"by_nodes" doc:"WebSockets of these that the nodes' side closed, or whose node answered no more"`
}

// IsStorm reports whether so many sessions began within a second, of so many that there are, as after something has cut them all.
func IsStorm(begun uint64, sessions int) bool {
	return begun >= stormRate && begun*stormShare >= uint64(sessions)
}

// Fault is a sign that something is set up wrongly.
type Fault struct {
	Cluster string    `json:"cluster,omitempty"`
	Reason  string    `json:"reason" doc:"as in sidway_setup_faults_total, or limit"`
	Subject string    `json:"subject,omitempty" doc:"a node, a path, a host or another replica"`
	Text    string    `json:"text"`
	Count   uint64    `json:"count"`
	Last    time.Time `json:"last"`
}

// Node is one Socket.IO server process.
type Node struct {
	Name     string            `json:"name"`
	Address  string            `json:"address"`
	Weight   int               `json:"weight" doc:"as it is set"`
	Share    float64           `json:"share" doc:"weight by which it is picked now: what slow start and the node itself leave of the one that is set"`
	Asks     *float64          `json:"asks,omitempty" doc:"for which part of the weight that is set the node itself asks, 0 to 1; left out: for all of it"`
	Labels   map[string]string `json:"labels,omitempty"`
	Source   string            `json:"source" doc:"configuration, discovery or api"`
	Healthy  bool              `json:"healthy" doc:"what its probes found"`
	Ejected  bool              `json:"ejected" doc:"it failed requests of clients and has not answered one since, nor a probe that disproves it: it gets no new sessions before retry"`
	Retry    time.Time         `json:"retry,omitzero" doc:"until when an ejected node gets none; left out where that is over, so that the next client tries it"`
	Why      string            `json:"why,omitempty" doc:"it was ejected for: refused, connect_timeout, unreachable, tls, silent, cut or no_session"`
	Tried    time.Time         `json:"tried,omitzero" doc:"when an ejected node failed last"`
	Untried  bool              `json:"untried,omitempty" doc:"neither a client nor a probe has asked it yet, as far as this replica knows: whether it works is not known"`
	Draining bool              `json:"draining" doc:"it gets no new sessions"`
	Since    time.Time         `json:"since,omitzero" doc:"when it became unhealthy, ejected or draining, of several the first in this order, as far as this replica has seen; left out where it is neither"`
	Drain    *Drain            `json:"drain,omitempty"`
	Probe    *Probe            `json:"probe,omitempty" doc:"the last one, where nodes are probed"`
	Sessions int               `json:"sessions" doc:"that this replica counts"`
	Polling  int               `json:"polling" doc:"sessions of these that poll, as far as this replica knows"`
	Sockets  int               `json:"sockets" doc:"sessions of these that have a WebSocket here; those that are just made are neither"`
	Total    int               `json:"total" doc:"sessions that all replicas count"`
	Polls    int               `json:"total_polling" doc:"sessions of these that poll"`
	Tunnels  int               `json:"tunnels" doc:"WebSockets of this replica"`
	Leases   int64             `json:"leases" doc:"requests and WebSockets of this replica in flight"`

	Handshakes uint64 `json:"handshakes" doc:"total of handshakes and direct connects that it accepted from this replica"`
	Errors     uint64 `json:"errors" doc:"total of its answers of 5xx, of those to polls and POSTs that no Engine.IO server gives, and of requests that it cut, refused or left unanswered"`
	Unanswered uint64 `json:"unanswered" doc:"upgrades that this replica has sent it since it last answered one"`
	NoUpgrade  bool   `json:"no_upgrade,omitempty" doc:"it offered the last session that it made by polling through this replica no WebSocket"`
}

// Drain is how far the drain of a node has come.
type Drain struct {
	Since      time.Time  `json:"since"`
	Deadline   *time.Time `json:"deadline,omitempty" doc:"when its sessions begin to be ended; none: they are not"`
	Rate       float64    `json:"rate,omitempty" doc:"sessions per second that all replicas end together"`
	Done       *time.Time `json:"done,omitempty" doc:"when the last one will have been ended at that rate, of those that are not silent"`
	MovesAgain *time.Time `json:"moves_again,omitempty" doc:"when this replica moves sessions again, since five moves in a row went wrong: until then they stay, and behind the deadline they are ended; left out: it moves them, if the cluster does"`
	Silent     int        `json:"silent,omitempty" doc:"sessions without a request in flight. They poll, and are ended when they do so again, or given up when nothing has been heard of them for pingInterval + pingTimeout"`
	Heard      *time.Time `json:"heard,omitempty" doc:"when a request of one of its sessions came to this replica last; none: not since the drain began"`
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

// Trace is what replicas know of a session.
type Trace struct {
	SID         string          `json:"sid" doc:"its beginning: a sid is a secret"`
	Live        bool            `json:"live"`
	Why         string          `json:"why,omitempty" doc:"it is not live"`
	Cluster     string          `json:"cluster,omitempty"`
	Node        string          `json:"node,omitempty"`
	NodeState   string          `json:"node_state,omitempty" doc:"healthy, draining, ejected, unhealthy or gone"`
	EIO         int             `json:"eio,omitempty"`
	Transport   string          `json:"transport,omitempty" doc:"polling or websocket"`
	Since       time.Time       `json:"since,omitzero" doc:"when it was made; left out where nobody remembers"`
	Expires     time.Time       `json:"expires,omitzero" doc:"of the binding, unless it is renewed"`
	Tunnel      string          `json:"tunnel,omitempty" doc:"the replica that has its WebSocket"`
	TunnelSince time.Time       `json:"tunnel_since,omitzero" doc:"left out where it is not remembered"`
	Requests    []TracedRequest `json:"requests" doc:"the last ones that are remembered, the latest last"`
	Replicas    int             `json:"replicas" doc:"that were asked"`
	Answered    int             `json:"answered" doc:"replicas of these that did"`
	Note        string          `json:"note,omitempty" doc:"what else is to be known"`
}

// TracedRequest is a request of a session, or its WebSocket that has ended.
type TracedRequest struct {
	At      time.Time `json:"at" doc:"when it ended"`
	Replica string    `json:"replica"`
	Kind    string    `json:"kind" doc:"as in the access log; websocket: one that has ended; move: it went on at another node"`
	Status  int       `json:"status,omitempty" doc:"none of a WebSocket; 499: the client left before it was answered"`
	Took    float64   `json:"took" doc:"seconds"`
	Cause   string    `json:"cause,omitempty" doc:"why a replica answered itself, as in sidway_local_responses_total, what ended the WebSocket, or from which node to which one it moved"`
}

// NodeSettings are what a node is put with.
type NodeSettings struct {
	URL    string            `json:"url" doc:"http://host:port or https://host:port"`
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

// MoveSettings are where a session is moved.
type MoveSettings struct {
	To string `json:"to,omitempty" doc:"name of a node; left out: the one that the cluster picks"`
}

// Move is what became of a session's move.
type Move struct {
	From    string `json:"from" doc:"the node that it lived on"`
	Node    string `json:"node" doc:"that it lives on now"`
	Outcome string `json:"outcome" doc:"as in sidway_moves_total: moved; renewed, when the node did not know it and its client gets connect again without a disconnect; busy, refused, no_barrier, no_redis or no_recovery, when it stayed; lost or left, when it has ended"`
}

// Packet is one of a session's that has passed on its WebSocket.
type Packet struct {
	Time        time.Time `json:"time"`
	From        string    `json:"from" doc:"client or node"`
	Type        string    `json:"type" doc:"of Socket.IO: connect, disconnect, event, ack, connect_error, binary_event, binary_ack; else of Engine.IO: open, close, ping, pong, message, upgrade, noop; attachment for a binary message; unknown"`
	Namespace   string    `json:"namespace,omitempty"`
	Event       string    `json:"event,omitempty" doc:"its name"`
	ID          *uint64   `json:"id,omitempty" doc:"by which it is acknowledged"`
	Attachments int       `json:"attachments,omitempty"`
	Size        uint64    `json:"size" doc:"of the message, in bytes"`
	Took        float64   `json:"took,omitempty" doc:"of an acknowledgement: seconds since what it answers"`
	Payload     string    `json:"payload,omitempty" doc:"its beginning, where sessions.payloads has it shown"`
	Missed      int       `json:"missed,omitempty" doc:"packets before it that this client was too slow for"`
}

// Done says that what was asked for is done.
type Done struct {
	Done bool `json:"done"`
}

// Failure says what is wrong.
type Failure struct {
	Error string `json:"error"`
}
