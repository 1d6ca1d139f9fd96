package gateway_test

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/affinity"
)

// witness is a Store that tells which goroutines bind, and that does not answer look-ups of blocked sids until it is let.
type witness struct {
	affinity.Store
	mu      sync.Mutex
	binders map[string]bool
	asked   chan struct{}
	let     chan struct{}
}

func newWitness() *witness {
	return &witness{Store: affinity.NewMemory(1000), binders: map[string]bool{}, asked: make(chan struct{}), let: make(chan struct{})}
}

func (w *witness) Bind(ctx context.Context, sid string, b affinity.Binding) error {
	id, _, _ := bytes.Cut(stackHead(), []byte(" ["))
	w.mu.Lock()
	w.binders[string(id)] = true
	w.mu.Unlock()
	return w.Store.Bind(ctx, sid, b)
}

func (w *witness) Lookup(ctx context.Context, sid string) (affinity.Binding, error) {
	if strings.HasPrefix(sid, "blocked") {
		w.asked <- struct{}{}
		<-w.let
	}
	return w.Store.Lookup(ctx, sid)
}

func stackHead() []byte {
	b := make([]byte, 64)
	return b[:runtime.Stack(b, false)]
}

// Starting a goroutine for each handshake, and growing its stack, costs a tenth of it.
func TestWorkersAreKept(t *testing.T) {
	t.Parallel()
	w := newWitness()
	s := startGateway(t, withNodes(startNode(t, "n1", engine(aSID))), withStore(w))
	c := dial(t, s.addr)
	const handshakes = 50
	for range handshakes {
		c.handshake(handshakeTarget)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.binders) > handshakes/10 { // a worker that has just sent its result may not be free yet
		t.Errorf("%d goroutines have bound %d sessions", len(w.binders), handshakes)
	}
}

// However many requests the store keeps waiting, a session can be made meanwhile; and their workers end with the gateway.
func TestBlockedWorkersStarveNobody(t *testing.T) {
	t.Parallel()
	w := newWitness()
	s := startGateway(t, withNodes(startNode(t, "n1", engine(aSID))), withStore(w))
	const blocked = 300 // more than are kept
	var waiting []*rawClient
	for range blocked {
		waiting = append(waiting, raw(t, s.addr, get(pollTarget("blocked"))))
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
