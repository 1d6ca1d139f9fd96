package gateway_test

import (
	"bytes"
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/affinity"
)

// witness is a Store that tells which goroutines unbind, and that does not unbind blocked sids until it is let. Its node knows none.
type witness struct {
	*affinity.Memory
	mu        sync.Mutex
	unbinders map[string]bool
	asked     chan struct{}
	let       chan struct{}
}

func newWitness() *witness {
	return &witness{Memory: affinity.NewMemory(1000), unbinders: map[string]bool{}, asked: make(chan struct{}), let: make(chan struct{})}
}

func (w *witness) Unbind(ctx context.Context, sid string) error {
	id, _, _ := bytes.Cut(stackHead(), []byte(" ["))
	w.mu.Lock()
	w.unbinders[string(id)] = true
	w.mu.Unlock()
	if strings.HasPrefix(sid, "blocked") {
		w.asked <- struct{}{}
		<-w.let
	}
	return w.Memory.Unbind(ctx, sid)
}

// site has a node that has forgotten all sessions but its own, and so many bindings to it.
func (w *witness) site(t *testing.T, prefix string, bindings int) *site {
	for i := range bindings {
		if err := w.Bind(t.Context(), prefix+strconv.Itoa(i), affinity.Binding{Node: "n1", Version: 4}); err != nil {
			t.Fatal(err)
		}
	}
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if strings.HasPrefix(r.URL.Query().Get("sid"), prefix) {
			c.send(answer(400, unknownSID))
			return
		}
		engine(aSID)(c, r)
	})
	return startGateway(t, withNodes(node), withStore(w))
}

func stackHead() []byte {
	b := make([]byte, 64)
	return b[:runtime.Stack(b, false)]
}

// Starting a goroutine for what a request waits for, and growing its stack, costs as much as a tenth of the request.
func TestWorkersAreKept(t *testing.T) {
	t.Parallel()
	const polls = 50
	w := newWitness()
	s := w.site(t, "gone", polls)
	c := dial(t, s.addr)
	for i := range polls {
		c.expect(get(pollTarget("gone"+strconv.Itoa(i))), 400, unknownSID)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.unbinders); n == 0 || n > polls/10 { // a worker that has just sent its result may not be free yet
		t.Errorf("%d goroutines have unbound %d sessions", n, polls)
	}
}

// However many requests the store keeps waiting, others are served meanwhile; and their workers end with the gateway.
func TestBlockedWorkersStarveNobody(t *testing.T) {
	t.Parallel()
	const blocked = 300 // more than are kept
	w := newWitness()
	s := w.site(t, "blocked", blocked)
	var waiting []*rawClient
	for i := range blocked {
		waiting = append(waiting, raw(t, s.addr, get(pollTarget("blocked"+strconv.Itoa(i)))))
		<-w.asked
	}
	dial(t, s.addr).handshake(handshakeTarget)
	close(w.let)
	for _, c := range waiting {
		if r := c.answer(); r.StatusCode != 400 {
			t.Fatalf("answered %d", r.StatusCode)
		}
	}
}
