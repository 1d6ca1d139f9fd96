package wire

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// clusterTypes are the message types of socket.io-adapter's ClusterAdapter (MessageType), which the sharded and the
// streams adapters of Node send.
var clusterTypes = [...]Kind{
	1:  KindHeartbeatFirst,
	2:  KindHeartbeat,
	3:  KindBroadcast,
	4:  KindJoin,
	5:  KindLeave,
	6:  KindDisconnect,
	7:  KindFetch,
	8:  KindFetched,
	9:  KindServerSide,
	10: KindServerSideAnswer,
	11: KindClientCount,
	12: KindClientAck,
	13: KindClose,
}

// clusterType is the number that k has on the wire; a broadcast that wants answers shares its number with one that does
// not, and differs by its requestId.
func clusterType(k Kind) int64 {
	if k == KindBroadcastAck {
		k = KindBroadcast
	}
	for i, c := range clusterTypes {
		if c == k && i > 0 {
			return int64(i)
		}
	}
	return 0
}

// clusterData is the data field of m.
func clusterData(m *Message) Object {
	o := Object{}
	if m.Request != "" {
		o["requestId"] = m.Request
	}
	switch m.Kind {
	case KindBroadcast, KindBroadcastAck:
		o["packet"], o["opts"] = m.Packet.object(), m.Opts.object()
	case KindJoin, KindLeave:
		o["opts"], o["rooms"] = m.Opts.object(), RoomList(m.Rooms)
	case KindDisconnect:
		o["opts"], o["close"] = m.Opts.object(), m.Close
		if m.Taken {
			o["taken"] = true // ours; Node's adapter looks for nothing beyond what it knows
		}
	case KindFetch:
		o["opts"] = m.Opts.object()
	case KindFetched:
		o["sockets"] = m.list()
	case KindServerSide:
		o["packet"] = m.Data
	case KindServerSideAnswer, KindClientAck:
		o["packet"] = m.Value
	case KindClientCount:
		o["clientCount"] = int64(m.Count)
	}
	return o
}

// EncodeCluster writes m as the sharded adapter sends it.
func EncodeCluster(m *Message, nsp string) ([]byte, error) { return clusterObject(m, nsp).encode() }

// EncodeClusterMsgpack writes m as the streams adapter sends it beside its stream: in msgpack whatever it carries.
func EncodeClusterMsgpack(m *Message, nsp string) ([]byte, error) {
	return appendMsgpack(nil, clusterObject(m, nsp), 0)
}

// clusterObject is m whole.
func clusterObject(m *Message, nsp string) Object {
	return Object{"uid": m.UID, "nsp": nsp, "type": clusterType(m.Kind), "data": clusterData(m)}
}

// readCluster reads a message of the given type; data may be nil for those that carry none.
func readCluster(t int64, data Object) (*Message, error) {
	if t <= 0 || t >= int64(len(clusterTypes)) {
		return nil, errMessage
	}
	m := &Message{Kind: clusterTypes[t], Request: data.Text("requestId"), Opts: readTarget(data.object("opts"))}
	var err error
	switch m.Kind {
	case KindBroadcast:
		if m.Request != "" {
			m.Kind = KindBroadcastAck
		}
		if m.Packet, err = readPacket(data.object("packet")); err != nil {
			return nil, err
		}
	case KindJoin, KindLeave:
		m.Rooms = ReadRooms(data.List("rooms"))
	case KindDisconnect:
		m.Close, m.Taken = data.flag("close"), data.flag("taken")
	case KindFetched:
		m.Sockets = readSockets(data.List("sockets"))
	case KindServerSide:
		m.Data = data.List("packet")
	case KindServerSideAnswer, KindClientAck:
		m.Value = data["packet"]
	case KindClientCount:
		n, ok := data.number("clientCount")
		if !ok || n < 0 {
			return nil, errMessage
		}
		m.Count = uint64(n)
	}
	return m, m.check(data.has("opts"))
}

// DecodeCluster reads a whole message and the namespace that it is for.
func DecodeCluster(b []byte) (m *Message, nsp string, err error) {
	o, err := DecodeObject(b)
	if err != nil {
		return nil, "", err
	}
	t, _ := o.number("type")
	if m, err = readCluster(t, o.object("data")); err != nil {
		return nil, "", err
	}
	m.UID = o.Text("uid")
	return m, o.Text("nsp"), nil
}

// EncodeStream are the fields of the stream entry for m: data is JSON, or the base64 of msgpack where it holds binary.
func EncodeStream(m *Message, nsp string) ([]any, error) {
	data := clusterData(m)
	var text string
	if hasBinary(data) {
		b, err := appendMsgpack(nil, data, 0)
		if err != nil {
			return nil, err
		}
		text = base64.StdEncoding.EncodeToString(b)
	} else {
		b, err := json.Marshal(data)
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	return []any{"uid", m.UID, "nsp", nsp, "type", strconv.FormatInt(clusterType(m.Kind), 10), "data", text}, nil
}

// DecodeStream reads the fields of a stream entry.
func DecodeStream(values map[string]any) (m *Message, nsp string, err error) {
	o := Object(values)
	t, err := strconv.ParseInt(o.Text("type"), 10, 64)
	if err != nil {
		return nil, "", errMessage
	}
	b := []byte(o.Text("data"))
	var data Object
	if len(b) > 0 {
		if b[0] != '{' {
			if b, err = base64.StdEncoding.DecodeString(string(b)); err != nil {
				return nil, "", err
			}
		}
		if data, err = DecodeObject(b); err != nil {
			return nil, "", err
		}
	}
	if m, err = readCluster(t, data); err != nil {
		return nil, "", err
	}
	m.UID = o.Text("uid")
	return m, o.Text("nsp"), nil
}
