package affinity

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

const (
	// One pipeline carries up to so many operations.
	batchCalls = 128
	// So many pipelines are under way at once. What comes meanwhile waits and goes together: when thousands of clients
	// come back at once, a round trip each would cost a second of CPU and, with it, everyone's time limit.
	maxBatches = 4
)

// batches sends operations in pipelines: one alone goes at once, many at a time share.
type batches struct {
	client redis.UniversalClient

	mu      sync.Mutex
	waiting []*call
	running int
}

// call is one operation. Its commands belong to the sender until done is closed.
type call struct {
	ctx  context.Context // ends with the caller's patience
	add  func(redis.Pipeliner)
	sent atomic.Bool
	done chan struct{}
}

// do sends the commands that add puts into a pipeline. After nil their results are there, each with its own error; after
// an error they must not be touched, for add may still be called and its commands be under way. It returns after about 100 ms with ErrBusy where nothing was sent and with ErrLate where no answer came.
func (b *batches) do(ctx context.Context, add func(redis.Pipeliner)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	c := &call{ctx: ctx, add: add, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	if b.running < maxBatches {
		b.running++
		go b.send()
	}
	b.mu.Unlock()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		if c.sent.Load() {
			return ErrLate
		}
		return ErrBusy
	}
}

// send sends what waits until nothing does.
func (b *batches) send() {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), batchCalls)
		if n == 0 {
			b.waiting = nil
			b.running--
			b.mu.Unlock()
			return
		}
		batch := b.waiting[:n:n]
		b.waiting = b.waiting[n:]
		b.mu.Unlock()
		b.exec(batch)
	}
}

func (b *batches) exec(batch []*call) {
	ctx, stop := context.WithTimeout(context.Background(), opTimeout)
	defer stop()
	p := b.client.Pipeline()
	sent := batch[:0]
	for _, c := range batch {
		if c.ctx.Err() == nil { // else its caller has gone
			c.sent.Store(true)
			c.add(p)
			sent = append(sent, c)
		}
	}
	if len(sent) == 0 {
		return
	}
	_, _ = p.Exec(ctx) // each command has its own error
	for _, c := range sent {
		close(c.done)
	}
}
