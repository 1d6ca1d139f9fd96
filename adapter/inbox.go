package adapter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	pingEvery   = 3 * time.Second
	silentPings = 4 // unanswered pings after which a silent connection is given up
	// subscribeWait bounds how long a new namespace waits for its subscription, so that one made while Redis is there
	// misses nothing, and one made while it is away is not held up.
	subscribeWait = 250 * time.Millisecond
)

// method is one of the three ways to subscribe.
type method uint8

const (
	byName method = iota
	byPattern
	byShard
)

// subscription is a channel or a pattern with its method.
type subscription struct {
	method method
	name   string
}

// route takes the messages of one subscription.
type route func(channel string, payload string)

// inbox is one connection that receives for all namespaces. When it breaks it is made again, with its subscriptions,
// within a second of Redis being back.
type inbox struct {
	client redis.UniversalClient
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	orders serial // subscribing and unsubscribing, in order
	moved  func() // if set: called when a subscription may belong on another connection

	mu     sync.Mutex
	ps     *redis.PubSub
	routes map[subscription][]*route
	live   bool
	back   chan struct{} // closed while live
}

func newInbox(client redis.UniversalClient, opts Options) *inbox {
	i := &inbox{client: client, opts: opts, routes: make(map[subscription][]*route), back: make(chan struct{})}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	i.ps = client.Subscribe(i.ctx)
	return i
}

// whenBack returns a channel that is closed once the subscription is live.
func (i *inbox) whenBack() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.back
}

// add subscribes and returns what to give to remove.
func (i *inbox) add(s subscription, fn route) *route {
	r := &fn
	i.mu.Lock()
	fresh := len(i.routes[s]) == 0
	i.routes[s] = append(i.routes[s], r)
	i.mu.Unlock()
	if fresh {
		i.order(s, true)
	}
	return r
}

// remove ends what add began.
func (i *inbox) remove(s subscription, r *route) {
	i.mu.Lock()
	list := i.routes[s]
	for k, e := range list {
		if e == r {
			list = append(list[:k:k], list[k+1:]...)
			break
		}
	}
	i.routes[s] = list
	if len(list) == 0 {
		delete(i.routes, s)
	}
	i.mu.Unlock()
	if len(list) == 0 {
		i.order(s, false)
	}
}

// order sends SUBSCRIBE or UNSUBSCRIBE behind those before it. An error needs no handling: the connection is broken
// then, and the next one subscribes to all that is wanted.
func (i *inbox) order(s subscription, on bool) {
	i.orders.run(func() {
		i.mu.Lock()
		wanted := len(i.routes[s]) > 0
		ps := i.ps
		i.mu.Unlock()
		if i.ctx.Err() == nil && wanted == on {
			_ = command(i.ctx, ps, s, on)
		}
	})
}

func command(ctx context.Context, ps *redis.PubSub, s subscription, on bool) error {
	switch {
	case s.method == byPattern && on:
		return ps.PSubscribe(ctx, s.name)
	case s.method == byPattern:
		return ps.PUnsubscribe(ctx, s.name)
	case s.method == byShard && on:
		return ps.SSubscribe(ctx, s.name)
	case s.method == byShard:
		return ps.SUnsubscribe(ctx, s.name)
	case on:
		return ps.Subscribe(ctx, s.name)
	}
	return ps.Unsubscribe(ctx, s.name)
}

// settled waits until the subscriptions so far were sent, but not long.
func (i *inbox) settled() {
	sent := make(chan struct{})
	i.orders.run(func() { close(sent) })
	t := time.NewTimer(subscribeWait)
	defer t.Stop()
	select {
	case <-sent:
	case <-t.C:
	}
}

// run receives until close.
func (i *inbox) run() {
	var wait backoff
	silent := 0
	for i.ctx.Err() == nil {
		i.mu.Lock()
		ps := i.ps
		i.mu.Unlock()
		msg, err := ps.ReceiveTimeout(i.ctx, pingEvery)
		var network net.Error
		switch {
		case err == nil:
			silent = 0
			wait.reset()
			i.up()
			i.dispatch(msg)
		case errors.As(err, &network) && network.Timeout() && i.connected() && silent < silentPings:
			silent++
			_ = ps.Ping(i.ctx) // its failure is the next Receive's error
		default:
			i.down(err)
			if silent >= silentPings {
				i.renew()
				silent = 0
			}
			if wait.wait(i.ctx) && i.moved != nil {
				i.moved()
			}
		}
	}
}

func (i *inbox) dispatch(msg any) {
	if s, ok := msg.(*redis.Subscription); ok && s.Kind == "sunsubscribe" && i.moved != nil && i.wants(s.Channel) {
		i.moved() // the server sends this unasked when it gives the slot away
	}
	m, ok := msg.(*redis.Message)
	if !ok {
		return
	}
	if len(m.Payload) > i.opts.MaxMessage {
		i.opts.Metrics.lost.WithLabelValues(lostTooLarge).Inc()
		return
	}
	s := subscription{byName, m.Channel}
	if m.Pattern != "" {
		s = subscription{byPattern, m.Pattern}
	}
	i.mu.Lock()
	list := i.routes[s]
	if len(list) == 0 {
		list = i.routes[subscription{byShard, m.Channel}]
	}
	i.mu.Unlock()
	for _, r := range list {
		(*r)(m.Channel, m.Payload)
	}
}

func (i *inbox) wants(channel string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.routes[shard(channel)]) > 0
}

func (i *inbox) connected() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.live
}

func (i *inbox) up() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.live {
		i.live = true
		close(i.back)
		i.opts.Metrics.connected.Inc()
	}
}

func (i *inbox) down(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.live {
		i.live = false
		i.back = make(chan struct{})
		i.opts.Metrics.connected.Dec()
		if i.ctx.Err() == nil {
			i.opts.Metrics.resubscribed.Inc()
			i.opts.Logger.Warn("subscription lost", slog.Any("error", err))
		}
	}
}

// renew gives up a connection that is silent without being closed, as after a machine has vanished.
func (i *inbox) renew() {
	fresh := i.client.Subscribe(i.ctx)
	i.mu.Lock()
	old := i.ps
	i.ps = fresh
	wanted := make([]subscription, 0, len(i.routes))
	for s := range i.routes {
		wanted = append(wanted, s)
	}
	i.mu.Unlock()
	_ = old.Close()
	for _, s := range wanted {
		_ = command(i.ctx, fresh, s, true)
	}
}

// close ends run. The caller waits for run itself.
func (i *inbox) close() {
	i.cancel()
	i.mu.Lock()
	ps := i.ps
	i.mu.Unlock()
	_ = ps.Close()
	done := make(chan struct{})
	i.orders.run(func() { close(done) })
	<-done
	i.down(nil)
}
