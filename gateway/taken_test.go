package gateway_test

import (
	"sync"
	"testing"

	"github.com/sidway/sidway/affinity"
)

// Two nodes hand out the same sid. The first keeps it, through any replica; the second client gets no session, since its
// requests would reach the first one's.
func TestTheSecondNodeOfASIDIsRefused(t *testing.T) {
	t.Parallel()
	for name, chunked := range map[string]bool{"in one piece": false, "in chunks": true} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var told []string
			withOnTaken := func(o *siteOptions) {
				o.routes[0].OnTaken = func(refused, node string) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, refused+" "+node)
				}
			}
			answerBy := func(c *nodeConn, r *nodeRequest) {
				if r.URL.Query().Get("sid") == "" && chunked {
					c.send(head(200, "Transfer-Encoding: chunked") + inChunks(openPacket(aSID), 9))
					return
				}
				engine(aSID)(c, r)
			}
			store := affinity.NewMemory(100)
			first, second := startNode(t, "n1", answerBy), startNode(t, "n2", answerBy)
			a := startGateway(t, withStore(store), withNodes(first))
			b := startGateway(t, withStore(store), withNodes(first, second), withOnTaken)
			if sid := dial(t, a.addr).handshake(handshakeTarget); sid != aSID {
				t.Fatal(sid)
			}
			// Which of the two nodes is tried first is the cluster's choice; the first may give its sid again.
			for second.wholeRequests() == 0 {
				c := dial(t, b.addr)
				c.send(get(handshakeTarget))
				if r := c.answer(); second.wholeRequests() > 0 && r.StatusCode != 502 {
					t.Errorf("the second handshake got %d %q", r.StatusCode, r.Text)
				}
			}
			for _, s := range []*site{a, b} {
				dial(t, s.addr).expect(get(pollTarget(aSID)), 200, "6")
			}
			if n := second.wholeRequests(); n != 1 {
				t.Errorf("%d requests reached the second node", n)
			}
			if got := b.sessions(); got["n2"] != 0 {
				t.Errorf("sessions: %v", got)
			}
			if n := b.metric("sidway_handshakes_total", "refused"); n != 1 {
				t.Errorf("%v handshakes were refused", n)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(told) != 1 || told[0] != "n2 n1" {
				t.Errorf("told %q", told)
			}
		})
	}
}
