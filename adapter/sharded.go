package adapter

import (
	"context"
	"unicode/utf16"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

// Sharded makes adapters that talk through sharded pub/sub, as createShardedAdapter of @socket.io/redis-adapter does. It
// needs Redis 7; in a Redis Cluster it spreads the load where PubSub would send every message to every server. rdb is
// used as PubSub uses it.
func Sharded(rdb redis.UniversalClient, opts Options) socket.AdapterConstructor {
	opts = opts.withDefaults()
	return &constructor{
		check: check{library: library.Met()},
		opts:  opts,
		start: func() *hub { return newHub(rdb, opts, true) },
		join:  func(h *hub, n *node) bus { return joinSharded(h, n) },
	}
}

// sharded is the bus of one namespace: a channel for all, one for the answers to this node, and one per room.
type sharded struct {
	hub     *hub
	node    *node
	channel string
	in      *shards
}

func joinSharded(h *hub, n *node) *sharded {
	channel := h.opts.Prefix + "#" + n.Nsp().Name() + "#"
	b := &sharded{hub: h, node: n, channel: channel, in: newShards(h)}
	b.in.add(channel, b.onMessage)
	b.in.add(channel+n.uid+"#", b.onMessage)
	if h.opts.Subscription != Static {
		_ = n.On("create-room", func(args ...any) {
			if room, ok := args[0].(socket.Room); ok && b.listens(room) {
				b.in.add(b.room(room), b.onMessage)
			}
		})
		_ = n.On("delete-room", func(args ...any) {
			if room, ok := args[0].(socket.Room); ok && b.listens(room) {
				b.in.remove(b.room(room))
			}
		})
	}
	b.in.settled()
	return b
}

func (b *sharded) room(room socket.Room) string { return b.channel + string(room) + "#" }

// listens tells whether room has a channel here. A Node server in dynamic mode sends to a room's own channel unless the
// room's name has 20 characters, the length of its socket ids; this server's ids are longer, so that in dynamic mode too
// its private rooms need their channels.
func (b *sharded) listens(room socket.Room) bool {
	return b.hub.opts.Subscription == DynamicPrivate || !looksLikeSocketID(room)
}

// looksLikeSocketID is Node's test, which counts UTF-16 units.
func looksLikeSocketID(room socket.Room) bool {
	return len(utf16.Encode([]rune(string(room)))) == 20
}

func (b *sharded) close() { b.in.close() }

func (b *sharded) send(m *wire.Message, deliver func(string)) {
	if !m.Opts.Local {
		channel := b.channel
		if m.Kind == wire.KindBroadcast && len(m.Opts.Rooms) == 1 && b.hub.opts.Subscription != Static &&
			b.listens(m.Opts.Rooms[0]) {
			channel = b.room(m.Opts.Rooms[0])
		}
		b.put(channel, m)
	}
	deliver("")
}

func (b *sharded) answer(to string, m *wire.Message) { b.put(b.channel+to+"#", m) }

func (b *sharded) put(channel string, m *wire.Message) {
	payload, err := wire.EncodeCluster(m, b.node.Nsp().Name())
	if err != nil {
		b.node.lose(lostEncode, err)
		return
	}
	b.hub.out.put(item{kind: m.Kind, channel: channel, payload: payload})
}

func (b *sharded) nodes(ctx context.Context) int {
	if b.in.away() {
		return 1
	}
	return max(1, subscribers(ctx, b.hub.client, b.channel, true))
}

func (b *sharded) onMessage(_, payload string) {
	m, nsp, err := wire.DecodeCluster([]byte(payload))
	if err != nil {
		b.node.opts.Metrics.decodeErrors.Inc()
		return
	}
	if nsp == b.node.Nsp().Name() {
		b.node.handle(m)
	}
}

// AllRooms lists the rooms of all nodes of a namespace whose adapter is of this package, private rooms included. It
// waits for the other nodes, at most as long as the adapter's RequestTimeout; then it returns what it has and a
// TimeoutError.
func AllRooms(nsp socket.Namespace) ([]socket.Room, error) {
	n, ok := nsp.Adapter().(*node)
	if !ok {
		return nsp.Adapter().Rooms().Keys(), nil
	}
	ask := wire.KindFetch // the rooms of all sockets: the sharded and the streams adapters of Node know no other question
	if l, ok := n.bus.(leaving); ok {
		if _, plain := l.bus.(*pubSub); plain {
			ask = wire.KindRooms
		}
	}
	return n.allRooms(ask)
}
