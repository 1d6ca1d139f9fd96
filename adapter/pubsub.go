package adapter

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

// PubSub makes adapters that talk through Redis pub/sub, as createAdapter of @socket.io/redis-adapter does. rdb may be a
// client of one server, of Sentinel or of a Cluster; the adapters use its settings with two connections of their own and
// leave it open. One constructor serves one server.
func PubSub(rdb redis.UniversalClient, opts Options) socket.AdapterConstructor {
	opts = opts.withDefaults()
	return &constructor{
		check: check{library: library.Met()},
		opts:  opts,
		start: func() *hub { return newHub(rdb, opts, false) },
		join:  func(h *hub, n *node) bus { return joinPubSub(h, n) },
	}
}

// pubSub is the bus of one namespace. Broadcasts go to the namespace's channel, or to one named after the room if there
// is exactly one; requests and responses have channels of their own.
type pubSub struct {
	hub       *hub
	node      *node
	broadcast string // prefix of the broadcast channels
	request   string
	response  string
	routes    map[subscription]*route
}

func joinPubSub(h *hub, n *node) *pubSub {
	nsp, prefix := n.Nsp().Name(), h.opts.Prefix
	b := &pubSub{
		hub: h, node: n,
		broadcast: prefix + "#" + nsp + "#",
		request:   prefix + "-request#" + nsp + "#",
		response:  prefix + "-response#" + nsp + "#",
	}
	b.routes = map[subscription]*route{}
	for s, r := range map[subscription]route{
		{byPattern, escapePattern(b.broadcast) + "*"}: b.onBroadcast,
		{byName, b.request}:                           b.onRequest,
		{byName, b.response}:                          b.onResponse,
		{byName, b.response + n.uid + "#"}:            b.onResponse,
	} {
		b.routes[s] = h.in.add(s, r)
	}
	h.in.settled()
	return b
}

// escapePattern keeps what a namespace's name may hold from being read as a pattern.
func escapePattern(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(s)
}

func (b *pubSub) close() {
	for s, r := range b.routes {
		b.hub.in.remove(s, r)
	}
}

func (b *pubSub) send(m *wire.Message, deliver func(string)) {
	if !m.Opts.Local {
		channel := b.request
		if m.Kind == wire.KindBroadcast {
			channel = b.broadcast
			if len(m.Opts.Rooms) == 1 {
				channel += string(m.Opts.Rooms[0]) + "#"
			}
		}
		b.put(channel, m)
	}
	deliver("")
}

func (b *pubSub) answer(to string, m *wire.Message) {
	channel := b.response
	if to != "" {
		channel += to + "#"
	}
	b.put(channel, m)
}

func (b *pubSub) put(channel string, m *wire.Message) {
	payload, err := wire.EncodePubSub(m)
	if err != nil {
		b.node.lose(lostEncode, err)
		return
	}
	b.hub.out.put(item{kind: m.Kind, channel: channel, payload: payload})
}

func (b *pubSub) nodes(ctx context.Context) int {
	if b.hub.away() {
		return 1
	}
	return max(1, subscribers(ctx, b.hub.client, b.request, false))
}

func (b *pubSub) onBroadcast(channel, payload string) {
	room, ok := strings.CutSuffix(strings.TrimPrefix(channel, b.broadcast), "#")
	if ok && room != "" {
		if _, known := b.node.Rooms().Load(socket.Room(room)); !known {
			return // nobody here: not worth decoding
		}
	}
	m, err := wire.DecodeBroadcast([]byte(payload))
	if err == nil && m.Packet.Nsp != b.node.Nsp().Name() {
		return // a namespace whose name continues this one's
	}
	b.take(m, err)
}

func (b *pubSub) onRequest(_, payload string) {
	b.take(wire.DecodeRequest([]byte(payload)))
}

func (b *pubSub) onResponse(_, payload string) {
	b.take(wire.DecodeResponse([]byte(payload)))
}

func (b *pubSub) take(m *wire.Message, err error) {
	if err != nil {
		b.node.opts.Metrics.decodeErrors.Inc()
		return
	}
	b.node.handle(m)
}

// subscribers counts the subscriptions to a channel on all Redis servers; 0 where that cannot be known.
func subscribers(ctx context.Context, c redis.UniversalClient, channel string, sharded bool) int {
	count := func(ctx context.Context, one redis.Cmdable) int {
		ask := one.PubSubNumSub
		if sharded {
			ask = one.PubSubShardNumSub
		}
		counts, err := ask(ctx, channel).Result()
		if err != nil {
			return 0
		}
		return int(counts[channel])
	}
	cluster, ok := c.(*redis.ClusterClient)
	if !ok {
		return count(ctx, c)
	}
	results := make(chan int, 64)
	sum := make(chan int)
	go func() {
		total := 0
		for n := range results {
			total += n
		}
		sum <- total
	}()
	_ = cluster.ForEachShard(ctx, func(ctx context.Context, one *redis.Client) error {
		results <- count(ctx, one)
		return nil
	})
	close(results)
	return <-sum
}
