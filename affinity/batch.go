package affinity

import (
	"context"
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

// batches sends operations in pipelines: one alone goes at once, many at a time share.
type batches struct {
	client redis.UniversalClient

	mu      sync.Mutex
	waiting []*call
	running int           // senders that work
	parked  int           // senders that nothing has been given to
	wake    chan struct{} // one for each sender that was parked and is to work
}

func newBatches(c redis.UniversalClient) *batches {
	return &batches{client: c, wake: make(chan struct{}, maxBatches)}
}

// call is one operation. Its commands belong to the sender from sent until done is closed.
type call struct {
	ctx   context.Context // the caller's
	add   func(redis.Pipeliner)
	state atomic.Int32
	done  chan struct{}
}

// The states of a call.
const (
	queued int32 = iota
	sent
	left // its caller has gone
)

// do sends the commands that add puts into a pipeline. After nil their results are there, each with its own error; after
// an error they must not be touched, for add may still be called and its commands be under way. It returns after about 100 ms with ErrBusy where nothing was sent and with ErrLate where no answer came.
func (b *batches) do(ctx context.Context, add func(redis.Pipeliner)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	limit := time.NewTimer(opTimeout)
	defer limit.Stop()
	c := &call{ctx: ctx, add: add, done: make(chan struct{})}
	b.put(c)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	case <-limit.C:
	}
	if c.state.CompareAndSwap(queued, left) {
		return ErrBusy
	}
	return ErrLate
}

// put queues c, and has another sender work where there may be one more.
func (b *batches) put(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, c)
	switch {
	case b.running == maxBatches:
		return
	case b.parked > 0:
		b.parked--
		b.wake <- struct{}{}
	default:
		go b.send()
	}
	b.running++
}

// send sends what waits until nothing has come for senderIdle.
func (b *batches) send() {
	p := b.client.Pipeline()
	idle := time.NewTimer(senderIdle)
	defer idle.Stop()
	for {
		for batch := b.next(); batch != nil; batch = b.next() {
			exec(p, batch)
		}
		idle.Reset(senderIdle)
		select {
		case <-b.wake:
		case <-idle.C:
			if b.leave() {
				return
			}
			<-b.wake
		}
	}
}

// next returns what is to be sent together. Nil: nothing waits, and the sender that asks counts as parked.
func (b *batches) next() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), batchCalls)
	if n == 0 {
		b.waiting = nil
		b.running--
		b.parked++
		return nil
	}
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return batch
}

// leave takes a parked sender off the list. It reports false where each of them has been given work.
func (b *batches) leave() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parked == 0 {
		return false
	}
	b.parked--
	return true
}

// exec sends in p, which is empty before and after, what a caller still waits for.
func exec(p redis.Pipeliner, batch []*call) {
	taken := batch[:0]
	for _, c := range batch {
		if c.ctx.Err() == nil && c.state.CompareAndSwap(queued, sent) {
			c.add(p)
			taken = append(taken, c)
		}
	}
	if len(taken) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), opTimeout)
	defer stop()
	_, _ = p.Exec(ctx) // each command has its own error
	for _, c := range taken {
		close(c.done)
	}
}
