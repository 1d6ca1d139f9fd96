package gateway_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	road "github.com/sidway/sidway/gateway/request"
)

// These tests are about what somebody who has only the log and the metrics can find out of a fault.

// faulty answers a request of a session in place of engine, if fails says so.
func faulty(fails func() bool, instead answerer) answerer {
	return func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "sid=") && fails() {
			instead(c, r)
			return
		}
		engine(aSID)(c, r)
	}
}

func always() bool { return true }

func TestErrorsInSessionsAreTold(t *testing.T) {
	t.Parallel()
	const words = "a node answers requests of its sessions with errors"
	unavailable := func(c *nodeConn, _ *nodeRequest) { c.send(answer(503, "no")) }
	for name, k := range map[string]struct {
		request, kind string
	}{
		"polls":    {get(pollTarget(aSID)), "poll"},
		"POSTs":    {post(aSID, "4a"), "post"},
		"upgrades": {get(upgradeTarget(aSID), asksWebSocket...), "upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", faulty(always, unavailable))
			s, log := warned(t, withNodes(n))
			s.bind(aSID, n)
			for i := range 6 {
				if i == 4 && log.String() != "" {
					t.Errorf("told too soon: %s", log.String())
				}
				raw(t, s.addr, k.request).expect("", 503, "no")
			}
			s.once(log, fmt.Sprintf("node=n1 address=%s status=503 kind=%s n=5 of=5", n.addr, k.kind), "node_errors", 2)
			if !strings.Contains(log.String(), words) {
				t.Error(log.String())
			}
			if got := s.metric("sidway_node_responses_total", "c1", "n1", k.kind, "5xx"); got != 6 {
				t.Errorf("%v answers are counted", got)
			}
		})
	}
	t.Run("now and then", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int64
		n := startNode(t, "n1", faulty(func() bool { return asked.Add(1)%30 == 0 }, unavailable))
		s, log := warned(t, withNodes(n))
		s.bind(aSID, n)
		c := dial(t, s.addr)
		for range 300 {
			c.ask(get(pollTarget(aSID)))
		}
		if log.String() != "" {
			t.Error(log.String())
		}
		if got := s.metric("sidway_node_responses_total", "n1", "poll", "2xx"); got != 290 {
			t.Errorf("%v answers are counted", got)
		}
	})
}

// What stands before a node answers in its place: each of these is an error of the node's, and none of what Engine.IO servers say is.
func TestAnswersOfNoSocketIOServerAreTold(t *testing.T) {
	t.Parallel()
	const html, page = "Content-Type: text/html; charset=utf-8", "<html>Checking your browser</html>"
	poll, say := get(pollTarget(aSID)), post(aSID, "4a")
	for name, k := range map[string]struct {
		request, answer, looks string // how it looks; "": it is none
	}{
		"blocked polls":        {poll, answer(403, page, html), "403 text/html; charset=utf-8"},
		"blocked POSTs":        {say, answer(403, page, html), "403 text/html; charset=utf-8"},
		"a login":              {poll, answer(302, "", "Location: /login"), "302"},
		"a limiter":            {poll, answer(429, "slow down"), "429"},
		"a 400 of another":     {poll, answer(400, "Bad Request", "Content-Type: text/plain"), "400 text/plain"},
		"a page":               {poll, answer(200, page, html), "200 text/html; charset=utf-8"},
		"a page, compressed":   {poll, answer(200, "\x1f\x8b\b", html, "Content-Encoding: gzip"), "200 text/html; charset=utf-8"},
		"a page in pieces":     {poll, head(200, html, "Transfer-Encoding: chunked") + "1\r\n<\r\n4\r\nhtml\r\n0\r\n\r\n", "200 text/html; charset=utf-8"},
		"packets":              {poll, answer(200, "4a\x1e4b", "Content-Type: text/plain"), ""},
		"packets, compressed":  {poll, answer(200, "\x1f\x8b\b", "Content-Encoding: gzip", "Content-Type: text/plain; charset=UTF-8"), ""},
		"packets of EIO 3":     {poll, answer(200, "\x00\x02\xff4a", "Content-Type: application/octet-stream"), ""},
		"packets by JSONP":     {poll, answer(200, `___eio[0]("4a");`, "Content-Type: text/javascript"), ""},
		"a POST that is taken": {say, answer(200, "ok", "Content-Type: text/html"), ""},
		"a bad request":        {poll, answer(400, `{"code":3,"message":"Bad request"}`, "Content-Type: application/json"), ""},
		"a bad request's end":  {poll, answer(400, ""), ""},
		"one in Python":        {say, answer(400, `"Too many packets"`, "Content-Type: text/plain"), ""},
		"a large body":         {say, answer(413, ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { c.send(k.answer) })
			s, log := warned(t, withNodes(n))
			s.bind(aSID, n)
			for range 5 {
				raw(t, s.addr, k.request).answer()
			}
			if k.looks == "" {
				if f := s.Figures()["c1"].Nodes["n1"]; log.String() != "" || f.Errors != 0 {
					t.Errorf("%+v, and the log says %s", f, log.String())
				}
				return
			}
			s.once(log, "its Socket.IO server does not say that: does a rate limiter, a firewall or a login stand before it?", "node_errors", 1)
			want := "a node answers requests of its sessions with errors, as " + k.looks + ": its Socket.IO server does not say that:"
			if f := s.faults(); len(f) != 1 || !strings.HasPrefix(f[0].Text, want) {
				t.Errorf("remembered: %+v, not %s", f, want)
			}
			if f := s.Figures()["c1"].Nodes["n1"]; f.Errors != 5 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A node that is no more has no series, and what it still answers makes none.
func TestNodesThatAreGoneHaveNoSeries(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n1 := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.URL.Query().Get("hold") != "" {
			<-release
		}
		engine(aSID)(c, r)
	})
	n2 := startNode(t, "n2", engine("sid2"))
	c := cluster.New("c1", cluster.Settings{Nodes: configOf(n1)})
	s := startGateway(t, func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: c})
	})
	dial(t, s.addr).handshake(handshakeTarget)
	raw(t, s.addr, get(strings.Replace(pollTarget(aSID), "EIO=4", "EIO=3", 1))).answer()
	series := []string{"sidway_node_responses_total", "sidway_node_seconds", "sidway_local_responses_total"}
	for _, name := range series {
		if got := s.metric(name, "c1", "n1"); got != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
	poll, made := raw(t, s.addr, get(pollTarget(aSID)+"&hold=1")), raw(t, s.addr, get(handshakeTarget+"&hold=1"))
	eventually(t, "the requests are with the node", func() bool { return strings.Count(n1.received(), "hold=1") == 2 })
	c.Update(cluster.Settings{Nodes: configOf(n2)})
	s.reroute(gateway.Route{Path: "/socket.io/", Cluster: c, Store: s.store})
	close(release)
	poll.expect("", 200, "6")
	made.expect("", 200, openPacket(aSID))
	for _, name := range series {
		if got := s.metric(name, "n1"); got != 0 {
			t.Errorf("%s: %v of a node that is no more", name, got)
		}
	}
}

// The node's own time is what passes from the request to the head of its answer.
func TestNodesTimeForAHandshake(t *testing.T) {
	t.Parallel()
	const slow = 300 * time.Millisecond
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.URL.Path == "/socket.io/" {
			time.Sleep(slow)
		}
		engine(aSID)(c, r)
	})
	s := startGateway(t, withNodes(n))
	c := dial(t, s.addr)
	c.handshake(handshakeTarget)
	c.expect(get(pollTarget(aSID)), 200, "6")
	c.websocket(directTarget)
	for _, kind := range []string{"handshake", "direct_connect"} {
		if got := s.metric("sidway_node_seconds", "c1", "n1", kind); got != 1 {
			t.Errorf("%s: %v are observed", kind, got)
		}
	}
	if got := s.metric("sidway_node_seconds"); got != 2 {
		t.Errorf("%v are observed in all", got)
	}
	if sum := s.sum("sidway_node_seconds"); sum < 2*slow.Seconds() || sum > patience.Seconds() {
		t.Errorf("the nodes took %v s", sum)
	}
}

// sum returns what the histograms of a name have observed in all.
func (s *site) sum(name string) (sum float64) {
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return sum
}

func TestLiveSessionsThatANodeLosesAreTold(t *testing.T) {
	t.Parallel()
	cut := func(c *nodeConn, _ *nodeRequest) { c.cut() }
	for name, k := range map[string]struct {
		instead       answerer
		words, reason string
		local         float64 // answers made here
	}{
		"cut": {cut, "a node cuts connections of its live sessions, which end", "node_cuts", 4},
		"cut within an answer": {func(c *nodeConn, _ *nodeRequest) {
			c.send(head(200, "Content-Length: 100000") + strings.Repeat("4", 70000))
			c.cut()
		}, "a node cuts connections of its live sessions, which end", "node_cuts", 0},
		"refused": {nil, "a node refuses connections of its live sessions, which end", "node_refuses", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", faulty(always, k.instead))
			s, log := warned(t, withNodes(n))
			if k.instead == nil {
				n.l.Close()
			}
			for i := range 4 {
				if i == 2 && log.String() != "" {
					t.Errorf("told too soon: %s", log.String())
				}
				sid := fmt.Sprint("sid", i)
				s.bind(sid, n)
				raw(t, s.addr, get(pollTarget(sid), "Connection: close")).ended()
			}
			s.once(log, k.words, k.reason, 2)
			if !strings.Contains(log.String(), "cluster=c1 node=n1 address="+n.addr+" n=3") {
				t.Error(log.String())
			}
			if got := s.metric("sidway_local_responses_total", "c1", "n1", "session_gone"); got != k.local {
				t.Errorf("%v answers are counted, not %v", got, k.local)
			}
		})
	}
}

// A node that has served sessions does serve Socket.IO.
func TestANodeAtItsLimitIsNotAskedWhetherItServesSocketIO(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(t *testing.T, s *site){
		"it made a session": func(t *testing.T, s *site) { dial(t, s.addr).handshake(handshakeTarget) },
		"it made one on a WebSocket": func(t *testing.T, s *site) {
			c := dial(t, s.addr)
			c.websocket(directTarget)
			c.message()
		},
		"it answered a poll": func(t *testing.T, s *site) { dial(t, s.addr).expect(get(pollTarget(aSID)), 200, "6") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var full atomic.Bool
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if full.Load() {
					c.cut()
					return
				}
				engine(aSID)(c, r)
			})
			s, log := warned(t, withNodes(n))
			s.bind(aSID, n)
			use(t, s)
			full.Store(true)
			for range 3 {
				raw(t, s.addr, get(handshakeTarget)).answer()
			}
			if strings.Contains(log.String(), "does it serve Socket.IO") {
				t.Error(log.String())
			}
			s.once(log, "is its limit of descriptors or connections reached?", "node_cuts", 4)
		})
	}
}

// A node that takes long to answer POSTs is told of, and its time is a figure.
func TestLatePosts(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.Method == "POST" {
			time.Sleep(1100 * time.Millisecond)
		}
		plainly(c, r)
	})
	var log syncBuffer
	s := startGateway(t, withNodes(n), withLog(slog.New(slog.NewTextHandler(&log, nil))))
	var clients sync.WaitGroup
	told := func() int { return strings.Count(log.String(), "takes more than a second to answer POSTs") }
	for round := range 6 {
		for i := range 5 {
			sid := fmt.Sprint("late", i)
			s.bind(sid, n)
			clients.Go(func() {
				if status, _ := dial(t, s.addr).ask(post(sid, "4x")); status != 200 {
					t.Errorf("got %d", status)
				}
			})
		}
		clients.Wait()
		if round == 0 && told() > 0 {
			t.Error("told of one moment")
		}
	}
	if k := s.metric("sidway_setup_faults_total", "slow_node"); told() != 1 || k == 0 {
		t.Errorf("told %d times, counted %v", told(), k)
	}
}

// A node that takes long for new sessions is told of where the others do not: many clients that come at once make all nodes slow.
func TestLateHandshakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target string
		asks   []string
		slow   string // nodes
	}{
		"handshakes":      {handshakeTarget, nil, "n2"},
		"direct connects": {directTarget, asksWebSocket, "n2"},
		"most":            {handshakeTarget, nil, "n1 n2"},
		"all":             {handshakeTarget, nil, "n1 n2 n3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var made atomic.Int64
			var nodes []*scriptedNode
			for _, name := range []string{"n1", "n2", "n3"} {
				nodes = append(nodes, startNode(t, name, func(n *nodeConn, r *nodeRequest) {
					if strings.Contains(c.slow, name) {
						time.Sleep(1100 * time.Millisecond)
					}
					engine(fmt.Sprint("sid", made.Add(1)))(n, r)
				}))
			}
			s, log := warned(t, withNodes(nodes...))
			told := func() int {
				return strings.Count(log.String(), `a node takes more than a second to answer handshakes, and others do not: is it busy, or does its allowRequest wait for something?" cluster=c1 node=n`)
			}
			for round := range 6 {
				var clients []*rawClient
				for range 9 {
					clients = append(clients, raw(t, s.addr, get(c.target, c.asks...)))
				}
				for _, each := range clients {
					each.start("GET")
				}
				if round == 0 && told() > 0 {
					t.Error("told of one moment")
				}
			}
			want := 0
			if c.slow != "n1 n2 n3" {
				want = strings.Count(c.slow, "n")
			}
			if k := s.metric("sidway_setup_faults_total", "slow_node"); told() != want || k == 0 && want > 0 {
				t.Errorf("told %d times, counted %v: %s", told(), k, log.String())
			}
		})
	}
}

// A node that waits for the rest of a client's body is not slow.
func TestAnUploadIsNotTheNodesTime(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", plainly)
	s := startGateway(t, withNodes(n))
	s.bind(aSID, n)
	c := dial(t, s.addr)
	for _, k := range []struct {
		length int
		want   float64 // observed so far
	}{{road.Whole + 1, 0}, {road.Whole, 1}} {
		if status, _ := c.ask(post(aSID, strings.Repeat("4", k.length))); status != 200 {
			t.Fatalf("got %d", status)
		}
		if got := s.metric("sidway_node_seconds", "c1", "n1", "post"); got != k.want {
			t.Errorf("after %d bytes %v are observed, want %v", k.length, got, k.want)
		}
	}
}

// Sids of one client that nobody knows are told as that client's, whether their number is limited or not. The store may be to blame
// all the same, unless another replica's session was found in it.
func TestOneStranger(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 1000} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprint(limit, shared), func(t *testing.T) {
				t.Parallel()
				node := startNode(t, "n1", plainly)
				s, log := warned(t, withNodes(node), withStore(&wrapStore{Store: affinity.NewMemory(1000)}), withTrusted("127.0.0.0/8"),
					withLimits(func(l *gateway.Limits) { l.UnknownSIDs = limit }))
				c := dial(t, s.addr)
				if shared {
					s.bind(aSID, node)
					c.ask(get(pollTarget(aSID)))
				}
				n := 0
				ask := func(clients ...string) {
					for _, client := range clients {
						n++
						c.expect(get(pollTarget("never"+strconv.Itoa(n)), "X-Forwarded-For: "+client), 400, unknownSID)
					}
				}
				ask("192.0.2.1", "192.0.2.1")
				gateway.ExpectStrangers(s.Gateway)
				ask("192.0.2.1")
				s.once(log, "one client names many sessions that nobody knows: does it try sids?", "one_stranger", 1)
				if l := log.String(); !strings.Contains(l, "client=192.0.2.1") || strings.Contains(l, "all replicas share one Redis") == shared {
					t.Error(l)
				}
				ask("192.0.2.2", "192.0.2.3", "192.0.2.4")
				s.once(log, "many requests name sessions that nobody knows", "store", 2)
				if l := log.String(); strings.Contains(l, "though sessions of other replicas are found here") != shared {
					t.Error(l)
				}
			})
		}
	}
}
