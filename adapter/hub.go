package adapter

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/group"
	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/zishang520/socket.io/v2/socket"
)

// hub is what all namespaces of a server share: a connection that publishes, one that receives, and the goroutines that
// work them. The first namespace starts it and the last one to close stops it.
type hub struct {
	opts   Options
	client redis.UniversalClient
	owned  bool
	out    *outbox
	in     *inbox
	stream *stream // of the streams adapter
	ctx    context.Context
	cancel context.CancelFunc
	wg     group.Group

	mu      sync.Mutex
	masters map[string]*inbox // in a Cluster: the sharded subscriptions, by the address of their master
	shards  map[*shards]struct{}
}

func newHub(rdb redis.UniversalClient, opts Options, sharded bool) *hub {
	h := &hub{opts: opts, masters: make(map[string]*inbox), shards: make(map[*shards]struct{})}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.client, h.owned = dedicated(rdb)
	h.out = newOutbox(h.client, opts)
	h.out.sharded = sharded
	h.in = newInbox(h.client, opts)
	if _, cluster := h.client.(*redis.ClusterClient); !cluster || !sharded {
		h.out.back = h.in.whenBack
	}
	h.wg.Go(func() { h.out.run(h.ctx) })
	h.wg.Go(h.in.run)
	return h
}

// close sends what is queued, if Redis takes it, and ends everything.
func (h *hub) close() {
	h.out.close()
	if h.stream != nil {
		h.stream.close()
	}
	sent := make(chan struct{})
	go func() {
		h.wg.Wait()
		close(sent)
	}()
	t := time.AfterFunc(farewell, func() {
		h.cancel()
		if h.owned {
			_ = h.client.Close() // also ends a command that waits for a stopped Redis
		}
	})
	h.mu.Lock()
	masters := h.masters
	h.mu.Unlock()
	for _, in := range masters {
		in.close()
	}
	h.in.close()
	<-sent
	t.Stop()
	h.cancel()
	h.out.drop()
	if h.owned {
		_ = h.client.Close()
	}
}

// away tells whether Redis is known to be out of reach.
func (h *hub) away() bool { return !h.in.connected() }

// check looks at the library when the first adapter of a constructor is made.
type check struct {
	library library.Library
	done    sync.Once
}

// once panics where the library is built otherwise than the one that this package mends: the server is just being made,
// and one that runs on would lose sessions, or the order of events, without a word.
func (c *check) once(log *slog.Logger) {
	c.done.Do(func() {
		if err := c.library.Check(log); err != nil {
			panic(err)
		}
	})
}

// constructor makes an adapter per namespace and keeps the hub while there are any.
type constructor struct {
	opts  Options
	start func() *hub
	join  func(*hub, *node) bus
	check check

	mu    sync.Mutex
	hub   *hub
	nodes int
}

var _ socket.AdapterConstructor = (*constructor)(nil)

// New implements socket.AdapterConstructor.
func (c *constructor) New(nsp socket.Namespace) socket.Adapter {
	c.check.once(c.opts.Logger)
	n := newNode(nsp, c.opts)
	c.mu.Lock()
	if c.nodes == 0 {
		c.hub = c.start()
	}
	c.nodes++
	h := c.hub
	c.mu.Unlock()
	n.bus = leaving{c.join(h, n), c}
	n.start()
	return n
}

// leaving is a bus that gives its share of the hub back when it is closed.
type leaving struct {
	bus
	c *constructor
}

func (l leaving) close() {
	l.bus.close()
	l.c.mu.Lock()
	var last *hub
	if l.c.nodes--; l.c.nodes == 0 {
		last, l.c.hub = l.c.hub, nil
	}
	l.c.mu.Unlock()
	if last != nil {
		last.close()
	}
}
