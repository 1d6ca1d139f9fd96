package affinity

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// One pipeline carries up to so many operations.
	batchCalls = 128
	// So many pipelines are under way at once. What comes meanwhile waits and goes together: when thousands of clients
	// come back at once, a round trip each would cost a second of CPU and, with it, everyone's time limit. Fewer carry more
	// each and cost less; with one, a single lost packet would stop all.
	maxBatches = 2
)

// senderIdle is how long a sender without work is kept for more: its stack has grown.
const senderIdle = 100 * time.Millisecond

// batches sends operations in pipelines: one alone goes at once, many at a time share. No goroutine waits for an operation, nor
// has one a timer of its own.
type batches struct {
	client redis.UniversalClient

	mu      sync.Mutex
	waiting []*call
	senders []*sender
	running int           // senders that work
	parked  int           // senders that nothing has been given to
	wake    chan struct{} // one for each sender that was parked and is to work
	watched bool          // endLate comes
}

func newBatches(c redis.UniversalClient) *batches {
	return &batches{client: c, wake: make(chan struct{}, maxBatches)}
}

// sender is a goroutine that sends.
type sender struct {
	batch []*call // under way
}

// call is one operation.
type call struct {
	add   func(redis.Pipeliner)
	done  func(error)
	since time.Time
	state atomic.Int32
}

// The states of a call.
const (
	queued int32 = iota
	sent
	ended // done has been called
)

// end calls done if the call is in that state.
func (c *call) end(from int32, err error) {
	if c.state.CompareAndSwap(from, ended) {
		c.done(err)
	}
}

// begin has add put an operation's commands into a pipeline soon. done is called once, by another goroutine, and must not block. After
// nil the commands' results are there, each with its own error; after an error they must not be touched, for add may still be called
// and its commands be under way. An error comes after about 100 ms: ErrBusy where nothing was sent, ErrLate where no answer came.
func (b *batches) begin(add func(redis.Pipeliner), done func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, &call{add: add, done: done, since: time.Now()})
	if !b.watched {
		b.watched = true
		time.AfterFunc(opTimeout, b.endLate)
	}
	switch {
	case b.running == maxBatches:
		return
	case b.parked > 0:
		b.parked--
		b.wake <- struct{}{}
	default:
		s := &sender{}
		b.senders = append(b.senders, s)
		go b.send(s)
	}
	b.running++
}

// do is begin, and returns what done is told, or the context's error where that ends before.
func (b *batches) do(ctx context.Context, add func(redis.Pipeliner)) error {
	return waitFor(ctx, func(done func(error)) { b.begin(add, done) })
}

// send sends what waits until nothing has come for senderIdle.
func (b *batches) send(s *sender) {
	p := b.client.Pipeline()
	idle := time.NewTimer(senderIdle)
	defer idle.Stop()
	for {
		for b.next(s) {
			exec(p, s.batch)
		}
		idle.Reset(senderIdle)
		select {
		case <-b.wake:
		case <-idle.C:
			if b.leave(s) {
				return
			}
			<-b.wake
		}
	}
}

// next takes what is to be sent together. False: nothing waits, and the sender counts as parked.
func (b *batches) next(s *sender) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), batchCalls)
	if n == 0 {
		s.batch, b.waiting = nil, nil
		b.running--
		b.parked++
		return false
	}
	s.batch = b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return true
}

// leave takes a parked sender off the list. It reports false where each of them has been given work.
func (b *batches) leave(s *sender) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parked == 0 {
		return false
	}
	b.parked--
	b.senders = slices.DeleteFunc(b.senders, func(other *sender) bool { return other == s })
	return true
}

// exec sends in p, which is empty before and after, the operations that have not ended.
func exec(p redis.Pipeliner, batch []*call) {
	for _, c := range batch {
		if c.state.CompareAndSwap(queued, sent) {
			c.add(p)
		}
	}
	if p.Len() == 0 {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), opTimeout)
	defer stop()
	_, _ = p.Exec(ctx) // each command has its own error
	for _, c := range batch {
		c.end(sent, nil)
	}
}

// endLate ends the operations that have taken too long, and comes again for those that may.
func (b *batches) endLate() {
	b.mu.Lock()
	all := slices.Clone(b.waiting)
	for _, s := range b.senders {
		all = append(all, s.batch...)
	}
	var late []*call
	oldest := time.Time{}
	for _, c := range all {
		switch {
		case c.state.Load() == ended:
		case time.Since(c.since) >= opTimeout:
			late = append(late, c)
		case oldest.IsZero() || c.since.Before(oldest):
			oldest = c.since
		}
	}
	if b.watched = !oldest.IsZero(); b.watched {
		time.AfterFunc(time.Until(oldest.Add(opTimeout)), b.endLate)
	}
	b.mu.Unlock()
	for _, c := range late {
		c.end(queued, ErrBusy)
		c.end(sent, ErrLate)
	}
}

// wait returns what start has done told, or the context's error where that ends before.
func wait[T any](ctx context.Context, start func(done func(T, error))) (told T, err error) {
	if err = ctx.Err(); err != nil {
		return told, err
	}
	type result struct {
		told T
		err  error
	}
	ended := make(chan result, 1)
	start(func(t T, err error) { ended <- result{t, err} })
	select {
	case r := <-ended:
		return r.told, r.err
	case <-ctx.Done():
		return told, ctx.Err()
	}
}

// waitFor is wait for what has no more to tell.
func waitFor(ctx context.Context, start func(done func(error))) error {
	_, err := wait(ctx, func(done func(struct{}, error)) {
		start(func(err error) { done(struct{}{}, err) })
	})
	return err
}
