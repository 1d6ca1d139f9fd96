package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// tables is a node whose sessions stand in several tables, as if it were several servers, or one after the other.
type tables struct {
	mu    sync.Mutex
	table int            // that requests meet
	in    map[string]int // where each session stands
	lines []string       // of each answer
}

// meet has the requests that come from now on meet one of the tables.
func (n *tables) meet(table int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.table = table
}

func (n *tables) answer(c *nodeConn, r *nodeRequest) {
	sid := r.URL.Query().Get("sid")
	n.mu.Lock()
	if n.in == nil {
		n.in = map[string]int{}
	}
	table, known := n.in[sid]
	known = known && table == n.table
	if sid == "" {
		sid = fmt.Sprint("session", len(n.in))
		n.in[sid] = n.table
		known = true
	}
	n.mu.Unlock()
	switch {
	case known && !strings.Contains(r.Head, "sid="):
		c.send(answer(200, openPacket(sid), n.lines...))
	case known:
		c.send(answer(200, "6", n.lines...))
	case r.Header.Get("Upgrade") != "":
		c.send(answer(400, "Session ID unknown", "Connection: close"))
	default:
		c.send(answer(400, unknownSID, n.lines...))
	}
}

// past waits until what begins now is later than all that has been, in ms.
func past(t *testing.T) {
	began := time.Now().UnixMilli()
	eventually(t, "a millisecond has passed", func() bool { return time.Now().UnixMilli() > began+1 })
}

const severalServers = "several servers answer at the address of a node: it knows some of its sessions and not others, and was not started anew. Write each server as a node of its own"

// A node that knows a session, and none that is younger, is several servers.
func TestANodeThatIsSeveralServersIsTold(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		lines []string
		says  string
	}{
		"connections are kept": {nil, severalServers + ", or, if they are cluster workers behind @socket.io/sticky, set keep_alive: false"},
		"each on its own":      {[]string{"Connection: close"}, severalServers},
	} {
		several := &tables{lines: k.lines}
		n := startNode(t, "n1", several.answer)
		s, log := warned(t, withNodes(n))
		c := dial(t, s.addr)
		several.meet(1)
		first := c.handshake(handshakeTarget)
		for i := range 4 {
			past(t)
			several.meet(2)
			sid := c.handshake(handshakeTarget)
			several.meet(1)
			if i == 2 && log.String() != "" {
				t.Errorf("%s: told after two sessions: %s", name, log.String())
			}
			c.expect(get(pollTarget(sid)), 400, unknownSID)
			c.expect(get(pollTarget(first)), 200, "6")
		}
		s.once(log, `msg="`+k.says+`" cluster=c1 node=n1 address=`+n.addr, "balanced_node", 2)
	}
}

// What this replica has caused by standing still is no node's fault.
func TestAReplicaThatStoodStillBlamesNoNode(t *testing.T) {
	t.Parallel()
	several := &tables{}
	s, log := warned(t, withNodes(startNode(t, "n1", several.answer)))
	s.StoodStill()
	c := dial(t, s.addr)
	for range 7 {
		past(t)
		several.meet(2)
		sid := c.handshake(handshakeTarget)
		several.meet(1)
		c.expect(get(pollTarget(sid)), 400, unknownSID)
	}
	if log.String() != "" {
		t.Error(log.String())
	}
}

// A node that has got another address by a reload does not know what was made at the former one, and is not blamed for it.
func TestANodeWithAnotherAddressIsNotBlamed(t *testing.T) {
	t.Parallel()
	before, after := &tables{}, &tables{}
	first, second := startNode(t, "n1", before.answer), startNode(t, "n1", after.answer)
	s, log := warned(t, withNodes(first))
	c := dial(t, s.addr)
	var sids []string
	for range 7 {
		past(t)
		sids = append(sids, c.handshake(handshakeTarget))
	}
	s.clusters[0].Update(cluster.Settings{Nodes: []cluster.Config{{Name: "n1", Address: second.addr, Weight: 1, TLS: nodeTLS()}}})
	for _, sid := range sids {
		c.expect(get(pollTarget(sid)), 400, unknownSID)
	}
	if log.String() != "" {
		t.Error(log.String())
	}
}

// Where polls meet the right server, since their connection is kept, upgrades do not, which have one of their own.
func TestSeveralServersAreFoundByUpgrades(t *testing.T) {
	t.Parallel()
	several := &tables{}
	s, log := warned(t, withNodes(startNode(t, "n1", several.answer)))
	for range 4 {
		c := dial(t, s.addr)
		several.meet(1)
		sid := c.handshake(handshakeTarget)
		past(t)
		several.meet(2)
		raw(t, s.addr, get(upgradeTarget(sid), asksWebSocket...)).expect("", 400, "Session ID unknown")
		several.meet(1)
		c.expect(get(pollTarget(sid)), 200, "6")
	}
	s.once(log, severalServers+`" cluster=c1`, "balanced_node", 2)
}

// A node that is started anew again and again has cut what was open, and knows nothing that is older.
func TestANodeThatIsStartedAnewIsTold(t *testing.T) {
	t.Parallel()
	again := &tables{}
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.Method == "POST" {
			c.cut()
			return
		}
		again.answer(c, r)
	})
	s, log := warned(t, withNodes(n))
	c := dial(t, s.addr)
	for i := range 4 {
		open, sid := c.handshake(handshakeTarget), c.handshake(handshakeTarget)
		c.ask(post(open, "4x")) // which is lost
		again.meet(1 + i)
		past(t)
		c.expect(get(pollTarget(sid)), 400, unknownSID)
	}
	s.once(log, `a node was started anew: it cut or refused connections, and knows none of its sessions from before. See its log for why it ended, and drain it before you restart it" cluster=c1 node=n1`, "restarted_node", 2)
	if f := s.metric("sidway_setup_faults_total", "forgetful_node") + s.metric("sidway_setup_faults_total", "balanced_node"); f > 0 {
		t.Errorf("%v times told otherwise", f)
	}
}

// A poll whose client leaves ends its session at the node. Where the client is there with the next one, something between has cut it.
func TestPollsThatAreGivenUpAreTold(t *testing.T) {
	t.Parallel()
	node := &tables{}
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.Method == "GET" && strings.Contains(r.Head, "sid=") && strings.Contains(r.Head, "waits") {
			<-c.gone
			return
		}
		node.answer(c, r)
	})
	s, log := warned(t, withNodes(n))
	c := dial(t, s.addr)
	for i := range 4 {
		node.meet(1)
		sid := c.handshake(handshakeTarget)
		cut := raw(t, s.addr, get(pollTarget(sid)+"&waits=1"))
		eventually(t, "the node has the poll", func() bool { return strings.Count(n.received(), "waits=1") == i+1 })
		cut.Close()
		eventually(t, "its end is seen", func() bool { return s.metric("sidway_requests_aborted_total") == float64(i+1) })
		past(t)
		node.meet(2)
		c.expect(get(pollTarget(sid)), 400, unknownSID)
	}
	s.once(log, `polls that wait are given up from the client's side, which ends their sessions at the node: a proxy in front has too short a timeout. It must exceed pingInterval + pingTimeout (45 s)"`, "proxy_timeout", 2)
}

// Sessions that are made here are known, and those of another replica are not.
func TestANodeThatHasAnotherAddressElsewhereIsTold(t *testing.T) {
	t.Parallel()
	node := &tables{}
	n := startNode(t, "n1", node.answer)
	s, log := warned(t, withNodes(n), withTrails(true, gateway.Trail{Made: time.Now()}))
	c := dial(t, s.addr)
	for i := range 5 {
		sid := fmt.Sprint("other", i)
		s.bind(sid, n)
		c.expect(get(pollTarget(sid)), 400, unknownSID)
		s.judged()
		c.expect(get(pollTarget(c.handshake(handshakeTarget))), 200, "6")
	}
	s.once(log, `a node does not know sessions that another replica made on a node of that name: the two have different addresses for it. Compare their settings" cluster=c1 node=n1`, "node_list", 2)
}

// What another replica has seen of a session tells why its node does not know it: a poll that was given up, its end, or a handshake so long ago that
// a pong may have been missed since. Such a session is no sign against the address of the node.
func TestAnotherReplicaKnowsWhyASessionIsUnknown(t *testing.T) {
	t.Parallel()
	began := time.Now()
	poll := func(at time.Time, status int) gateway.Trail {
		return gateway.Trail{Made: began, Requests: []gateway.TrailRequest{{At: at, Kind: "poll", Status: status}}}
	}
	for name, k := range map[string]struct {
		whole  bool // all replicas have answered
		trail  gateway.Trail
		reason string
		count  float64
	}{
		"given up":            {true, poll(began, 499), "proxy_timeout", 5},
		"given up for it":     {true, poll(began.Add(time.Hour), 499), "balanced_node", 5},
		"answered":            {true, poll(began, 200), "balanced_node", 5},
		"closed":              {true, gateway.Trail{Made: began, Ended: began, End: "its node closed it"}, "", 0},
		"unknown there too":   {true, gateway.Trail{Made: began, Ended: began, End: "its node did not know it any more"}, "balanced_node", 5},
		"old":                 {true, gateway.Trail{Made: began.Add(-46 * time.Second)}, "", 0},
		"not all have spoken": {false, poll(began, 200), "", 0},
	} {
		several := &tables{}
		s, log := warned(t, withNodes(startNode(t, "n1", several.answer)), withTrails(k.whole, k.trail))
		c := dial(t, s.addr)
		several.meet(1)
		first := c.handshake(handshakeTarget)
		for range 7 {
			past(t)
			several.meet(2)
			sid := c.handshake(handshakeTarget)
			several.meet(1)
			c.expect(get(pollTarget(sid)), 400, unknownSID)
			s.judged()
			c.expect(get(pollTarget(first)), 200, "6")
		}
		f := s.faults()
		if k.reason == "" && len(f) > 0 || k.reason != "" && (len(f) != 1 || f[0].Reason != k.reason || s.metric("sidway_setup_faults_total", "c1", k.reason) != k.count) {
			t.Errorf("%s: %+v, and the log:\n%s", name, f, log.String())
		}
	}
}

// withTrails has another replica remember this of each session, and whole tells whether all have answered.
func withTrails(whole bool, trail gateway.Trail) siteOption {
	return func(o *siteOptions) {
		o.trails = func(context.Context, string, string) ([]gateway.Trail, bool) { return []gateway.Trail{trail}, whole }
	}
}

// judged waits until no other replica is asked any more.
func (s *site) judged() {
	eventually(s.t, "the others have been asked", func() bool { return gateway.Asking(s.Gateway) == 0 })
}

// Sessions that are old enough to have missed a pong, of clients that polled a moment ago, are told of where they are most of what is made, and keep
// coming. A node that was away, and clients that slept, are not meant.
func TestMissedPongsAreFound(t *testing.T) {
	const silence = 5500 * time.Millisecond
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, k := range map[string]struct {
		age, idle, every time.Duration // of the session, since its last poll, and between two that are unknown
		made             int64         // with each of them
		fell             bool
		found            int // with so many of 12
	}{
		"late":         {5600 * time.Millisecond, time.Second, 2 * time.Second, 1, false, 7},
		"older":        {time.Hour, time.Second, 2 * time.Second, 1, false, 6},
		"too young":    {5400 * time.Millisecond, time.Second, 2 * time.Second, 1, false, 0},
		"all at once":  {5600 * time.Millisecond, time.Second, 100 * time.Millisecond, 1, false, 0},
		"slept":        {time.Hour, time.Minute, 2 * time.Second, 1, false, 0},
		"few of many":  {5600 * time.Millisecond, time.Second, 2 * time.Second, 9, false, 0},
		"the node cut": {5600 * time.Millisecond, time.Second, 2 * time.Second, 1, true, 0},
	} {
		var f gateway.Forgetting
		if k.fell {
			f.Fell(noon)
		}
		found := 0
		for i := range 12 {
			now := noon.Add(time.Duration(i) * k.every)
			if f.Forgot(now, now.Add(-k.age), now.Add(-k.idle), int64(i+1)*k.made, silence) && found == 0 {
				found = i + 1
			}
		}
		if found != k.found {
			t.Errorf("%s: found with %d, not %d", name, found, k.found)
		}
	}
}

// What nothing else explains is told later, and so.
func TestANodeThatKnowsNothingIsTold(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", forgetful())
	s, log := warned(t, withNodes(n))
	c := dial(t, s.addr)
	for i := range 8 {
		sid := c.handshake(handshakeTarget)
		if i == 5 && log.String() != "" {
			t.Errorf("told after five sessions: %s", log.String())
		}
		c.expect(get(pollTarget(sid)), 400, unknownSID)
	}
	if f := s.faults(); len(f) != 1 || f[0].Reason != "forgetful_node" {
		t.Errorf("faults: %+v", f)
	}
	s.once(log, `a node knows none of the sessions that it made, and was not away: servers take turns behind its address, or it keeps no session. Write each server as a node of its own" cluster=c1 node=n1 address=`+n.addr, "forgetful_node", 3)
}
