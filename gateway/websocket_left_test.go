package gateway_test

import (
	"testing"
	"time"
)

// TestNodeThatDoesNotEnd: a session is over with its client, though its node does not end its side of the WebSocket.
func TestNodeThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s, _, nodes := startRestorers(t, 1)
	m := s.join()
	if got := s.sessions()["n1"]; got != 1 {
		t.Fatalf("%d sessions", got)
	}
	nodes[0].is(func(f *restorerFaults) { f.deaf = true })
	m.say(`42["unread"]`)
	began := time.Now()
	m.CloseNow()
	eventually(t, "the session is over", func() bool { return s.sessions()["n1"] == 0 })
	if took := time.Since(began); s.tunnels.Len() != 1 {
		t.Errorf("its tunnel has ended within %v: the node has ended its side", took)
	}
	nodes[0].is(func(f *restorerFaults) { f.deaf = false })
}
