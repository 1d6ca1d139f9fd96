package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// apart are two replicas before the same nodes, the second of which cannot ask the store.
func apart(t *testing.T, options ...siteOption) (made, away *site, store *wrapStore, nodes []*engineiotest.Node) {
	t.Helper()
	for range 3 {
		nodes = append(nodes, engineiotest.Start(t, engineiotest.Options{}))
	}
	store = &wrapStore{Store: affinity.NewMemory(100)}
	store.set(true)
	made = startGateway(t, withEngines(nodes...))
	away = startGateway(t, append([]siteOption{withEngines(nodes...), withStore(store)}, options...)...)
	return made, away, store, nodes
}

// A replica that cannot ask the store finds the sessions of others: polls, POSTs, and upgrades once it knows what the nodes make.
func TestSessionsAreFoundAtTheNodes(t *testing.T) {
	t.Parallel()
	made, away, _, nodes := apart(t)
	dial(t, away.addr).handshake(handshakeTarget)
	for i := range 6 {
		sid := dial(t, made.addr).handshake(handshakeTarget)
		if i%2 == 0 {
			dial(t, away.addr).expect(post(sid, "4hello"), 200, "ok")
		}
		dial(t, away.addr).websocket(upgradeTarget(sid))
		dial(t, away.addr).expect(post(sid, "4again"), 200, "ok")
		for _, n := range nodes {
			if m := n.Messages(sid); len(m) > 0 && m[len(m)-1] != "again" {
				t.Errorf("the node got %q", m)
			}
			if n.Ended(sid) != "" {
				t.Errorf("the node has ended it: %s", n.Ended(sid))
			}
		}
	}
	if n := away.metric("sidway_searches_total", "found"); n < 6 {
		t.Errorf("%v were found", n)
	}
}

// Where sessions end with their tokens, those are found whose requests bring one.
func TestSessionsAreFoundByTheirTokens(t *testing.T) {
	t.Parallel()
	for name, method := range methods {
		i, node := newIssuer(t), engineiotest.Start(t, engineiotest.Options{})
		rule, store := i.rule("header:Authorization"), &wrapStore{Store: affinity.NewMemory(100)}
		store.set(true)
		made := startGateway(t, withEngines(node), withAuth(rule))
		away := startGateway(t, withEngines(node), withAuth(rule), withStore(store), withLimits(func(l *gateway.Limits) { l.QueueTime = 300 * time.Millisecond }))
		ends := time.Now().Add(time.Hour)
		bearer := func(ends time.Time) string { return "Authorization: Bearer " + i.token(method, "me", ends) }
		handshake := func(s *site) string {
			c := dial(t, s.addr)
			c.send(get(handshakeTarget, bearer(ends)))
			return sidInPacket.FindStringSubmatch(c.answer().Text)[1]
		}
		handshake(away)
		sid := handshake(made)
		say := func(lines ...string) string {
			return request("POST", postTarget(sid), "4a", append(lines, "Content-Length: 2")...)
		}
		for _, lines := range [][]string{nil, {bearer(time.Now().Add(-time.Hour))}} {
			if status, _ := dial(t, away.addr).ask(say(lines...)); status != 503 {
				t.Errorf("%s: without a good token: %d", name, status)
			}
		}
		dial(t, away.addr).expect(say(bearer(ends)), 200, "ok")
		if n := away.metric("sidway_searches_total", "found"); n != 1 {
			t.Errorf("%s: %v were found", name, n)
		}
		if b, err := store.Store.Lookup(t.Context(), sid); err != nil || b.Ends != ends.Unix() {
			t.Errorf("%s: it is bound until %d", name, b.Ends)
		}
	}
}

// What is found is bound, so that the nodes are asked once.
func TestFoundSessionsAreBound(t *testing.T) {
	t.Parallel()
	made, away, store, nodes := apart(t)
	dial(t, away.addr).handshake(handshakeTarget)
	sid := dial(t, made.addr).handshake(handshakeTarget)
	c := dial(t, away.addr)
	c.expect(post(sid, "4a"), 200, "ok")
	store.set(false)
	_, before := store.counts()
	for range 10 {
		c.expect(post(sid, "4b"), 200, "ok")
	}
	if _, after := store.counts(); after-before != 10 || away.metric("sidway_searches_total", "found") != 1 {
		t.Errorf("%d look-ups, %v searches", after-before, away.metric("sidway_searches_total", "found"))
	}
	b, err := store.Store.Lookup(t.Context(), sid)
	if err != nil || b.Version != 4 || b.MaxPayload == 0 {
		t.Errorf("bound as %+v, %v", b, err)
	}
	for i, n := range nodes {
		if on := fmt.Sprintf("n%d", i+1); (len(n.Messages(sid)) > 0) != (on == b.Node) {
			t.Errorf("%s has its messages, and it is bound to %s", on, b.Node)
		}
	}
}

// A sid that no node has is unknown, though the store cannot say so; where a node cannot be asked, it may have it.
func TestSearchInVain(t *testing.T) {
	t.Parallel()
	made, away, _, nodes := apart(t, withLimits(func(l *gateway.Limits) { l.QueueTime = 300 * time.Millisecond }))
	sid := dial(t, made.addr).handshake(handshakeTarget)
	strange := strings.Repeat("x", len(sid))
	dial(t, away.addr).expect(get(pollTarget(strange)), 400, `{"code":1,"message":"Session ID unknown"}`)
	for i, n := range nodes {
		if asked := len(n.Requests()); asked == 0 {
			t.Errorf("n%d was not asked", i+1)
		}
	}
	for _, n := range nodes {
		if len(n.Sessions()) == 0 { // refused: its sessions are gone with it
			n.Down()
			break
		}
	}
	dial(t, away.addr).expect(post(sid, "4hello"), 200, "ok")
	dial(t, away.addr).expect(get(pollTarget(strange)), 400, `{"code":1,"message":"Session ID unknown"}`)
	odd := startGateway(t, withNodes(startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { c.send(answer(404, "what?")) })),
		withStore(&wrapStore{Store: affinity.NewMemory(1), away: true}), withLimits(func(l *gateway.Limits) { l.QueueTime = 300 * time.Millisecond }))
	if status, _ := dial(t, odd.addr).ask(get(pollTarget(strange))); status != 503 {
		t.Errorf("a node that says neither yes nor no: %d", status)
	}
}

// What a node may have read is not sent to it again.
func TestSearchSendsNothingTwice(t *testing.T) {
	t.Parallel()
	var nodes []*scriptedNode
	for i := range 4 {
		nodes = append(nodes, startNode(t, fmt.Sprintf("n%d", i+1), func(c *nodeConn, r *nodeRequest) {
			readAll(r)
			c.Close()
		}))
	}
	away := startGateway(t, withNodes(nodes...), withStore(&wrapStore{Store: affinity.NewMemory(1), away: true}))
	if status, text := dial(t, away.addr).ask(post("sid1", "4hello")); status != 400 {
		t.Errorf("answered %d %q", status, text)
	}
	for i, n := range nodes {
		if posts := strings.Count(n.received(), "POST "); posts != 1 {
			t.Errorf("node %d received %d POSTs", i+1, posts)
		}
	}
}

// A node that dies while it is asked does not end the session, which another one has.
func TestSearchOutlivesANode(t *testing.T) {
	t.Parallel()
	var nodes []*scriptedNode
	for i := range 4 {
		nodes = append(nodes, startNode(t, fmt.Sprintf("n%d", i+1), func(c *nodeConn, r *nodeRequest) {
			readAll(r)
			switch {
			case i < 3:
			case r.Method == "POST":
				c.send(answer(200, "ok"))
			default:
				c.send(answer(200, "6"))
			}
			c.Close()
		}))
	}
	away := startGateway(t, withNodes(nodes...), withStore(&wrapStore{Store: affinity.NewMemory(1), away: true}))
	for i := range 10 { // the nodes are asked in any order
		dial(t, away.addr).expect(get(pollTarget(fmt.Sprint("sid", i))), 200, "6")
		dial(t, away.addr).expect(post(fmt.Sprint("sid", i), "4hello"), 200, "ok")
	}
}

// A drain does not end a session that is looked for at the drained node: it may live elsewhere.
func TestDrainLeavesASearch(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) { <-c.gone })
	away := startGateway(t, withNodes(node), withStore(&wrapStore{Store: affinity.NewMemory(1), away: true}))
	dial(t, away.addr).send(get(pollTarget("sid")))
	eventually(t, "the node is asked", func() bool { return away.metric("sidway_leases", "n1") == 1 })
	if n := away.EndSessions(away.clusters[0].Node("n1"), 1, cluster.Drain); n != 0 {
		t.Errorf("%d sessions were ended", n)
	}
}

// Some requests are not asked about: they wait for the store.
func TestWhatIsNotSearched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request string
		makes   bool // the replica has seen a handshake
		option  siteOption
	}{
		"an upgrade, before a handshake was seen": {request: get(upgradeTarget("sid1"), asksWebSocket...)},
		"an upgrade of another revision":          {makes: true, request: get(strings.Replace(upgradeTarget("sid1"), "EIO=4", "EIO=3", 1), asksWebSocket...)},
		"a sid that no node makes":                {makes: true, request: get(pollTarget("another"))},
		"a form where JSONP is not said":          {makes: true, request: post("sid1", "d=42")},
		"a session that ends with its token":      {request: get(pollTarget("sid1")), option: withAuth(&gateway.Auth{Gate: untilGate(0)})},
	} {
		n := startNode(t, "n1", engine("sid1"))
		options := []siteOption{withNodes(n), withStore(&wrapStore{Store: affinity.NewMemory(1), away: true}), withLimits(func(l *gateway.Limits) { l.QueueTime = 200 * time.Millisecond })}
		if c.option != nil {
			options = append(options, c.option)
		}
		g := startGateway(t, options...)
		want := 0
		if c.makes {
			dial(t, g.addr).handshake(strings.Replace(handshakeTarget, "sid1", "sid2", 1))
			want = 1
		}
		dial(t, g.addr).ask(c.request)
		if got := strings.Count(n.received(), " HTTP/1.1\r\n"); got != want {
			t.Errorf("%s: the node received %d requests, want %d", name, got, want)
		}
	}
}

// The nodes are asked no more often than limits.unknown_sids allows.
func TestSearchesAreLimited(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		c.send(answer(400, `{"code":1,"message":"Session ID unknown"}`))
	})
	g := startGateway(t, withNodes(n), withStore(&wrapStore{Store: affinity.NewMemory(1), away: true}),
		withLimits(func(l *gateway.Limits) { l.UnknownSIDs = 8 }))
	var clients []*rawClient
	for range 60 {
		clients = append(clients, raw(t, g.addr, get(pollTarget("sid1"))))
	}
	answers := map[int]int{}
	for _, c := range clients {
		answers[c.answer().StatusCode]++
	}
	if asked := strings.Count(n.received(), "GET "); asked == 0 || asked > 20 || answers[400] != asked || answers[429] != 60-asked {
		t.Errorf("the node was asked %d times, and clients got %v", asked, answers)
	}
}

// While a replica is missing, or it is not known whether one is, the store's word that it does not know a sid is not enough.
func TestSessionsOfAMissingReplica(t *testing.T) {
	t.Parallel()
	nodes := []*engineiotest.Node{engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})}
	var missing atomic.Pointer[[]string]
	made, other := startGateway(t, withEngines(nodes...)), startGateway(t, withEngines(nodes...), func(o *siteOptions) {
		o.missing = func() ([]string, bool) {
			if names := missing.Load(); names != nil {
				return *names, true
			}
			return nil, false
		}
	})
	sid := dial(t, made.addr).handshake(handshakeTarget)
	dial(t, other.addr).expect(post(sid, "4a"), 400, `{"code":1,"message":"Session ID unknown"}`)
	missing.Store(&[]string{})
	dial(t, other.addr).expect(post(sid, "4a"), 200, "ok")
	if f := other.faults(); len(f) != 0 {
		t.Errorf("faults although nobody is missing: %+v", f)
	}
	missing.Store(&[]string{"gw2"})
	dial(t, other.addr).expect(post(sid, "4a"), 200, "ok")
	if f := other.faults(); len(f) != 1 || f[0].Reason != "cut_off_replica" || f[0].Subject != "gw2" || !strings.HasPrefix(f[0].Text, "a replica lives, but") {
		t.Errorf("faults: %+v", f)
	}
	missing.Store(nil)
	dial(t, other.addr).expect(post(strings.Repeat("x", len(sid)), "4a"), 400, `{"code":1,"message":"Session ID unknown"}`)
}

// A client whose session only this replica knows learns of it when the others look for such sessions, and at once where there are no others, or the
// store has been told.
func TestHandshakesWaitToBeMissed(t *testing.T) {
	t.Parallel()
	const wait = 300 * time.Millisecond
	for _, c := range []struct {
		away, alone, waits bool
	}{{true, false, true}, {true, true, false}, {false, false, false}} {
		at := time.Now().Add(time.Hour)
		if c.alone {
			at = time.Time{}
		}
		if c.waits {
			at = time.Now().Add(wait)
		}
		g := startGateway(t, withEngines(engineiotest.Start(t, engineiotest.Options{})), withStore(&wrapStore{Store: affinity.NewMemory(1), away: c.away}),
			func(o *siteOptions) { o.missed = func() time.Time { return at } })
		dial(t, g.addr).handshake(handshakeTarget)
		if c.waits && time.Now().Before(at) {
			t.Errorf("%+v: the client knows its sid %v too soon", c, time.Until(at))
		}
	}
}

// A node that stands still does not keep a session from the one that has it.
func TestSearchGoesOnBesideSilentNodes(t *testing.T) {
	t.Parallel()
	made, away, _, nodes := apart(t)
	posts, owner, others := madeBy(t, made, nodes)
	polls, _, _ := madeBy(t, made, []*engineiotest.Node{owner})
	var release []func()
	for _, n := range others {
		release = append(release, n.Hold())
	}
	dial(t, away.addr).expect(post(posts, "4hello"), 200, "ok")
	poll := dial(t, away.addr)
	poll.send(get(pollTarget(polls)))
	owner.WaitUntil("the poll comes", func() bool { return owner.Polling(polls) })
	owner.Send(polls, "hello")
	if a := poll.answer(); a.StatusCode != 200 || a.Text != "4hello" {
		t.Errorf("answered %d %q", a.StatusCode, a.Text)
	}
	for _, f := range release {
		f()
	}
	eventually(t, "all others are let go of", func() bool { return away.metric("sidway_leases") == 0 })
}

// A silent node that has the session is waited for, when the others have said that they do not know it. It is sent the request once.
func TestSearchGoesBackToASilentNode(t *testing.T) {
	t.Parallel()
	made, away, _, nodes := apart(t)
	sid, owner, others := madeBy(t, made, nodes)
	release := owner.Hold()
	c := dial(t, away.addr)
	c.send(post(sid, "4hello"))
	for _, n := range append(others, owner) {
		n.WaitUntil("it is asked", func() bool { return asked(n, sid) == 1 })
	}
	release()
	if a := c.answer(); a.StatusCode != 200 || a.Text != "ok" {
		t.Errorf("answered %d %q", a.StatusCode, a.Text)
	}
	if m := owner.Messages(sid); !slices.Equal(m, []string{"hello"}) || asked(owner, sid) != 1 {
		t.Errorf("the node got %q in %d requests", m, asked(owner, sid))
	}

	// One that never answers is let go of with its client.
	sid, owner, _ = madeBy(t, made, nodes)
	defer owner.Hold()()
	c = dial(t, away.addr)
	c.send(get(pollTarget(sid)))
	for _, n := range nodes {
		n.WaitUntil("it is asked", func() bool { return asked(n, sid) == 1 })
	}
	c.Close()
	eventually(t, "all are let go of", func() bool { return away.metric("sidway_leases") == 0 })
}

// madeBy has a session made by one of the nodes and returns that and the others.
func madeBy(t *testing.T, g *site, nodes []*engineiotest.Node) (sid string, owner *engineiotest.Node, others []*engineiotest.Node) {
	t.Helper()
	for owner == nil {
		sid, others = dial(t, g.addr).handshake(handshakeTarget), nil
		for _, n := range nodes {
			if slices.Contains(n.Sessions(), sid) {
				owner = n
			} else {
				others = append(others, n)
			}
		}
	}
	return sid, owner, others
}

// asked is how many requests of a session a node has received.
func asked(n *engineiotest.Node, sid string) (count int) {
	for _, r := range n.Requests() {
		if strings.Contains(r.Target, "sid="+sid) {
			count++
		}
	}
	return count
}
