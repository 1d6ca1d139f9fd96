package gateway_test

import (
	"net"
	"testing"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// named is the configuration of a node whose address is a name.
func named(n *scriptedNode) cluster.Config {
	_, port, _ := net.SplitHostPort(n.addr)
	return cluster.Config{Name: n.name, Address: net.JoinHostPort("localhost", port), Weight: 1, TLS: nodeTLS()}
}

// A node's address may be a name, behind which several addresses stand: the one that accepts is used, by all that follow.
func TestNodeWithAName(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID)) // on 127.0.0.1 alone; localhost is ::1 too
	s := startGateway(t, func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{
			Path: "/socket.io/", DisableKeepAlive: true, Cluster: cluster.New("c1", cluster.Settings{Method: o.method, Nodes: []cluster.Config{named(node)}}),
		})
	})
	for range 3 {
		if got := dial(t, s.addr).handshake(handshakeTarget); got != aSID {
			t.Fatalf("got %q", got)
		}
		raw(t, s.addr, get(pollTarget(aSID))).expect("", 200, "6")
		ws := dial(t, s.addr)
		ws.websocket(upgradeTarget(aSID))
		ws.Close()
	}
}

// A name behind which nothing accepts is a node that refuses.
func TestNodeWithANameThatRefuses(t *testing.T) {
	t.Parallel()
	dead, good := startNode(t, "dead", nil), startNode(t, "good", engine(aSID))
	dead.stop()
	s := startGateway(t, func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{
			Path: "/socket.io/", Cluster: cluster.New("c1", cluster.Settings{Method: o.method, Nodes: []cluster.Config{named(dead), named(good)}}),
		})
	})
	s.bind("gone", dead)
	raw(t, s.addr, get(pollTarget("gone"))).expect("", 200, "1") // the close packet
	for range 4 {
		dial(t, s.addr).handshake(handshakeTarget)
	}
	if got := s.sessions(); got["dead"] != 0 {
		t.Errorf("sessions: %v", got)
	}
}
