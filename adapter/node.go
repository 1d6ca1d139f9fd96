package adapter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/sidway/sidway/adapter/internal/group"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// bus carries messages between the nodes of one namespace.
type bus interface {
	// send hands m over for the other nodes, in the order of the calls, and never waits for Redis. deliver brings m to
	// this node's own sockets; it is called exactly once, in the order of the sends.
	send(m *message, deliver func(offset string))
	// answer hands m over for the node that asked.
	answer(to string, m *message)
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
	n.harden()
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
func (n *node) event(k kind, p *parser.Packet, t target) (m *message, ok bool) {
	args, _ := p.Data.([]any)
	data, err := normalizeList(args, 0)
	if err != nil || len(data) == 0 {
		n.lose(lostEncode, err)
		return nil, false
	}
	return &message{kind: k, uid: n.uid, packet: &packet{nsp: n.Nsp().Name(), data: data}, opts: t}, true
}

func (n *node) lose(reason string, err error) {
	n.opts.Metrics.lost.WithLabelValues(reason).Inc()
	n.opts.Logger.Warn("message lost", slog.String("reason", reason), slog.Any("error", err))
}

// Broadcast sends an event to the sockets of all nodes. It does not wait for Redis.
func (n *node) Broadcast(p *parser.Packet, o *socket.BroadcastOptions) {
	t := targetOf(o)
	m, ok := n.event(kindBroadcast, p, t)
	if !ok {
		return
	}
	m.packet.id = p.Id
	n.bus.send(m, func(offset string) { n.deliver(m.packet, t, offset) })
}

// AddSockets makes the sockets of all nodes that match join rooms.
func (n *node) AddSockets(o *socket.BroadcastOptions, join []socket.Room) {
	m := &message{kind: kindJoin, uid: n.uid, opts: targetOf(o), rooms: join}
	n.bus.send(m, func(string) { n.change(m) })
}

// DelSockets makes the sockets of all nodes that match leave rooms.
func (n *node) DelSockets(o *socket.BroadcastOptions, leave []socket.Room) {
	m := &message{kind: kindLeave, uid: n.uid, opts: targetOf(o), rooms: leave}
	n.bus.send(m, func(string) { n.change(m) })
}

// DisconnectSockets disconnects the sockets of all nodes that match, with their connections if wanted.
func (n *node) DisconnectSockets(o *socket.BroadcastOptions, connection bool) {
	m := &message{kind: kindDisconnect, uid: n.uid, opts: targetOf(o), close: connection}
	n.bus.send(m, func(string) { n.change(m) })
}

// change applies kindJoin, kindLeave or kindDisconnect to the sockets of this node.
func (n *node) change(m *message) {
	var list []*socket.Socket
	if m.sid != "" {
		if s, ok := n.Nsp().Sockets().Load(m.sid); ok {
			list = []*socket.Socket{s}
		}
	} else {
		list = n.socketsOf(m.opts)
	}
	for _, s := range list {
		switch m.kind {
		case kindJoin:
			s.Join(m.rooms...)
		case kindLeave:
			for _, room := range m.rooms {
				s.Leave(room)
			}
		case kindDisconnect:
			if m.taken && n.taken != nil {
				n.taken(s.Id())
			}
			if m.uid == n.uid {
				s.Disconnect(m.close)
			} else {
				n.upcalls.run(func() { s.Disconnect(m.close) })
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
	data, err := normalizeList(args, 0)
	if err != nil {
		return err
	}
	m := &message{kind: kindServerSide, uid: n.uid, data: data}
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
		t := targetOf(o)
		list := []socket.SocketDetails{}
		n.each(t, func(s *socket.Socket) { list = append(list, s) })
		if t.local {
			callback(list, nil)
			return
		}
		limit := n.opts.RequestTimeout
		if t.timeout > 0 {
			limit = t.timeout
		}
		r := n.ask(&message{kind: kindFetch, uid: n.uid, opts: t}, limit)
		for i := range r.sockets {
			list = append(list, &r.sockets[i])
		}
		callback(list, r.err)
	}
}

// allRooms lists the rooms of all nodes, private ones too.
func (n *node) allRooms(ask kind) ([]socket.Room, error) {
	all := types.NewSet(n.Rooms().Keys()...)
	r := n.ask(&message{kind: ask, uid: n.uid}, n.opts.RequestTimeout)
	all.Add(r.rooms...)
	for _, s := range r.sockets {
		all.Add(s.rooms...)
	}
	return all.Keys(), r.err
}
