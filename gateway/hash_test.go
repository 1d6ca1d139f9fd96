package gateway_test

import (
	"fmt"
	"testing"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// Handshakes that say the same come to the same node, whoever sends them, and where it is gone to the next one.
func TestHandshakesAreHashed(t *testing.T) {
	t.Parallel()
	byRoom, err := gateway.ParseHashBy("query:room")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*scriptedNode
	for i := range 4 {
		name := fmt.Sprint("n", i+1)
		nodes = append(nodes, startNode(t, name, engine("session-on-"+name)))
	}
	s := startGateway(t, func(o *siteOptions) { o.method = cluster.Hash }, withNodes(nodes...), func(o *siteOptions) {
		o.routes[0].HashBy = byRoom
	})
	ask := func(room int) string {
		sid := dial(t, s.addr).handshake(fmt.Sprintf("%s&room=%d", handshakeTarget, room))
		s.clusters[0].Sessions.End(sid) // how full a node is has no say here
		return sid
	}
	homes, used := map[int]string{}, map[string]bool{}
	for room := range 12 {
		homes[room] = ask(room)
		used[homes[room]] = true
	}
	if len(used) < 2 {
		t.Errorf("all rooms are at %v", used)
	}
	gone := nodes[0]
	for i := range 2 {
		for room, home := range homes {
			if got := ask(room); got != home && home != "session-on-"+gone.name {
				t.Errorf("room %d was at %s and is at %s", room, home, got)
			}
		}
		if i == 0 {
			gone.stop()
		}
	}
}
