package wire

import "github.com/zishang520/socket.io/v2/socket"

// The request types of @socket.io/redis-adapter (RequestType in its index.ts).
const (
	psSockets = iota
	psRooms
	psJoin
	psLeave
	psDisconnect
	psFetch
	psServerSide
	psBroadcast
	psClientCount
	psClientAck
)

// EncodePubSub writes m for the plain pub/sub adapter: a broadcast as the msgpack list [uid, packet, opts], requests and
// responses as objects.
func EncodePubSub(m *Message) ([]byte, error) {
	switch m.Kind {
	case KindBroadcast:
		return appendMsgpack(nil, []any{m.UID, map[string]any(m.Packet.object()), map[string]any(m.Opts.object())}, 0)
	case KindClientCount:
		return Object{"type": psClientCount, "requestId": m.Request, "clientCount": int64(m.Count)}.encode()
	case KindClientAck:
		return Object{"type": psClientAck, "requestId": m.Request, "packet": m.Value}.encode()
	case KindServerSideAnswer:
		return Object{"type": psServerSide, "requestId": m.Request, "data": m.Value}.encode()
	case KindFetched:
		return Object{"requestId": m.Request, "sockets": m.list()}.encode()
	case KindRoomsAnswer:
		return Object{"requestId": m.Request, "rooms": RoomList(m.Rooms)}.encode()
	case KindSids:
		return Object{"requestId": m.Request, "sockets": RoomList(m.Rooms)}.encode()
	}
	o := Object{"uid": m.UID}
	if m.Request != "" {
		o["requestId"] = m.Request
	}
	switch m.Kind {
	case KindRooms:
		o["type"] = psRooms
	case KindJoin:
		o["type"], o["opts"], o["rooms"] = psJoin, m.Opts.object(), RoomList(m.Rooms)
	case KindLeave:
		o["type"], o["opts"], o["rooms"] = psLeave, m.Opts.object(), RoomList(m.Rooms)
	case KindDisconnect:
		o["type"], o["opts"], o["close"] = psDisconnect, m.Opts.object(), m.Close
	case KindFetch:
		o["type"], o["opts"] = psFetch, m.Opts.object()
	case KindServerSide:
		o["type"], o["data"] = psServerSide, m.Data
	case KindBroadcastAck:
		o["type"], o["packet"], o["opts"] = psBroadcast, m.Packet.object(), m.Opts.object()
	default:
		return nil, errMessage
	}
	return o.encode()
}

// list is what KindFetched carries of this node's sockets.
func (m *Message) list() []any {
	l, _ := m.Value.([]any)
	return l
}

// DecodeBroadcast reads what a broadcast channel carries.
func DecodeBroadcast(b []byte) (*Message, error) {
	v, err := decodeMsgpack(b)
	if err != nil {
		return nil, err
	}
	l, ok := v.([]any)
	if !ok || len(l) < 3 {
		return nil, errMessage
	}
	uid, _ := l[0].(string)
	p, _ := l[1].(map[string]any)
	opts, _ := l[2].(map[string]any)
	pk, err := readPacket(p)
	if err != nil {
		return nil, err
	}
	if pk.Nsp == "" {
		pk.Nsp = "/"
	}
	return &Message{Kind: KindBroadcast, UID: uid, Packet: pk, Opts: readTarget(opts)}, nil
}

// DecodeRequest reads what the request channel carries.
func DecodeRequest(b []byte) (*Message, error) {
	o, err := DecodeObject(b)
	if err != nil {
		return nil, err
	}
	m := &Message{UID: o.Text("uid"), Request: o.Text("requestId"), Opts: readTarget(o.object("opts"))}
	t, ok := o.number("type")
	if !ok {
		return nil, errMessage
	}
	switch t {
	case psSockets:
		m.Kind, m.Opts.Rooms = KindSids, ReadRooms(o.List("rooms"))
	case psRooms:
		m.Kind = KindRooms
	case psJoin, psLeave:
		m.Kind = KindJoin
		if t == psLeave {
			m.Kind = KindLeave
		}
		m.Rooms = ReadRooms(o.List("rooms"))
		if !o.has("opts") { // before version 8: one socket, one room
			m.Rooms = ReadRooms([]any{o["room"]})
			m.SID = socket.SocketId(o.Text("sid"))
		}
	case psDisconnect:
		m.Kind, m.Close = KindDisconnect, o.flag("close")
		if !o.has("opts") {
			m.SID = socket.SocketId(o.Text("sid"))
		}
	case psFetch:
		m.Kind = KindFetch
	case psServerSide:
		m.Kind, m.Data = KindServerSide, o.List("data")
	case psBroadcast:
		m.Kind = KindBroadcastAck
		if m.Packet, err = readPacket(o.object("packet")); err != nil {
			return nil, err
		}
	default:
		return nil, errMessage
	}
	return m, m.check(o.has("opts"))
}

// check refuses a request without what its kind needs: one with neither opts nor a socket would concern everybody.
func (m *Message) check(hasOpts bool) error {
	switch m.Kind {
	case KindJoin, KindLeave, KindDisconnect:
		if !hasOpts && m.SID == "" {
			return errMessage
		}
	case KindFetch, KindBroadcastAck:
		if !hasOpts || m.Request == "" {
			return errMessage
		}
	case KindRooms, KindSids:
		if m.Request == "" {
			return errMessage
		}
	case KindServerSide:
		if len(m.Data) == 0 {
			return errMessage
		}
	}
	return nil
}

// DecodeResponse reads what a response channel carries. Most responses have no type and are told by what they hold.
func DecodeResponse(b []byte) (*Message, error) {
	o, err := DecodeObject(b)
	if err != nil {
		return nil, err
	}
	m := &Message{Request: o.Text("requestId")}
	if m.Request == "" {
		return nil, errMessage
	}
	t, typed := o.number("type")
	switch {
	case typed && t == psClientCount:
		n, ok := o.number("clientCount")
		if !ok || n < 0 {
			return nil, errMessage
		}
		m.Kind, m.Count = KindClientCount, uint64(n)
	case typed && t == psClientAck:
		m.Kind, m.Value = KindClientAck, o["packet"]
	case typed && t == psServerSide:
		m.Kind, m.Value = KindServerSideAnswer, o["data"]
	case o.has("sockets"):
		m.Kind, m.Sockets = KindFetched, readSockets(o.List("sockets"))
	case o.has("rooms"):
		m.Kind, m.Rooms = KindRoomsAnswer, ReadRooms(o.List("rooms"))
	}
	return m, nil
}

func readSockets(list []any) []Details {
	sockets := make([]Details, 0, len(list))
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			sockets = append(sockets, readDetails(o))
		}
	}
	return sockets
}
