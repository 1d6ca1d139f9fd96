package adapter

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

// encodePubSub writes m for the plain pub/sub adapter: a broadcast as the msgpack list [uid, packet, opts], requests and
// responses as objects.
func encodePubSub(m *message) ([]byte, error) {
	switch m.kind {
	case kindBroadcast:
		return appendMsgpack(nil, []any{m.uid, map[string]any(m.packet.object()), map[string]any(m.opts.object())}, 0)
	case kindClientCount:
		return object{"type": psClientCount, "requestId": m.request, "clientCount": int64(m.count)}.encode()
	case kindClientAck:
		return object{"type": psClientAck, "requestId": m.request, "packet": m.value}.encode()
	case kindServerSideAnswer:
		return object{"type": psServerSide, "requestId": m.request, "data": m.value}.encode()
	case kindFetched:
		return object{"requestId": m.request, "sockets": m.list()}.encode()
	case kindRoomsAnswer:
		return object{"requestId": m.request, "rooms": roomList(m.rooms)}.encode()
	case kindSids:
		return object{"requestId": m.request, "sockets": roomList(m.rooms)}.encode()
	}
	o := object{"uid": m.uid}
	if m.request != "" {
		o["requestId"] = m.request
	}
	switch m.kind {
	case kindRooms:
		o["type"] = psRooms
	case kindJoin:
		o["type"], o["opts"], o["rooms"] = psJoin, m.opts.object(), roomList(m.rooms)
	case kindLeave:
		o["type"], o["opts"], o["rooms"] = psLeave, m.opts.object(), roomList(m.rooms)
	case kindDisconnect:
		o["type"], o["opts"], o["close"] = psDisconnect, m.opts.object(), m.close
	case kindFetch:
		o["type"], o["opts"] = psFetch, m.opts.object()
	case kindServerSide:
		o["type"], o["data"] = psServerSide, m.data
	case kindBroadcastAck:
		o["type"], o["packet"], o["opts"] = psBroadcast, m.packet.object(), m.opts.object()
	default:
		return nil, errMessage
	}
	return o.encode()
}

// list is what kindFetched carries of this node's sockets.
func (m *message) list() []any {
	l, _ := m.value.([]any)
	return l
}

// decodeBroadcast reads what a broadcast channel carries.
func decodeBroadcast(b []byte) (*message, error) {
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
	if pk.nsp == "" {
		pk.nsp = "/"
	}
	return &message{kind: kindBroadcast, uid: uid, packet: pk, opts: readTarget(opts)}, nil
}

// decodeRequest reads what the request channel carries.
func decodeRequest(b []byte) (*message, error) {
	o, err := decodeObject(b)
	if err != nil {
		return nil, err
	}
	m := &message{uid: o.text("uid"), request: o.text("requestId"), opts: readTarget(o.object("opts"))}
	t, ok := o.number("type")
	if !ok {
		return nil, errMessage
	}
	switch t {
	case psSockets:
		m.kind, m.opts.rooms = kindSids, readRooms(o.list("rooms"))
	case psRooms:
		m.kind = kindRooms
	case psJoin, psLeave:
		m.kind = kindJoin
		if t == psLeave {
			m.kind = kindLeave
		}
		m.rooms = readRooms(o.list("rooms"))
		if !o.has("opts") { // before version 8: one socket, one room
			m.rooms = readRooms([]any{o["room"]})
			m.sid = socket.SocketId(o.text("sid"))
		}
	case psDisconnect:
		m.kind, m.close = kindDisconnect, o.flag("close")
		if !o.has("opts") {
			m.sid = socket.SocketId(o.text("sid"))
		}
	case psFetch:
		m.kind = kindFetch
	case psServerSide:
		m.kind, m.data = kindServerSide, o.list("data")
	case psBroadcast:
		m.kind = kindBroadcastAck
		if m.packet, err = readPacket(o.object("packet")); err != nil {
			return nil, err
		}
	default:
		return nil, errMessage
	}
	return m, m.check(o.has("opts"))
}

// check refuses a request without what its kind needs: one with neither opts nor a socket would concern everybody.
func (m *message) check(hasOpts bool) error {
	switch m.kind {
	case kindJoin, kindLeave, kindDisconnect:
		if !hasOpts && m.sid == "" {
			return errMessage
		}
	case kindFetch, kindBroadcastAck:
		if !hasOpts || m.request == "" {
			return errMessage
		}
	case kindRooms, kindSids:
		if m.request == "" {
			return errMessage
		}
	case kindServerSide:
		if len(m.data) == 0 {
			return errMessage
		}
	}
	return nil
}

// decodeResponse reads what a response channel carries. Most responses have no type and are told by what they hold.
func decodeResponse(b []byte) (*message, error) {
	o, err := decodeObject(b)
	if err != nil {
		return nil, err
	}
	m := &message{request: o.text("requestId")}
	if m.request == "" {
		return nil, errMessage
	}
	t, typed := o.number("type")
	switch {
	case typed && t == psClientCount:
		n, ok := o.number("clientCount")
		if !ok || n < 0 {
			return nil, errMessage
		}
		m.kind, m.count = kindClientCount, uint64(n)
	case typed && t == psClientAck:
		m.kind, m.value = kindClientAck, o["packet"]
	case typed && t == psServerSide:
		m.kind, m.value = kindServerSideAnswer, o["data"]
	case o.has("sockets"):
		m.kind, m.sockets = kindFetched, readSockets(o.list("sockets"))
	case o.has("rooms"):
		m.kind, m.rooms = kindRoomsAnswer, readRooms(o.list("rooms"))
	}
	return m, nil
}

func readSockets(list []any) []details {
	sockets := make([]details, 0, len(list))
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			sockets = append(sockets, readDetails(o))
		}
	}
	return sockets
}
