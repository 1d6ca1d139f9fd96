package affinity_test

import (
	"context"
	"sync"
	"time"

	"github.com/sidway/sidway/affinity"
)

// shelf is a Back in memory whose faults a test switches on. It counts what it is asked.
type shelf struct {
	mu      sync.Mutex
	m       map[string]affinity.Binding
	fault   error // of all operations
	refuse  error // of writes
	delay   time.Duration
	late    int // operations to come that are answered too late; negative: all
	lost    bool
	calls   map[string]int
	largest int
}

func newShelf() *shelf {
	return &shelf{m: make(map[string]affinity.Binding), calls: make(map[string]int)}
}

func (s *shelf) enter(ctx context.Context, op string, write bool) error {
	s.mu.Lock()
	s.calls[op]++
	err, delay := s.fault, s.delay
	if s.late != 0 {
		s.late--
		err, delay = affinity.ErrLate, 100*time.Millisecond
	}
	if err == nil && write {
		err = s.refuse
	}
	s.mu.Unlock()
	if delay == 0 {
		return err
	}
	select {
	case <-time.After(delay): // the store's own slowness, in a bubble's time
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shelf) Bind(ctx context.Context, sid string, b affinity.Binding) error {
	if err := s.enter(ctx, "Bind", true); err != nil {
		return err
	}
	if node := s.node(sid); b.Expires.IsZero() && node != "" && node != b.Node {
		return &affinity.TakenError{Node: node}
	}
	s.store(sid, b)
	return nil
}

// node returns the node that sid is bound to.
func (s *shelf) node(sid string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[sid].Node
}

func (s *shelf) store(sid string, b affinity.Binding) {
	b.Expires = time.Now().Add(b.TTL())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[sid] = b
}

func (s *shelf) BindAll(ctx context.Context, batch []affinity.Entry) (taken []affinity.Entry, err error) {
	if err := s.enter(ctx, "BindAll", true); err != nil {
		return nil, err
	}
	for _, e := range batch {
		if node := s.node(e.SID); e.Binding.Expires.IsZero() && node != "" && node != e.Binding.Node {
			taken = append(taken, affinity.Entry{SID: e.SID, Binding: affinity.Binding{Node: node}})
			continue
		}
		s.store(e.SID, e.Binding)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.largest = max(s.largest, len(batch))
	return taken, nil
}

func (s *shelf) Lookup(ctx context.Context, sid string) (affinity.Binding, error) {
	if err := s.enter(ctx, "Lookup", false); err != nil {
		return affinity.Binding{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.m[sid]
	if !ok {
		return b, affinity.ErrNotFound
	}
	return b, nil
}

func (s *shelf) BindThen(sid string, b affinity.Binding, done func(error)) {
	go func() { done(s.Bind(context.Background(), sid, b)) }()
}

func (s *shelf) LookupThen(sid string, done func(affinity.Binding, error)) {
	go func() { done(s.Lookup(context.Background(), sid)) }()
}

func (s *shelf) Renew(ctx context.Context, sid string, _ time.Duration) (affinity.Binding, error) {
	if err := s.enter(ctx, "Renew", true); err != nil {
		return affinity.Binding{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.m[sid]
	if !ok {
		return b, affinity.ErrNotFound
	}
	b.Expires = time.Now().Add(b.TTL())
	s.m[sid] = b
	return b, nil
}

func (s *shelf) Unbind(ctx context.Context, sid string) error {
	if err := s.enter(ctx, "Unbind", true); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, sid)
	return nil
}

func (s *shelf) Probe(ctx context.Context) (bool, error) {
	if err := s.enter(ctx, "Probe", true); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = false
	return !lost, nil
}

// set changes s under its lock.
func (s *shelf) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// lose empties the shelf.
func (s *shelf) lose() {
	s.set(func() { s.m, s.lost = make(map[string]affinity.Binding), true })
}

func (s *shelf) count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m)
}

// tally counts outcomes.
type tally struct {
	mu sync.Mutex
	n  map[affinity.Outcome]int
}

func newTally() *tally { return &tally{n: make(map[affinity.Outcome]int)} }

func (c *tally) add(o affinity.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[o]++
}

func (c *tally) of(o affinity.Outcome) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[o]
}
