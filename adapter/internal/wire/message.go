// Package wire reads and writes what nodes of a cluster say to each other, as Node's adapters do: @socket.io/redis-adapter
// (its pub/sub in pubsub.go, its sharded one in cluster.go), @socket.io/redis-streams-adapter (cluster.go), and under all of
// them msgpack as notepack.io writes it.
//
//	payload, err := wire.EncodePubSub(&wire.Message{Kind: wire.KindJoin, UID: uid, Opts: wire.TargetOf(o), Rooms: rooms})
//	m, err := wire.DecodeRequest(payload)
//
// It sends nothing. What it reads is bounded in depth and never panics; the size is the caller's to bound.
package wire

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

// Kind says what a message between nodes asks or answers. The numbers on the wire differ between Node's adapters and
// belong to the codecs.
type Kind uint8

const (
	KindUnknown Kind = iota
	KindBroadcast
	KindJoin
	KindLeave
	KindDisconnect
	KindFetch
	KindFetched
	KindServerSide
	KindServerSideAnswer
	KindBroadcastAck // a broadcast that wants acknowledgements
	KindClientCount
	KindClientAck
	KindRooms
	KindRoomsAnswer
	KindHeartbeatFirst
	KindHeartbeat
	KindClose
	KindSids // the old request for socket ids, answered for emitters and adapters before version 8
)

// String is the label value of k.
func (k Kind) String() string {
	switch k {
	case KindBroadcast, KindBroadcastAck:
		return "broadcast"
	case KindJoin, KindLeave, KindDisconnect:
		return "rooms"
	case KindServerSide:
		return "server_side"
	case KindFetch, KindRooms, KindSids:
		return "request"
	case KindHeartbeat, KindHeartbeatFirst, KindClose, KindUnknown:
		return "other"
	}
	return "answer"
}

// Message is one message between nodes, whatever carries it.
type Message struct {
	Kind    Kind
	UID     string // who sent it: an adapter of one namespace on one node
	Request string // id of the request that this asks or answers; empty when no answer is wanted
	Packet  *Packet
	Opts    Target
	Rooms   []socket.Room // to join or to leave; the answer to KindRooms
	Close   bool          // KindDisconnect: the connection too
	Taken   bool          // KindDisconnect: the session goes on at the node that sends this
	Data    []any         // KindServerSide: event and arguments
	Value   any           // KindServerSideAnswer, KindClientAck: the one answer
	Sockets []Details     // KindFetched
	Count   uint64        // KindClientCount
	SID     socket.SocketId
	Offset  string // streams: the id of the entry that carried it
}

// Packet is the part of a Socket.IO packet that travels: an event of a namespace.
type Packet struct {
	Nsp  string
	Data []any
	ID   *uint64
}

// Local makes the library's packet. Its data is a list of its own, since the library's encoder replaces binary in it.
func (p *Packet) Local() *parser.Packet {
	return &parser.Packet{Type: parser.EVENT, Nsp: p.Nsp, Data: p.Data, Id: p.ID}
}

func (p *Packet) object() Object {
	o := Object{"type": 2, "data": p.Data, "nsp": p.Nsp}
	if p.ID != nil {
		o["id"] = *p.ID
	}
	return o
}

func readPacket(o Object) (*Packet, error) {
	data := o.List("data")
	if kind, ok := o.number("type"); !ok || kind != 2 && kind != 5 || len(data) == 0 {
		return nil, errMessage
	}
	if _, ok := data[0].(string); !ok {
		if _, ok := data[0].(int64); !ok { // JavaScript allows a number as the event's name
			return nil, errMessage
		}
	}
	p := &Packet{Nsp: o.Text("nsp"), Data: data}
	if id, ok := o.number("id"); ok && id >= 0 {
		u := uint64(id)
		p.ID = &u
	}
	return p, nil
}

// Target says which sockets a message is for, as the library's BroadcastOptions without its locks.
type Target struct {
	Rooms, Except []socket.Room
	Volatile      bool
	Compress      bool
	Local         bool
	Single        bool // one client is asked and all of its answer is wanted
	Timeout       time.Duration
}

func TargetOf(o *socket.BroadcastOptions) Target {
	if o == nil {
		return Target{}
	}
	var t Target
	if o.Rooms != nil {
		t.Rooms = o.Rooms.Keys()
	}
	if o.Except != nil {
		t.Except = o.Except.Keys()
	}
	if f := o.Flags; f != nil {
		t.Volatile, t.Compress, t.Local, t.Single = f.Volatile, f.Compress, f.Local, f.ExpectSingleResponse
		if f.Timeout != nil {
			t.Timeout = *f.Timeout
		}
	}
	return t
}

// object writes the target as Node does: a flag that is not set is absent, because Node asks whether it is undefined.
func (t Target) object() Object {
	flags := Object{}
	if t.Volatile {
		flags["volatile"] = true
	}
	if t.Compress {
		flags["compress"] = true
	}
	if t.Single {
		flags["expectSingleResponse"] = true
	}
	if t.Timeout > 0 {
		flags["timeout"] = t.Timeout.Milliseconds()
	}
	return Object{"rooms": RoomList(t.Rooms), "except": RoomList(t.Except), "flags": flags}
}

func readTarget(o Object) Target {
	t := Target{Rooms: ReadRooms(o.List("rooms")), Except: ReadRooms(o.List("except"))}
	flags := o.object("flags")
	t.Volatile, t.Compress, t.Single = flags.flag("volatile"), flags.flag("compress"), flags.flag("expectSingleResponse")
	if ms, ok := flags.number("timeout"); ok && ms > 0 {
		t.Timeout = time.Duration(ms) * time.Millisecond
	}
	return t
}

func RoomList(rooms []socket.Room) []string {
	list := make([]string, len(rooms))
	for i, r := range rooms {
		list[i] = string(r)
	}
	return list
}

// ReadRooms takes rooms as Node sends them: text, or a number, which JavaScript allows as a room.
func ReadRooms(list []any) []socket.Room {
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

// Details is a socket of any node, as fetchSockets returns it.
type Details struct {
	id        socket.SocketId
	handshake *socket.Handshake
	rooms     []socket.Room
	data      any
}

var _ socket.SocketDetails = (*Details)(nil)

func (d *Details) Id() socket.SocketId            { return d.id }
func (d *Details) Handshake() *socket.Handshake   { return d.handshake }
func (d *Details) Rooms() *types.Set[socket.Room] { return types.NewSet(d.rooms...) }
func (d *Details) Data() any                      { return d.data }
