package adapter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/sidway/sidway/adapter/internal/group"
	"github.com/sidway/sidway/adapter/internal/mend"
	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// bus carries messages between the nodes of one namespace.
type bus interface {
	// send hands m over for the other nodes, in the order of the calls, and never waits for Redis. deliver brings m to
	// this node's own sockets; it is called exactly once, in the order of the sends.
	send(m *wire.Message, deliver func(offset string))
	// answer hands m over for the node that asked.
	answer(to string, m *wire.Message)
	// nodes counts the nodes of the namespace, this one included. Where Redis does not say, it is 1.
	nodes(ctx context.Context) int
	close()
}

// node is the adapter of one namespace on one server, whatever the bus.
type node struct {
	rooms
	uid      string
	bus      bus
	opts     Options
	requests requests
	taken    func(socket.SocketId) // if set: called before a socket goes whose session goes on elsewhere
	behind   mend.Behind           // if set: how acknowledgements are given
	upcalls  serial                // runs the user's code that other nodes cause, in order and off the receiving goroutine

	ctx    context.Context // ends at Close: the node's requests end with it
	cancel context.CancelFunc
	wg     group.Group
	once   sync.Once

	countMu sync.Mutex
	count   int64
	counted time.Time
}

var _ socket.Adapter = (*node)(nil)

func newNode(nsp socket.Namespace, opts Options) *node {
	n := &node{uid: newID(), opts: opts}
	n.Adapter = socket.MakeAdapter()
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.Prototype(n)
	n.Construct(nsp)
	return n
}

// start begins what a node does by itself. The bus is set by then.
func (n *node) start() {
	n.joining = mend.Order(n.Nsp(), n.behind)
	n.spawn(n.sweep)
}

// newID is an id for a node or a request: 16 hexadecimal digits, as Node's adapters make them.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// Close leaves the cluster. It returns when nothing of the adapter runs any more, but for handlers of the user.
func (n *node) Close() {
	n.once.Do(func() {
		n.cancel()
		n.bus.close()
		n.requests.close()
		n.wg.Wait()
	})
}

// ServerCount returns how many nodes serve the namespace, this one included; 1 while Redis is away.
func (n *node) ServerCount() int64 {
	n.countMu.Lock()
	defer n.countMu.Unlock()
	// The library asks again right behind a broadcast that wants acknowledgements, and must get what was expected then.
	if time.Since(n.counted) > 20*time.Millisecond {
		ctx, cancel := context.WithTimeout(n.ctx, time.Second)
		defer cancel()
		n.count = int64(n.bus.nodes(ctx))
		n.counted = time.Now()
	}
	return n.count
}

// event makes the message for an event of the user; ok is false where its arguments cannot be encoded.
func (n *node) event(k wire.Kind, p *parser.Packet, t wire.Target) (m *wire.Message, ok bool) {
	args, _ := p.Data.([]any)
	data, err := wire.NormalizeList(args)
	if err != nil || len(data) == 0 {
		n.lose(lostEncode, err)
		return nil, false
	}
	return &wire.Message{Kind: k, UID: n.uid, Packet: &wire.Packet{Nsp: n.Nsp().Name(), Data: data}, Opts: t}, true
}

func (n *node) lose(reason string, err error) {
	n.opts.Metrics.lost.WithLabelValues(reason).Inc()
	n.opts.Logger.Warn("message lost", slog.String("reason", reason), slog.Any("error", err))
}

// Broadcast sends an event to the sockets of all nodes. It does not wait for Redis.
func (n *node) Broadcast(p *parser.Packet, o *socket.BroadcastOptions) {
	t := wire.TargetOf(o)
	m, ok := n.event(wire.KindBroadcast, p, t)
	if !ok {
		return
	}
	m.Packet.ID = p.Id
	n.bus.send(m, func(offset string) { n.deliver(m.Packet, t, offset) })
}

// AddSockets makes the sockets of all nodes that match join rooms.
func (n *node) AddSockets(o *socket.BroadcastOptions, join []socket.Room) {
	m := &wire.Message{Kind: wire.KindJoin, UID: n.uid, Opts: wire.TargetOf(o), Rooms: join}
	n.bus.send(m, func(string) { n.change(m) })
}

// DelSockets makes the sockets of all nodes that match leave rooms.
func (n *node) DelSockets(o *socket.BroadcastOptions, leave []socket.Room) {
	m := &wire.Message{Kind: wire.KindLeave, UID: n.uid, Opts: wire.TargetOf(o), Rooms: leave}
	n.bus.send(m, func(string) { n.change(m) })
}

// DisconnectSockets disconnects the sockets of all nodes that match, with their connections if wanted.
func (n *node) DisconnectSockets(o *socket.BroadcastOptions, connection bool) {
	m := &wire.Message{Kind: wire.KindDisconnect, UID: n.uid, Opts: wire.TargetOf(o), Close: connection}
	n.bus.send(m, func(string) { n.change(m) })
}

// change applies KindJoin, KindLeave or KindDisconnect to the sockets of this node.
func (n *node) change(m *wire.Message) {
	var list []*socket.Socket
	if m.SID != "" {
		if s, ok := n.Nsp().Sockets().Load(m.SID); ok {
			list = []*socket.Socket{s}
		}
	} else {
		list = n.socketsOf(m.Opts)
	}
	for _, s := range list {
		switch m.Kind {
		case wire.KindJoin:
			s.Join(m.Rooms...)
		case wire.KindLeave:
			for _, room := range m.Rooms {
				s.Leave(room)
			}
		case wire.KindDisconnect:
			if m.Taken && n.taken != nil {
				n.taken(s.Id())
			}
			if m.UID == n.uid {
				s.Disconnect(m.Close)
			} else {
				n.upcalls.run(func() { s.Disconnect(m.Close) })
			}
		}
	}
}

// ServerSideEmit sends an event to the other nodes. With an acknowledgement as its last argument it returns at once and
// calls that when all nodes have answered, or with an error when the time for it is over.
func (n *node) ServerSideEmit(args []any) error {
	var ack socket.Ack
	if len(args) > 0 {
		if fn, ok := args[len(args)-1].(socket.Ack); ok {
			ack, args = fn, args[:len(args)-1]
		}
	}
	data, err := wire.NormalizeList(args)
	if err != nil {
		return err
	}
	m := &wire.Message{Kind: wire.KindServerSide, UID: n.uid, Data: data}
	if ack == nil {
		n.bus.send(m, func(string) {})
		return nil
	}
	n.spawn(func() {
		r := n.ask(m, n.opts.RequestTimeout)
		go ack(r.values, r.err) // which may close the adapter, and that waits for this goroutine
	})
	return nil
}

// spawn runs fn unless the node is closed; Close waits for it.
func (n *node) spawn(fn func()) {
	if n.ctx.Err() != nil {
		return
	}
	n.wg.Go(fn)
}

// FetchSockets returns the sockets of all nodes that match. The function that it returns waits for the other nodes and
// then calls back, on the same goroutine; where not all of them answered in time, with those that did and an error.
func (n *node) FetchSockets(o *socket.BroadcastOptions) func(func([]socket.SocketDetails, error)) {
	return func(callback func([]socket.SocketDetails, error)) {
		t := wire.TargetOf(o)
		list := []socket.SocketDetails{}
		n.each(t, func(s *socket.Socket) { list = append(list, s) })
		if t.Local {
			callback(list, nil)
			return
		}
		limit := n.opts.RequestTimeout
		if t.Timeout > 0 {
			limit = t.Timeout
		}
		r := n.ask(&wire.Message{Kind: wire.KindFetch, UID: n.uid, Opts: t}, limit)
		for i := range r.sockets {
			list = append(list, &r.sockets[i])
		}
		callback(list, r.err)
	}
}

// allRooms lists the rooms of all nodes, private ones too.
func (n *node) allRooms(ask wire.Kind) ([]socket.Room, error) {
	all := types.NewSet(n.Rooms().Keys()...)
	r := n.ask(&wire.Message{Kind: ask, UID: n.uid}, n.opts.RequestTimeout)
	all.Add(r.rooms...)
	for _, s := range r.sockets {
		all.Add(s.Rooms().Keys()...)
	}
	return all.Keys(), r.err
}
