package gateway_test

import (
	"testing"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/cluster"
)

// Some sessions of a node end, by polling and by WebSocket, each by its own kind of end, and those of other nodes go on. One that polls is ended when it is two
// seconds old.
func TestEndSessions(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withEngines(engines(t, 2, engineiotest.Options{})...))
	polls, sockets := map[string][]*rawClient{}, map[string][]*rawClient{}
	var first string                        // a session of n1
	joined := func(connect func()) string { // the name of the node that has a session more
		before := s.sessions()
		connect()
		for name, n := range s.sessions() {
			if n > before[name] {
				return name
			}
		}
		return ""
	}
	for range 4 {
		c, sid := dial(t, s.addr), ""
		node := joined(func() { sid = c.handshake(handshakeTarget) })
		polls[node] = append(polls[node], c)
		c.send(get(pollTarget(sid)))
		if node == "n1" {
			first = sid
		}
	}
	for range 4 {
		c := dial(t, s.addr)
		node := joined(func() { c.websocket("/socket.io/?EIO=4&transport=websocket") })
		c.message()
		sockets[node] = append(sockets[node], c)
	}
	eventually(t, "the polls wait", func() bool { return s.metric("sidway_leases", "n1")+s.metric("sidway_leases", "n2") == 8 })
	node := s.clusters[0].Node("n1")
	if n := s.EndSessions(node, 0, cluster.Drain); n != 0 || s.sessions()["n1"] != 4 {
		t.Errorf("ended %d of none", n)
	}
	if n := s.EndSessions(node, 3, cluster.Drain); n != 2 { // the polls' sessions are new: a replica that has bound them may know that the drain is over
		t.Errorf("ended %d, want the two WebSockets", n)
	}
	ended := 0
	eventually(t, "the polls are ended", func() bool {
		ended += s.EndSessions(node, 1, cluster.Drain)
		return ended == 2
	})
	if n := s.EndSessions(node, 3, cluster.Drain); n != 0 {
		t.Errorf("ended %d that were not there", n)
	}
	for _, c := range polls["n1"] {
		c.expect("", 200, "1")
	}
	for _, c := range sockets["n1"] {
		c.ended()
	}
	eventually(t, "no session is counted", func() bool { return s.sessions()["n1"] == 0 })
	dial(t, s.addr).expect(get(pollTarget(first)), 400, `{"code":1,"message":"Session ID unknown"}`)
	for _, c := range sockets["n2"] {
		c.send(masked("4still here"))
		if got := c.message(); got != "4still here" {
			t.Errorf("a session of another node: %q", got)
		}
	}
	if n := s.metric("sidway_local_responses_total", "drained"); n != 2 {
		t.Errorf("%v polls were answered for the drain", n)
	}
	if n := s.sessions()["n2"]; n != 4 {
		t.Errorf("%d sessions are left on the other node", n)
	}
}
