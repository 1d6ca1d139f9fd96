package gateway_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// missed tells that a request waits for a node.
type missed chan struct{}

func (m missed) await(t *testing.T) {
	t.Helper()
	select {
	case <-m:
	case <-time.After(patience):
		t.Fatal("no request waits for a node")
	}
}

// late is a gateway whose cluster does not have all nodes yet.
func late(t *testing.T, queueTime time.Duration, nodes ...*scriptedNode) (*site, *syncBuffer, missed) {
	t.Helper()
	missed := make(missed, 1)
	c := cluster.New("c1", cluster.Settings{Nodes: configOf(nodes...)})
	c.OnMissing = func() {
		select {
		case missed <- struct{}{}:
		default:
		}
	}
	s, log := warned(t, func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: c})
		o.limits.QueueTime = queueTime
	})
	return s, log, missed
}

// A node that another replica learned of first makes no session end here.
func TestASessionWaitsForItsNode(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", nil), startNode(t, "n2", nil)
	for name, asked := range map[string]string{
		"poll":    get(pollTarget(aSID)),
		"POST":    post(aSID, "4x"),
		"upgrade": get(upgradeTarget(aSID), asksWebSocket...),
	} {
		s, log, missed := late(t, patience, n1)
		s.bind(aSID, n2)
		c := raw(t, s.addr, asked)
		missed.await(t)
		<-missed // it looks again
		s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1, n2)})
		if r := c.start("GET"); r.StatusCode != 200 && r.StatusCode != 101 {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
		if strings.Contains(log.String(), "does not have") {
			t.Errorf("%s: told of a node that came:\n%s", name, log.String())
		}
	}
	if got := strings.Count(n2.received(), "sid="+aSID); got != 3 {
		t.Errorf("the node received %d requests", got)
	}
}

// Sessions that wait for their node cost no goroutine, and end with their clients.
func TestSessionsThatWaitForTheirNodeAreStates(t *testing.T) {
	const polls = 50
	s, _, missed := late(t, time.Hour, startNode(t, "n1", nil))
	s.bind(aSID, &scriptedNode{name: "n2"})
	clients := make([]*rawClient, polls)
	for i := range clients {
		clients[i] = dial(t, s.addr)
	}
	eventually(t, "all are accepted", func() bool { return s.metric("sidway_connections") == polls })
	before := runtime.NumGoroutine()
	for _, c := range clients {
		c.send(get(pollTarget(aSID)))
	}
	eventually(t, "all wait", func() bool { return s.metric("sidway_requests_total", "poll") == polls })
	missed.await(t)
	missed.await(t)
	if more := runtime.NumGoroutine() - before; more > polls/2 {
		t.Errorf("%d goroutines more for %d polls", more, polls)
	}
	for _, c := range clients {
		c.Close()
	}
	eventually(t, "they end with their clients", func() bool { return s.metric("sidway_requests_aborted_total") == polls })
}

// A node that was taken away here does not come back, unless another replica has placed the session on it since.
func TestASessionOfANodeThatIsGoneEndsAtOnce(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", nil), startNode(t, "n2", nil)
	s, log, missed := late(t, time.Hour, n1, n2)
	s.bind("old", n2)
	s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1)})
	s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1), SlowStart: time.Minute})
	dial(t, s.addr).expect(get(pollTarget("old")), 200, "1")
	if len(missed) > 0 {
		t.Error("the node was looked for")
	}
	s.bind("new", n2)
	c := raw(t, s.addr, get(pollTarget("new")))
	missed.await(t)
	s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1, n2)})
	c.expect("", 200, "n2 GET /socket.io/ ")
	if strings.Contains(log.String(), "does not have") {
		t.Errorf("told of a node that ended:\n%s", log.String())
	}
}

// While the list of nodes is not whole nobody says that the session's node is gone.
func TestAWaitInVainForNodesThatAreNotKnownYet(t *testing.T) {
	t.Parallel()
	s, log, _ := late(t, 50*time.Millisecond)
	s.clusters[0].Update(cluster.Settings{Incomplete: true})
	s.bind(aSID, &scriptedNode{name: "n2"})
	if status, body := dial(t, s.addr).ask(get(pollTarget(aSID))); status != 503 {
		t.Errorf("%d %q", status, body)
	}
	if n := s.metric("sidway_setup_faults_total"); n != 0 || log.String() != "" {
		t.Errorf("%v setup faults, %s", n, log.String())
	}
}

// No more requests wait than limits.queue allows.
func TestSessionsThatWaitForTheirNodeAreBounded(t *testing.T) {
	t.Parallel()
	const room = 2
	n2 := startNode(t, "n2", nil)
	s, _, _ := late(t, time.Hour, startNode(t, "n1", nil))
	s.settings.Limits.Queue = room
	s.Update(s.settings)
	s.bind(aSID, n2)
	var waiting []*rawClient
	for range room {
		waiting = append(waiting, raw(t, s.addr, get(pollTarget(aSID))))
	}
	eventually(t, "they wait", func() bool { return s.metric("sidway_requests_total", "poll") == room })
	dial(t, s.addr).expect(get(pollTarget(aSID)), 200, "1")
	s.clusters[0].Update(cluster.Settings{Nodes: configOf(n2)})
	for _, c := range waiting {
		c.expect("", 200, "n2 GET /socket.io/ ")
	}
}
