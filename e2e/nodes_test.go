package e2e_test

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"
)

// kind is a make of node.
type kind string

const (
	node48 kind = "socket.io 4.8"
	node47 kind = "socket.io 4.7"
	node46 kind = "socket.io 4.6"
	node31 kind = "socket.io 3.1"
	node25 kind = "socket.io 2.5"
	nodeGo kind = "socket.io/v2 in Go"
)

// packages are those of the servers in package.json, but of the Go library, which adapter/go.mod requires.
var packages = map[kind]string{node48: "socket.io", node47: "socket.io-4.7", node46: "socket.io-4.6", node31: "socket.io-3", node25: "socket.io-2"}

// pings are a node's timers; the zero value means 25 s and 20 s, the library's own.
type pings struct{ interval, timeout time.Duration }

// node is a Socket.IO server process.
type node struct {
	*process
	name string
	port int
}

func startNode(t *testing.T, k kind, name string, p pings) *node {
	t.Helper()
	c := command{name: name, talks: true, argv: []string{"node", "testdata/server.mjs"}}
	c.env = []string{"NODE_NAME=" + name, "ALLOW_EIO3=1", "SOCKETIO=" + packages[k]}
	if k == nodeGo {
		c.argv = []string{binaryOf(t, barenodeBinary)}
	}
	if p != (pings{}) {
		c.env = append(c.env,
			"PING_INTERVAL="+strconv.FormatInt(p.interval.Milliseconds(), 10),
			"PING_TIMEOUT="+strconv.FormatInt(p.timeout.Milliseconds(), 10))
	}
	n := &node{process: start(t, c), name: name}
	var ready struct{ Port int }
	n.hear(t, &ready)
	n.port = ready.Port
	return n
}

// startNodes starts a node of each kind, named n1, n2, ….
func startNodes(t *testing.T, p pings, kinds ...kind) []*node {
	t.Helper()
	nodes := make([]*node, 0, len(kinds))
	for i, k := range kinds {
		nodes = append(nodes, startNode(t, k, fmt.Sprintf("n%d", i+1), p))
	}
	return nodes
}

func (n *node) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// stats is what a node counted of its sessions and of the messages that it received.
type stats struct {
	Node       string
	Sessions   int // made since the start
	Live       int
	Upgraded   int
	Websockets int // sessions that were made by a direct connect
	Events     int // event streams that are open
	Received   int
	Lost       int
	Doubled    int
	Reordered  int
	Corrupt    int
	Closes     map[string]int
	Clients    map[string]int // requests and upgrades, by X-Real-IP
	Broken     []string       // sids of the sessions that the node's library broke by itself; see barenode
}

func (n *node) stats(t *testing.T) stats {
	t.Helper()
	var s stats
	n.ask(t, map[string]any{"cmd": "stats"}, &s)
	return s
}

func statsOf(t *testing.T, nodes []*node) []stats {
	t.Helper()
	all := make([]stats, 0, len(nodes))
	for _, n := range nodes {
		all = append(all, n.stats(t))
	}
	return all
}

// brokenBy collects the sids that the nodes' own libraries broke.
func brokenBy(all []stats) []string {
	var sids []string
	for _, s := range all {
		sids = append(sids, s.Broken...)
	}
	return sids
}

// spread is how many sessions the fullest node made more than the emptiest.
func spread(all []stats) int {
	sessions := map[string]int{}
	for _, s := range all {
		sessions[s.Node] = s.Sessions
	}
	counts := slices.Sorted(maps.Values(sessions))
	return counts[len(counts)-1] - counts[0]
}
