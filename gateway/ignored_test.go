package gateway_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

// swallowers is two nodes behind proxies that may swallow requests with Upgrade, and let the others through.
type swallowers struct {
	*site
	log       *syncBuffer
	swallows  [2]atomic.Bool
	swallowed [2]atomic.Int64
}

func startSwallowers(t *testing.T) *swallowers {
	w := &swallowers{}
	var made atomic.Int64
	node := func(i int) *scriptedNode {
		return startNode(t, fmt.Sprintf("n%d", i+1), func(c *nodeConn, r *nodeRequest) {
			if w.swallows[i].Load() && r.Header.Get("Upgrade") != "" {
				w.swallowed[i].Add(1)
				silent(c, r)
				return
			}
			engine(fmt.Sprint("sid", made.Add(1)))(c, r)
		})
	}
	n1, n2 := node(0), node(1)
	w.site, w.log = warned(t, withNodes(n1, n2), withLimits(func(l *gateway.Limits) { l.HandshakeTime = time.Second }))
	w.bind("on-n1", n1)
	w.bind("on-n2", n2)
	return w
}

// leaveAll has twelve clients ask for a WebSocket, of which every second one comes to either node, and leave when they have waited for long, while the
// nodes answer others.
func (w *swallowers) leaveAll() {
	w.t.Helper()
	polls := dial(w.t, w.addr)
	var all []*rawClient
	for range 12 {
		all = append(all, raw(w.t, w.addr, get(directTarget, asksWebSocket...)))
	}
	for i := range w.swallows {
		eventually(w.t, "half of them are with the node", func() bool { return !w.swallows[i].Load() || w.swallowed[i].Load() == 6 })
	}
	for end := time.Now().Add(1200 * time.Millisecond); time.Now().Before(end); {
		polls.expect(get(pollTarget("on-n1")), 200, "6")
		polls.expect(get(pollTarget("on-n2")), 200, "6")
	}
	for _, c := range all {
		c.Close()
	}
}

// With the fewest sessions, a node that answers no WebSocket would get all clients that speak WebSocket alone, again and again.
func TestANodeThatAnswersNoWebSocketIsAvoided(t *testing.T) {
	t.Parallel()
	w := startSwallowers(t)
	w.swallows[1].Store(true)
	w.leaveAll()
	eventually(t, "it is told", func() bool { return w.metric("sidway_setup_faults_total", "c1", "unanswered_websockets") == 4 })
	w.once(w.log, `a node does not answer WebSockets, clients in a row left before an answer: does a proxy or a firewall before it swallow requests with Upgrade, or does its allowRequest hang?" cluster=c1 node=n2`, "unanswered_websockets", 4)
	if f := w.faults(); len(f) != 1 || f[0].Subject != "n2" || !strings.HasPrefix(f[0].Text, "a node does not answer WebSockets, 6 clients in a row left before an answer: does") {
		t.Errorf("%+v", f)
	}
	for range 8 {
		dial(t, w.addr).websocket(directTarget)
	}
	if n := w.swallowed[1].Load(); n != 6 {
		t.Errorf("%d more came to the node", n-6)
	}

	w.swallows[1].Store(false)
	dial(t, w.addr).websocket(upgradeTarget("on-n2"))
	eventually(t, "its end is told", func() bool {
		return strings.Count(w.log.String(), `level=INFO msg="a node answers WebSockets again" cluster=c1 node=n2`) == 1
	})
	eventually(t, "the session is on the node", func() bool { return w.sessions()["n2"] == 1 })
	dial(t, w.addr).websocket(directTarget)
	eventually(t, "the node gets new ones", func() bool { return w.sessions()["n2"] == 2 })
}

// Where no node answers WebSockets in time, none is avoided: the last one that is slow would get them all.
func TestNodesOfWhichNoneAnswersWebSocketsAreNotAvoided(t *testing.T) {
	t.Parallel()
	w := startSwallowers(t)
	for i := range w.swallows {
		w.swallows[i].Store(true)
	}
	w.leaveAll()
	eventually(t, "both are told of", func() bool { return w.metric("sidway_setup_faults_total", "c1", "unanswered_websockets") == 8 })
	for range 4 {
		raw(t, w.addr, get(directTarget, asksWebSocket...))
	}
	for i := range w.swallowed {
		eventually(t, "half of them are with the node", func() bool { return w.swallowed[i].Load() == 8 })
	}
}
