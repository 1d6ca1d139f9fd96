package gateway_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway"
)

// TestWaitingPollsHaveNoGoroutine holds many polls at a node and counts what they cost.
func TestWaitingPollsHaveNoGoroutine(t *testing.T) {
	const polls = 200
	release := make(chan struct{})
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		<-release
		plainly(c, r)
	})
	s := startGateway(t, withNodes(node))
	clients := make([]*rawClient, polls)
	for i := range clients {
		s.bind(fmt.Sprint("sid", i), node)
		clients[i] = dial(t, s.addr)
	}
	eventually(t, "all are accepted", func() bool { return s.metric("sidway_connections") == polls })
	before := runtime.NumGoroutine()
	for i, c := range clients {
		c.send(get(pollTarget(fmt.Sprint("sid", i))))
	}
	eventually(t, "all wait at the node", func() bool { return s.metric("sidway_leases") == polls })
	eventually(t, "the node has accepted all", func() bool { return len(node.all()) == polls })
	// The node of this test has two goroutines for each connection, the gateway none.
	eventually(t, "the polls wait without a goroutine of their own", func() bool {
		return runtime.NumGoroutine()-before <= 2*polls+polls/10
	})
	close(release)
	for _, c := range clients {
		if r := c.answer(); r.StatusCode != 200 {
			t.Fatalf("got %d %q", r.StatusCode, r.Text)
		}
	}
}

// TestLongAnswersShareAConnection polls for answers that take several reads: the connection that brought them is used again.
func TestLongAnswersShareAConnection(t *testing.T) {
	t.Parallel()
	long := "4" + strings.Repeat("a", 100_000)
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.N%3 == 0 {
			plainly(c, r)
			return
		}
		c.send(answer(200, long))
	})
	s := startGateway(t, withNodes(node))
	s.bind(aSID, node)
	c := dial(t, s.addr)
	for range 20 {
		if status, body := c.ask(get(pollTarget(aSID))); status != 200 {
			t.Fatalf("%d %q", status, body)
		}
	}
	if n := len(node.all()); n != 1 {
		t.Errorf("%d connections to the node", n)
	}
}

// A cluster in which as many wait as may leaves clients of another one their places.
func TestEachClusterHasAQueueOfItsOwn(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withCluster("", "/socket.io/", startNode(t, "n1", engine(aSID))), withCluster("", "/other/"), withPace(once),
		withLimits(func(l *gateway.Limits) { l.Queue, l.QueueTime = 1, patience }))
	give := s.takeTokens()
	for range 2 {
		raw(t, s.addr, get("/other/?EIO=4&transport=polling"))
	}
	eventually(t, "one of two waits", func() bool { return s.metric("sidway_local_responses_total", "c2", "no_node") == 1 })
	client := raw(t, s.addr, get(handshakeTarget))
	s.waiting(1)
	give(1)
	if r := client.answer(); r.StatusCode != 200 {
		t.Errorf("got %d %q", r.StatusCode, r.Text)
	}
}
