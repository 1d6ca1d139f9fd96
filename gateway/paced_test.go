package gateway_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// once is a pace by which a node gets one session, and no other for as long as a test takes.
var once = cluster.Pace{Handshakes: 0.01, Burst: 1}

// withPace gives the nodes of all clusters that were added so far this pace.
func withPace(pace cluster.Pace) siteOption {
	return func(o *siteOptions) {
		for _, r := range o.routes {
			setPace(r.Cluster, pace)
		}
	}
}

// setPace gives the nodes of c this pace.
func setPace(c *cluster.Cluster, pace cluster.Pace) {
	s := cluster.Settings{Pace: pace}
	for _, n := range c.Nodes() {
		s.Nodes = append(s.Nodes, cluster.Config{Name: n.Name, Address: n.Address, Weight: n.Weight, TLS: n.TLS})
	}
	c.Update(s)
}

// withPaceTime changes how long a handshake waits for its turn.
func withPaceTime(d time.Duration) siteOption { return func(o *siteOptions) { o.paceTime = d } }

// waiting waits until so many requests wait for their turn.
func (s *site) waiting(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d wait for their turn", n), func() bool { return s.metric("sidway_pace_waiting") == float64(n) })
}

// from is a handshake as a trusted proxy passes it on.
func from(client string) string { return get(handshakeTarget, "X-Forwarded-For: "+client) }

// numbered is an engine that gives each session a sid of its own.
func numbered(sid string) answerer {
	var made atomic.Int64
	return func(c *nodeConn, r *nodeRequest) { engine(fmt.Sprint(sid, made.Add(1)))(c, r) }
}

// takeTokens takes all that the nodes of the first cluster have, and returns what gives n of them back.
func (s *site) takeTokens() (give func(n int)) {
	s.t.Helper()
	c := s.clusters[0]
	var taken []*cluster.Node
	n, err := c.Pick(cluster.Want{})
	for ; err == nil; n, err = c.Pick(cluster.Want{}) {
		taken = append(taken, n)
	}
	if !errors.As(err, new(cluster.PacedError)) {
		s.t.Fatal(err)
	}
	return func(n int) {
		for range n {
			c.Unpick(taken[0])
			taken = taken[1:]
		}
	}
}

// Hundreds of one network wait when ten others come: each of those has its turn among the next. Those that leave then leave nothing
// behind.
func TestTurnsAreFairBetweenAddresses(t *testing.T) {
	t.Parallel()
	const many, others = 400, 10
	s := startGateway(t, withNodes(startNode(t, "n1", numbered("sid"))), withPace(cluster.Pace{Handshakes: 0.01, Burst: 1 + others}),
		withTrusted("127.0.0.0/8"), withLimits(func(l *gateway.Limits) { l.Queue = many + others }))
	give := s.takeTokens()
	var crowd, few []*rawClient
	for i := range many {
		crowd = append(crowd, raw(t, s.addr, from(fmt.Sprintf("2001:db8::%x", i+1)))) // one /64
	}
	s.waiting(many)
	for i := range others {
		few = append(few, raw(t, s.addr, from(fmt.Sprintf("192.0.2.%d", i+1))))
	}
	s.waiting(many + others)
	give(1 + others)
	for _, c := range few {
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("got %d %q", r.StatusCode, r.Text)
		}
	}
	s.waiting(many - 1)
	for _, c := range crowd {
		c.Close()
	}
	s.waiting(0)
	if got := s.sessions()["n1"]; got != 1+others {
		t.Errorf("%d sessions are counted", got)
	}
}

// Requests of one address have their turns in the order in which they came, and nobody who comes later takes a token before.
func TestTurnsOfOneAddressAreInOrder(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withNodes(startNode(t, "n1", engine(aSID))), withPace(cluster.Pace{Handshakes: 0.01, Burst: 8}), withTrusted("127.0.0.0/8"))
	give := s.takeTokens()
	var clients []*rawClient
	come := func() {
		clients = append(clients, raw(t, s.addr, from(fmt.Sprintf("2001:db8::%d", len(clients)+1))))
	}
	for i := range 4 {
		come()
		s.waiting(i + 1)
	}
	for i := range 8 {
		give(1)
		if i < 4 {
			come()
		}
		if r := clients[i].answer(); r.StatusCode != 200 {
			t.Errorf("got %d %q", r.StatusCode, r.Text)
		}
		s.waiting(min(4, 7-i))
	}
}

// Whoever has waited for too long is told when to come again, in the words of its transport.
func TestTurnDoesNotCome(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s, log := warned(t, withNodes(n), withPace(once), withPaceTime(300*time.Millisecond))
	s.bind(aSID, n)
	began := time.Now()
	s.takeTokens()
	for what, request := range map[string]string{
		`{"message":"Too many new sessions"}`: get(handshakeTarget),
		"Too many new sessions":               get(directTarget, asksWebSocket...),
	} {
		r := raw(t, s.addr, request).answer()
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || r.Text != what {
			t.Errorf("got %d %q, Retry-After %q", r.StatusCode, r.Text, r.Header.Get("Retry-After"))
		}
	}
	if took := time.Since(began); took < 600*time.Millisecond {
		t.Errorf("both were refused after %v", took)
	}
	if n := s.metric("sidway_local_responses_total", "paced"); n != 2 || strings.Count(log.String(), "more come than pace.handshakes lets through within 300ms") != 1 {
		t.Errorf("%v are counted, and the log says %s", n, log.String())
	}
	if n := s.metric("sidway_pace_wait_seconds", "c1"); n != 2 {
		t.Errorf("%v waits are counted", n)
	}
	c := dial(t, s.addr) // what makes no session is not paced
	c.expect(get("/page"), 200, "n1 GET /page ")
	c.expect(get(pollTarget(aSID)), 200, "6")
}

// A client that leaves while it waits makes room for another at once.
func TestClientLeavesBeforeItsTurn(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withNodes(startNode(t, "n1", engine(aSID))), withPace(once), withLimits(func(l *gateway.Limits) { l.Queue = 1 }))
	s.takeTokens()
	for _, request := range []string{get(handshakeTarget), get(directTarget, asksWebSocket...), get(handshakeTarget)} {
		c := raw(t, s.addr, request)
		s.waiting(1)
		if r := raw(t, s.addr, get(handshakeTarget)).answer(); r.StatusCode != 503 {
			t.Errorf("one more than may wait got %d", r.StatusCode)
		}
		c.Close()
		s.waiting(0)
	}
}

// Where no more may wait, one of the address that has most gives way to another's.
func TestFullQueueIsShared(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withNodes(startNode(t, "n1", engine(aSID))), withPace(once), withTrusted("127.0.0.0/8"),
		withLimits(func(l *gateway.Limits) { l.Queue = 4 }))
	s.takeTokens()
	var crowd []*rawClient
	for i := range 4 {
		crowd = append(crowd, raw(t, s.addr, from("192.0.2.1")))
		s.waiting(i + 1)
	}
	other := raw(t, s.addr, from("192.0.2.2"))
	for i, c := range []*rawClient{crowd[3], raw(t, s.addr, from("192.0.2.1"))} {
		if r := c.answer(); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%d: got %d %q", i, r.StatusCode, r.Text)
		}
	}
	s.waiting(4)
	setPace(s.clusters[0], cluster.Pace{})
	for _, c := range append(crowd[:3], other) {
		if r := c.answer(); r.StatusCode != 200 {
			t.Errorf("got %d %q", r.StatusCode, r.Text)
		}
	}
}

// Those that wait go on with whatever lets them: no pace any more, another node, or that there is none, which is waited for in
// its own way.
func TestWaitersFollowChanges(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", engine("sid1")), startNode(t, "n2", engine("sid2"))
	for name, change := range map[string]struct {
		do     func(*site)
		status int
	}{
		"no pace": {func(s *site) { setPace(s.clusters[0], cluster.Pace{}) }, 200},
		"more":    {func(s *site) { setPace(s.clusters[0], cluster.Pace{Handshakes: 50, Burst: 1}) }, 200},
		"a node": {func(s *site) {
			s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1, n2), Pace: cluster.Pace{Handshakes: 0.01, Burst: 40}})
		}, 200},
		"a reload":  {func(s *site) { setPace(s.clusters[0], cluster.Pace{}); s.reroute(s.settings.Routes...) }, 200},
		"no route":  {func(s *site) { s.reroute(); setPace(s.clusters[0], cluster.Pace{}) }, 200},
		"no node":   {func(s *site) { s.clusters[0].Update(cluster.Settings{Pace: once}) }, 503},
		"all drain": {func(s *site) { s.clusters[0].SetDraining(s.clusters[0].Node("n1"), true) }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startGateway(t, withNodes(n1), withPace(once), withLimits(func(l *gateway.Limits) { l.QueueTime = 200 * time.Millisecond }))
			s.takeTokens()
			var clients []*rawClient
			for range 30 {
				clients = append(clients, raw(t, s.addr, get(handshakeTarget)))
			}
			s.waiting(30)
			began := time.Now()
			change.do(s)
			for _, c := range clients {
				if r := c.answer(); r.StatusCode != change.status {
					t.Fatalf("got %d %q", r.StatusCode, r.Text)
				}
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("they went on after %v", took)
			}
			if n := s.metric("sidway_local_responses_total", "paced"); n > 0 {
				t.Errorf("%v were refused for the pace", n)
			}
		})
	}
}

// A wait for a turn is no wait for a node: one that follows it has all its time.
func TestWaitForANodeBeginsAnew(t *testing.T) {
	t.Parallel()
	const queueTime = 2 * time.Second
	n1 := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n1), withPace(once), withLimits(func(l *gateway.Limits) { l.QueueTime = queueTime }))
	s.takeTokens()
	s.clusters[0].Update(cluster.Settings{Pace: once})
	client := raw(t, s.addr, get(handshakeTarget))
	eventually(t, "it has come", func() bool { return s.metric("sidway_requests_total", "handshake") == 1 })
	s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1), Pace: once})
	s.waiting(1)
	<-time.After(queueTime)
	s.clusters[0].Update(cluster.Settings{})
	s.waiting(0)
	s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1)})
	if r := client.answer(); r.StatusCode != 200 {
		t.Errorf("got %d %q", r.StatusCode, r.Text)
	}
}

// However often what it waits for changes, a client waits no longer for its turn than it was told.
func TestWaitForATurnDoesNotBeginAnew(t *testing.T) {
	t.Parallel()
	n1 := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n1), withPace(once), withPaceTime(time.Second), withLimits(func(l *gateway.Limits) { l.QueueTime = patience }))
	s.takeTokens()
	client, answered := raw(t, s.addr, get(handshakeTarget)), make(chan int, 1)
	var reading sync.WaitGroup
	reading.Go(func() { answered <- client.answer().StatusCode })
	defer reading.Wait()
	status := 0
	wait := func(n float64) {
		eventually(t, fmt.Sprintf("%v wait, or it is answered", n), func() bool {
			select {
			case status = <-answered:
			default:
			}
			return status > 0 || s.metric("sidway_pace_waiting") == n
		})
	}
	for end := time.Now().Add(patience / 2); status == 0 && time.Now().Before(end); {
		wait(1)
		s.clusters[0].Update(cluster.Settings{Pace: once})
		wait(0)
		s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1), Pace: once})
	}
	if status != 503 {
		t.Errorf("got %d", status)
	}
}

// A node that refused the connection has not used up what its pace allows.
func TestRefusedHandshakeTakesNoToken(t *testing.T) {
	t.Parallel()
	l := listenLocal(t)
	addr := l.Addr().String()
	l.Close()
	c := cluster.New("c1", cluster.Settings{Nodes: []cluster.Config{{Name: "n1", Address: addr}}, Pace: once})
	s := startGateway(t, withLimits(func(l *gateway.Limits) { l.QueueTime = patience }), func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: c})
	})
	client := raw(t, s.addr, get(handshakeTarget))
	eventually(t, "the node is ejected", func() bool { return s.metric("sidway_node_ejected", "n1") == 1 })
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			conn.Write([]byte(answer(200, openPacket(aSID))))
		}
	}()
	if r := client.answer(); r.StatusCode != 200 {
		t.Errorf("got %d %q", r.StatusCode, r.Text)
	}
}

// Clients come and go, and nodes and their pace change, all at once: nothing is counted wrongly afterwards.
func TestTurnsUnderChurn(t *testing.T) {
	t.Parallel()
	n1, n2 := startNode(t, "n1", numbered("a")), startNode(t, "n2", numbered("b"))
	s := startGateway(t, withNodes(n1, n2), withPace(cluster.Pace{Handshakes: 50, Burst: 1}), withPaceTime(50*time.Millisecond), withTrusted("127.0.0.0/8"),
		withLimits(func(l *gateway.Limits) { l.Queue, l.QueueTime = 20, 50*time.Millisecond }))
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				conn, err := connect(s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				conn.Write([]byte(from(fmt.Sprintf("192.0.2.%d", i%4+1))))
				if n%2 == 0 {
					conn.SetReadDeadline(time.Now().Add(time.Duration(n%60) * time.Millisecond))
				}
				conn.Read(make([]byte, 1<<10))
				conn.Close()
			}
		})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range 100 {
		<-tick.C
		settings := cluster.Settings{Nodes: configOf(n1, n2), Pace: cluster.Pace{Handshakes: 50 * float64(i%3), Burst: 1 + i%2}}
		if i%10 == 9 {
			settings.Nodes = configOf(n1)
		}
		s.clusters[0].Update(settings)
		s.reroute(s.settings.Routes...)
	}
	close(done)
	clients.Wait()
	s.clusters[0].Update(cluster.Settings{Nodes: configOf(n1, n2)})
	s.waiting(0)
	eventually(t, "all requests have ended", func() bool { return s.metric("sidway_connections") == 0 })
	sum := s.sessions()["n1"] + s.sessions()["n2"]
	if made := s.metric("sidway_handshakes_total", "made"); float64(sum) != made {
		t.Errorf("%d sessions are counted, %v were made", sum, made)
	}
}
