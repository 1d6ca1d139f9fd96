package adapter

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/wire"
)

const (
	batchItems = 128     // commands in one pipeline
	batchBytes = 1 << 20 // and their payload, unless the first alone is larger
	// settleTime is how long messages kept through an outage wait after this node has its subscription back: the other
	// nodes need about as long for theirs, and what is published before that is lost on them.
	settleTime = 500 * time.Millisecond
	// farewell is how long Close waits for what was emitted just before it.
	farewell = 500 * time.Millisecond
)

// item is one message for a channel.
type item struct {
	kind    wire.Kind
	channel string
	payload []byte
}

// outbox publishes messages in the order of their coming, from one goroutine, in pipelines, so that an emit never waits
// for Redis. A message that certainly did not leave is kept and sent when Redis is back; one whose fate is unknown is
// counted as lost and not sent again, because nobody could tell the second from the first.
type outbox struct {
	client  redis.UniversalClient
	sharded bool
	opts    Options
	back    func() <-chan struct{} // closed once the subscription is live
	mu      sync.Mutex
	queue   []item
	closed  bool
	wake    chan struct{}
}

func newOutbox(client redis.UniversalClient, opts Options) *outbox {
	return &outbox{client: client, opts: opts, wake: make(chan struct{}, 1), back: alwaysBack}
}

func alwaysBack() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// put queues a message and returns at once.
func (o *outbox) put(i item) {
	o.mu.Lock()
	switch {
	case o.closed:
		o.lose(lostClosed, 1)
	case len(o.queue) >= o.opts.Queue:
		o.queue = o.queue[1:]
		o.lose(lostOverflow, 1)
		fallthrough
	default:
		o.queue = append(o.queue, i)
		o.opts.Metrics.queued.Set(float64(len(o.queue)))
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) lose(reason string, n int) {
	if n > 0 {
		o.opts.Metrics.lost.WithLabelValues(reason).Add(float64(n))
	}
}

// take waits for messages and returns the next pipeline of them; none when the outbox is closed and empty.
func (o *outbox) take(ctx context.Context) []item {
	for {
		o.mu.Lock()
		n, size := 0, 0
		for n < len(o.queue) && n < batchItems && (n == 0 || size+len(o.queue[n].payload) <= batchBytes) {
			size += len(o.queue[n].payload)
			n++
		}
		batch := o.queue[:n:n]
		o.queue = o.queue[n:]
		closed := o.closed
		o.opts.Metrics.queued.Set(float64(len(o.queue)))
		o.mu.Unlock()
		if n > 0 || closed {
			return batch
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// run publishes until ctx ends, or until the outbox is closed and empty.
func (o *outbox) run(ctx context.Context) {
	var wait backoff
	lost := 0
	for {
		batch := o.take(ctx)
		if len(batch) == 0 {
			return
		}
		away := false
		for len(batch) > 0 {
			rest, unsure, err := o.publish(ctx, batch)
			lost += unsure
			if err == nil {
				break
			}
			if !away {
				o.opts.Logger.Warn("redis is away: messages are kept", slog.Any("error", err))
			}
			batch, away = rest, true
			if !wait.wait(ctx) {
				o.lose(lostClosed, len(batch))
				return
			}
			o.settle(ctx)
		}
		if wait.reset(); away {
			o.opts.Logger.Warn("redis is back", slog.Int("lost", lost))
			lost = 0
		}
	}
}

// settle waits, after an outage, until the nodes have had the time to subscribe again.
func (o *outbox) settle(ctx context.Context) {
	select {
	case <-o.back():
	case <-ctx.Done():
		return
	}
	t := time.NewTimer(settleTime)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// once is a command that a Cluster's client may send to the node to which it is referred, but never again: it repeats a
// pipeline whose connection broke.
type once struct{ *redis.IntCmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

// publish sends a pipeline. It returns the messages that certainly did not leave, how many may have, and the error that
// tells of an outage. A message that Redis did not take is lost where it took one behind it: to send it now would be out
// of order. In a Cluster that holds for each channel, since channels live on different servers.
func (o *outbox) publish(ctx context.Context, batch []item) (rest []item, unsure int, err error) {
	name := "publish"
	if o.sharded {
		name = "spublish"
	}
	pipe := o.client.Pipeline()
	for _, i := range batch {
		_ = pipe.Process(ctx, once{redis.NewIntCmd(ctx, name, i.channel, i.payload)}) // only queues
	}
	cmds, execErr := pipe.Exec(ctx)
	if len(cmds) < len(batch) {
		return batch, 0, execErr // nothing was even queued: the client is closed
	}
	_, cluster := o.client.(*redis.ClusterClient)
	overtaken := make(map[string]bool)
	for k, cmd := range slices.Backward(cmds) {
		line := ""
		if cluster {
			line = batch[k].channel
		}
		is := outcomeOf(cmd.Err())
		if is == again && overtaken[line] {
			is = refused
		}
		switch is {
		case done:
			o.opts.Metrics.published.WithLabelValues(batch[k].kind.String()).Inc()
		case again:
			rest, err = append(rest, batch[k]), cmd.Err()
			continue
		case refused:
			o.lose(lostRefused, 1)
			o.opts.Logger.Error("redis refused a message", slog.Any("error", cmd.Err()))
			continue
		case unknown:
			o.lose(lostUnknown, 1)
			unsure, err = unsure+1, cmd.Err()
		}
		overtaken[line] = true
	}
	slices.Reverse(rest)
	return rest, unsure, err
}

// close lets run end when the queue is empty; what is put later is lost.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// drop counts what nobody will send any more.
func (o *outbox) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lose(lostClosed, len(o.queue))
	o.queue = nil
	o.opts.Metrics.queued.Set(0)
}
