package adapter

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

// Streams makes adapters that talk through one Redis stream, as @socket.io/redis-streams-adapter does (its streamCount
// of 1), with questions and answers by pub/sub. rdb is used as PubSub uses it, with one connection more.
//
// With a connection state recovery among the server's options, a client that comes back, to whichever node of the
// cluster, gets its id, rooms, data and the packets that it missed. Unlike Node's, the session is kept as soon as it
// changes and not only at its disconnection, so that it survives the crash of its node; changes of a socket's data, which
// the library does not announce, are found within two seconds.
//
// With recovery, an event reaches the clients of its own node when it comes back from the stream, since only then its
// offset is known; while Redis is away it reaches them at once, without an offset. A message is lost only if the stream
// is trimmed before a node has read it, which is counted.
func Streams(rdb redis.UniversalClient, opts Options) socket.AdapterConstructor {
	opts = opts.withDefaults()
	return &constructor{
		check: check{library: library.Met()},
		opts:  opts,
		start: func() *hub {
			h := newHub(rdb, opts, false)
			h.stream = newStream(h)
			h.wg.Go(func() { h.stream.write(h.ctx) })
			h.wg.Go(func() { h.stream.read(h.in.ctx) })
			return h
		},
		join: func(h *hub, n *node) bus { return joinStreams(h, n) },
	}
}

// streams is the bus of one namespace.
type streams struct {
	hub      *hub
	node     *node
	public   string // channel of what is not worth keeping: questions
	private  string // channel of the answers to this node
	routes   map[subscription]*route
	recovers bool
	lasts    time.Duration // how long a client may be away
	sessions *sessions

	mu   sync.Mutex
	owed map[socket.Room]int // events to one room alone that have not been delivered here
}

func joinStreams(h *hub, n *node) *streams {
	b := &streams{hub: h, node: n, public: h.opts.Prefix + "#" + n.Nsp().Name() + "#"}
	b.private = b.public + n.uid + "#"
	if r := n.Nsp().Server().Opts().GetRawConnectionStateRecovery(); r != nil {
		// The library sets its defaults only for its own adapter, which cannot start on this Go version.
		if r.GetRawMaxDisconnectionDuration() == nil {
			r.SetMaxDisconnectionDuration(2 * 60 * 1000)
		}
		if r.GetRawSkipMiddlewares() == nil {
			r.SetSkipMiddlewares(true)
		}
		b.recovers, b.lasts = true, time.Duration(r.MaxDisconnectionDuration())*time.Millisecond
		b.sessions = newSessions(b)
		n.changed, n.left, n.hold = b.sessions.changed, b.sessions.left, b.sessions.hold
		n.taken = b.sessions.release
		n.behind, b.owed = b.behind, make(map[socket.Room]int)
		n.wg.Go(b.sessions.run)
	}
	b.routes = map[subscription]*route{}
	for _, c := range []string{b.public, b.private} {
		s := subscription{byName, c}
		b.routes[s] = h.in.add(s, b.onMessage)
	}
	h.stream.join(b)
	h.in.settled()
	return b
}

func (b *streams) close() {
	b.hub.stream.leave(b)
	for s, r := range b.routes {
		b.hub.in.remove(s, r)
	}
}

// send appends m to the stream, or publishes it if it is a question, as Node's adapter does.
func (b *streams) send(m *wire.Message, deliver func(string)) {
	e := &entry{bus: b, kind: m.Kind, deliver: deliver}
	local := m.Kind != wire.KindBroadcast || !b.recovers
	switch {
	case local:
		e.deliver = nil
	case len(m.Opts.Rooms) == 1:
		e.deliver = b.owes(m.Opts.Rooms[0], deliver)
	}
	switch {
	case m.Opts.Local:
	case m.Kind == wire.KindBroadcastAck, m.Kind == wire.KindServerSide, m.Kind == wire.KindFetch:
		b.publish(b.public, m)
	default:
		values, err := wire.EncodeStream(m, b.node.Nsp().Name())
		if err != nil {
			b.node.lose(lostEncode, err)
			break
		}
		e.values = values
		e.stored = m.Packet != nil && m.Packet.ID == nil && !m.Opts.Volatile
	}
	if m.Kind == wire.KindBroadcastAck && b.recovers && b.hub.stream.waiting(b) {
		e.deliver, local = deliver, false // behind the events that wait for their offset
	}
	if e.values != nil || e.deliver != nil {
		b.hub.stream.put(e)
	}
	if local {
		deliver("")
	}
}

// behind gives an acknowledgement behind the events that its handler has emitted to the same socket, which wait for their offset. One that
// overtook them would tell whoever follows the session, as a gateway that is to move it, that the handler has said all.
func (b *streams) behind(to socket.SocketId, answer func()) {
	b.mu.Lock()
	waits := b.owed[socket.Room(to)] > 0
	b.mu.Unlock()
	if !waits {
		answer()
		return
	}
	b.hub.stream.put(&entry{bus: b, deliver: func(string) { answer() }})
}

// owes counts an event among those that a room is owed until it is delivered.
func (b *streams) owes(to socket.Room, deliver func(string)) func(string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed[to]++
	return func(offset string) {
		deliver(offset)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.owed[to]--; b.owed[to] == 0 {
			delete(b.owed, to)
		}
	}
}

func (b *streams) answer(to string, m *wire.Message) {
	b.publish(b.public+to+"#", m)
}

// publish sends m as msgpack, which is all that Node's adapter reads from its channels.
func (b *streams) publish(channel string, m *wire.Message) {
	payload, err := wire.EncodeClusterMsgpack(m, b.node.Nsp().Name())
	if err != nil {
		b.node.lose(lostEncode, err)
		return
	}
	b.hub.out.put(item{kind: m.Kind, channel: channel, payload: payload})
}

func (b *streams) nodes(ctx context.Context) int {
	if b.hub.away() {
		return 1
	}
	return max(1, subscribers(ctx, b.hub.client, b.public, false))
}

func (b *streams) onMessage(_, payload string) {
	m, nsp, err := wire.DecodeCluster([]byte(payload))
	b.take(m, nsp, "", err)
}

// take handles a message of another node; offset is the id of its entry.
func (b *streams) take(m *wire.Message, nsp, offset string, err error) {
	switch {
	case err != nil:
		b.node.opts.Metrics.decodeErrors.Inc()
	case nsp == b.node.Nsp().Name():
		if b.recovers && m.Kind == wire.KindBroadcast && m.Packet.ID == nil && !m.Opts.Volatile {
			m.Offset = offset
		}
		b.node.handle(m)
	}
}

// PersistSession keeps the session of a client that is gone for a while.
func (n *node) PersistSession(s *socket.SessionToPersist) {
	if b := n.streams(); b != nil && b.sessions != nil {
		b.sessions.persist(session{sid: s.Sid, pid: s.Pid, rooms: s.Rooms.Keys(), data: s.Data})
	}
}

// RestoreSession returns the session of a client that is back and what it has missed since offset, or an error where
// either is not known any more.
func (n *node) RestoreSession(pid socket.PrivateSessionId, offset string) (*socket.Session, error) {
	b := n.streams()
	if b == nil || b.sessions == nil {
		return nil, nil
	}
	s, missed, err := b.sessions.restore(pid, offset)
	if err != nil {
		return nil, err
	}
	if old, ok := n.Nsp().Sockets().Load(s.sid); ok {
		b.sessions.release(s.sid)
		old.Disconnect(true) // the same session, half open: its end would take the new socket out of its rooms
	}
	n.bus.send(&wire.Message{
		Kind: wire.KindDisconnect, UID: n.uid, Close: true, Taken: true, Opts: wire.Target{Rooms: []socket.Room{socket.Room(s.sid)}},
	}, func(string) {})
	return &socket.Session{
		SessionToPersist: &socket.SessionToPersist{
			Sid: s.sid, Pid: s.pid, Rooms: types.NewSet(s.rooms...), Data: s.data,
		},
		MissedPackets: missed,
	}, nil
}

func (n *node) streams() *streams {
	l, _ := n.bus.(leaving)
	b, _ := l.bus.(*streams)
	return b
}
