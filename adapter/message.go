package adapter

import (
	"errors"
	"strconv"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// errMessage is a message that decodes but does not make sense.
var errMessage = errors.New("adapter: malformed message")

// kind says what a message between nodes asks or answers. The numbers on the wire differ between Node's adapters and
// belong to the codecs.
type kind uint8

const (
	kindUnknown kind = iota
	kindBroadcast
	kindJoin
	kindLeave
	kindDisconnect
	kindFetch
	kindFetched
	kindServerSide
	kindServerSideAnswer
	kindBroadcastAck // a broadcast that wants acknowledgements
	kindClientCount
	kindClientAck
	kindRooms
	kindRoomsAnswer
	kindHeartbeatFirst
	kindHeartbeat
	kindClose
	kindSids // the old request for socket ids, answered for emitters and adapters before version 8
)

// message is one message between nodes, whatever carries it.
type message struct {
	kind    kind
	uid     string // who sent it: an adapter of one namespace on one node
	request string // id of the request that this asks or answers; empty when no answer is wanted
	packet  *packet
	opts    target
	rooms   []socket.Room // to join or to leave; the answer to kindRooms
	close   bool          // kindDisconnect: the connection too
	taken   bool          // kindDisconnect: the session goes on at the node that sends this
	data    []any         // kindServerSide: event and arguments
	value   any           // kindServerSideAnswer, kindClientAck: the one answer
	sockets []details     // kindFetched
	count   uint64        // kindClientCount
	sid     socket.SocketId
	offset  string // streams: the id of the entry that carried it
}

// packet is the part of a Socket.IO packet that travels: an event of a namespace.
type packet struct {
	nsp  string
	data []any
	id   *uint64
}

// local makes the library's packet. Its data is a list of its own, since the library's encoder replaces binary in it.
func (p *packet) local() *parser.Packet {
	return &parser.Packet{Type: parser.EVENT, Nsp: p.nsp, Data: p.data, Id: p.id}
}

func (p *packet) object() object {
	o := object{"type": 2, "data": p.data, "nsp": p.nsp}
	if p.id != nil {
		o["id"] = *p.id
	}
	return o
}

func readPacket(o object) (*packet, error) {
	data := o.list("data")
	if kind, ok := o.number("type"); !ok || kind != 2 && kind != 5 || len(data) == 0 {
		return nil, errMessage
	}
	if _, ok := data[0].(string); !ok {
		if _, ok := data[0].(int64); !ok { // JavaScript allows a number as the event's name
			return nil, errMessage
		}
	}
	p := &packet{nsp: o.text("nsp"), data: data}
	if id, ok := o.number("id"); ok && id >= 0 {
		u := uint64(id)
		p.id = &u
	}
	return p, nil
}

// target says which sockets a message is for, as the library's BroadcastOptions without its locks.
type target struct {
	rooms, except []socket.Room
	volatile      bool
	compress      bool
	local         bool
	single        bool // one client is asked and all of its answer is wanted
	timeout       time.Duration
}

func targetOf(o *socket.BroadcastOptions) target {
	if o == nil {
		return target{}
	}
	var t target
	if o.Rooms != nil {
		t.rooms = o.Rooms.Keys()
	}
	if o.Except != nil {
		t.except = o.Except.Keys()
	}
	if f := o.Flags; f != nil {
		t.volatile, t.compress, t.local, t.single = f.Volatile, f.Compress, f.Local, f.ExpectSingleResponse
		if f.Timeout != nil {
			t.timeout = *f.Timeout
		}
	}
	return t
}

// object writes the target as Node does: a flag that is not set is absent, because Node asks whether it is undefined.
func (t target) object() object {
	flags := object{}
	if t.volatile {
		flags["volatile"] = true
	}
	if t.compress {
		flags["compress"] = true
	}
	if t.single {
		flags["expectSingleResponse"] = true
	}
	if t.timeout > 0 {
		flags["timeout"] = t.timeout.Milliseconds()
	}
	return object{"rooms": roomList(t.rooms), "except": roomList(t.except), "flags": flags}
}

func readTarget(o object) target {
	t := target{rooms: readRooms(o.list("rooms")), except: readRooms(o.list("except"))}
	flags := o.object("flags")
	t.volatile, t.compress, t.single = flags.flag("volatile"), flags.flag("compress"), flags.flag("expectSingleResponse")
	if ms, ok := flags.number("timeout"); ok && ms > 0 {
		t.timeout = time.Duration(ms) * time.Millisecond
	}
	return t
}

func roomList(rooms []socket.Room) []string {
	list := make([]string, len(rooms))
	for i, r := range rooms {
		list[i] = string(r)
	}
	return list
}

// readRooms takes rooms as Node sends them: text, or a number, which JavaScript allows as a room.
func readRooms(list []any) []socket.Room {
	rooms := make([]socket.Room, 0, len(list))
	for _, r := range list {
		switch r := r.(type) {
		case string:
			rooms = append(rooms, socket.Room(r))
		case int64:
			rooms = append(rooms, socket.Room(strconv.FormatInt(r, 10)))
		}
	}
	return rooms
}

// details is a socket of any node, as fetchSockets returns it.
type details struct {
	id        socket.SocketId
	handshake *socket.Handshake
	rooms     []socket.Room
	data      any
}

var _ socket.SocketDetails = (*details)(nil)

func (d *details) Id() socket.SocketId            { return d.id }
func (d *details) Handshake() *socket.Handshake   { return d.handshake }
func (d *details) Rooms() *types.Set[socket.Room] { return types.NewSet(d.rooms...) }
func (d *details) Data() any                      { return d.data }
