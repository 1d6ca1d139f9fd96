package adapter

import (
	"sync"

	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// rooms is who is in which room on this node, and delivery to them. It replaces the library's in three places: joining
// and leaving at once may not lose a member, a burst of broadcasts may not lose a packet, and one packet is encoded once.
type rooms struct {
	socket.Adapter // the library's own: its event emitter, its maps, and what nobody overrides

	mu      sync.Mutex                                          // guards changes of the maps, which readers see at any time
	joining func(socket.SocketId)                               // if set: called with mu held before a socket is in any room
	changed func(socket.SocketId)                               // if set: called when a socket has joined or left a room
	left    func(socket.SocketId)                               // if set: called when a socket has left all
	hold    func(*wire.Packet, wire.Target, string) wire.Target // if set: asked before an event is delivered
}

// roomEvent is one of the events that the library's adapter announces; told after the lock is given back, since a
// listener may join a room itself.
type roomEvent struct {
	name string
	args []any
}

func (r *rooms) tell(events []roomEvent) {
	for _, e := range events {
		r.Emit(types.EventName(e.name), e.args...)
	}
}

// AddAll puts a socket into rooms.
func (r *rooms) AddAll(id socket.SocketId, join *types.Set[socket.Room]) {
	var events []roomEvent
	r.mu.Lock()
	if r.joining != nil {
		r.joining(id)
	}
	mine, _ := r.Sids().LoadOrStore(id, types.NewSet[socket.Room]())
	for _, room := range join.Keys() {
		mine.Add(room)
		members, known := r.Rooms().LoadOrStore(room, types.NewSet[socket.SocketId]())
		if !known {
			events = append(events, roomEvent{"create-room", []any{room}})
		}
		if !members.Has(id) {
			members.Add(id)
			events = append(events, roomEvent{"join-room", []any{room, id}})
		}
	}
	r.mu.Unlock()
	r.tell(events)
	if r.changed != nil {
		r.changed(id)
	}
}

// Del takes a socket out of a room.
func (r *rooms) Del(id socket.SocketId, room socket.Room) {
	r.mu.Lock()
	if mine, ok := r.Sids().Load(id); ok {
		mine.Delete(room)
	}
	events := r.remove(nil, room, id)
	r.mu.Unlock()
	r.tell(events)
	if r.changed != nil {
		r.changed(id)
	}
}

// DelAll takes a socket out of all rooms.
func (r *rooms) DelAll(id socket.SocketId) {
	var events []roomEvent
	r.mu.Lock()
	if mine, ok := r.Sids().LoadAndDelete(id); ok {
		for _, room := range mine.Keys() {
			events = r.remove(events, room, id)
		}
	}
	r.mu.Unlock()
	r.tell(events)
	if r.left != nil {
		r.left(id)
	}
}

func (r *rooms) remove(events []roomEvent, room socket.Room, id socket.SocketId) []roomEvent {
	members, ok := r.Rooms().Load(room)
	if !ok {
		return events
	}
	if members.Has(id) {
		members.Delete(id)
		events = append(events, roomEvent{"leave-room", []any{room, id}})
	}
	if members.Len() == 0 {
		r.Rooms().Delete(room)
		events = append(events, roomEvent{"delete-room", []any{room}})
	}
	return events
}

// each calls fn once for every socket of this node that t is for.
func (r *rooms) each(t wire.Target, fn func(*socket.Socket)) {
	except := make(map[socket.SocketId]struct{})
	for _, room := range t.Except {
		if members, ok := r.Rooms().Load(room); ok {
			for _, id := range members.Keys() {
				except[id] = struct{}{}
			}
		}
	}
	visit := func(id socket.SocketId) {
		if _, out := except[id]; out {
			return
		}
		if s, ok := r.Nsp().Sockets().Load(id); ok {
			fn(s)
		}
	}
	if len(t.Rooms) == 0 {
		r.Sids().Range(func(id socket.SocketId, _ *types.Set[socket.Room]) bool {
			visit(id)
			return true
		})
		return
	}
	for _, room := range t.Rooms {
		members, ok := r.Rooms().Load(room)
		if !ok {
			continue
		}
		ids := members.Keys()
		for _, id := range ids {
			visit(id)
		}
		if len(t.Rooms) > 1 { // a socket in two of the rooms is visited once
			for _, id := range ids {
				except[id] = struct{}{}
			}
		}
	}
}

// deliver writes an event to the sockets of this node. offset, if not empty, is appended to the event's arguments: it
// is what the client names when it comes back.
//
// The frames are written one by one and not as the library's prepared frame: with that, it forgets the rest of a batch.
func (r *rooms) deliver(p *wire.Packet, t wire.Target, offset string) {
	d := delivery{rooms: r, packet: *p, target: t}
	if offset != "" {
		if r.hold != nil {
			d.target = r.hold(p, t, offset)
		}
		d.packet.Data = append(p.Data[:len(p.Data):len(p.Data)], offset)
	}
	r.each(d.target, d.to)
}

// delivery is one packet on its way to the sockets of this node, encoded when the first of them is found.
type delivery struct {
	rooms   *rooms
	packet  wire.Packet
	target  wire.Target
	frames  []types.BufferInterface
	options socket.WriteOptions
}

func (d *delivery) to(s *socket.Socket) {
	if d.frames == nil {
		d.packet.Nsp = d.rooms.Nsp().Name()
		d.frames = d.rooms.Nsp().Server().Encoder().Encode(d.packet.Local())
		d.options.PreEncoded = true
		d.options.Volatile = d.target.Volatile
		d.options.Compress = d.target.Compress
	}
	if notify := s.NotifyOutgoingListeners(); notify != nil {
		notify(&parser.Packet{Type: parser.EVENT, Nsp: d.packet.Nsp, Data: d.packet.Data, Id: d.packet.ID})
	}
	s.Client().WriteToEngine(d.frames, &d.options)
}

// socketsOf lists the sockets of this node that t is for.
func (r *rooms) socketsOf(t wire.Target) []*socket.Socket {
	var list []*socket.Socket
	r.each(t, func(s *socket.Socket) { list = append(list, s) })
	return list
}
