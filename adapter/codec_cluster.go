package adapter

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// clusterTypes are the message types of socket.io-adapter's ClusterAdapter (MessageType), which the sharded and the
// streams adapters of Node send.
var clusterTypes = [...]kind{
	1:  kindHeartbeatFirst,
	2:  kindHeartbeat,
	3:  kindBroadcast,
	4:  kindJoin,
	5:  kindLeave,
	6:  kindDisconnect,
	7:  kindFetch,
	8:  kindFetched,
	9:  kindServerSide,
	10: kindServerSideAnswer,
	11: kindClientCount,
	12: kindClientAck,
	13: kindClose,
}

// clusterType is the number that k has on the wire; a broadcast that wants answers shares its number with one that does
// not, and differs by its requestId.
func clusterType(k kind) int64 {
	if k == kindBroadcastAck {
		k = kindBroadcast
	}
	for i, c := range clusterTypes {
		if c == k && i > 0 {
			return int64(i)
		}
	}
	return 0
}

// clusterData is the data field of m.
func clusterData(m *message) object {
	o := object{}
	if m.request != "" {
		o["requestId"] = m.request
	}
	switch m.kind {
	case kindBroadcast, kindBroadcastAck:
		o["packet"], o["opts"] = m.packet.object(), m.opts.object()
	case kindJoin, kindLeave:
		o["opts"], o["rooms"] = m.opts.object(), roomList(m.rooms)
	case kindDisconnect:
		o["opts"], o["close"] = m.opts.object(), m.close
		if m.taken {
			o["taken"] = true // ours; Node's adapter looks for nothing beyond what it knows
		}
	case kindFetch:
		o["opts"] = m.opts.object()
	case kindFetched:
		o["sockets"] = m.list()
	case kindServerSide:
		o["packet"] = m.data
	case kindServerSideAnswer, kindClientAck:
		o["packet"] = m.value
	case kindClientCount:
		o["clientCount"] = int64(m.count)
	}
	return o
}

// clusterObject is m whole, as the sharded adapter sends it.
func clusterObject(m *message, nsp string) object {
	return object{"uid": m.uid, "nsp": nsp, "type": clusterType(m.kind), "data": clusterData(m)}
}

// readCluster reads a message of the given type; data may be nil for those that carry none.
func readCluster(t int64, data object) (*message, error) {
	if t <= 0 || t >= int64(len(clusterTypes)) {
		return nil, errMessage
	}
	m := &message{kind: clusterTypes[t], request: data.text("requestId"), opts: readTarget(data.object("opts"))}
	var err error
	switch m.kind {
	case kindBroadcast:
		if m.request != "" {
			m.kind = kindBroadcastAck
		}
		if m.packet, err = readPacket(data.object("packet")); err != nil {
			return nil, err
		}
	case kindJoin, kindLeave:
		m.rooms = readRooms(data.list("rooms"))
	case kindDisconnect:
		m.close, m.taken = data.flag("close"), data.flag("taken")
	case kindFetched:
		m.sockets = readSockets(data.list("sockets"))
	case kindServerSide:
		m.data = data.list("packet")
	case kindServerSideAnswer, kindClientAck:
		m.value = data["packet"]
	case kindClientCount:
		n, ok := data.number("clientCount")
		if !ok || n < 0 {
			return nil, errMessage
		}
		m.count = uint64(n)
	}
	return m, m.check(data.has("opts"))
}

// decodeCluster reads a whole message and the namespace that it is for.
func decodeCluster(b []byte) (m *message, nsp string, err error) {
	o, err := decodeObject(b)
	if err != nil {
		return nil, "", err
	}
	t, _ := o.number("type")
	if m, err = readCluster(t, o.object("data")); err != nil {
		return nil, "", err
	}
	m.uid = o.text("uid")
	return m, o.text("nsp"), nil
}

// streamValues are the fields of the stream entry for m: data is JSON, or the base64 of msgpack where it holds binary.
func streamValues(m *message, nsp string) ([]any, error) {
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
	return []any{"uid", m.uid, "nsp", nsp, "type", strconv.FormatInt(clusterType(m.kind), 10), "data", text}, nil
}

// decodeStream reads the fields of a stream entry.
func decodeStream(values map[string]any) (m *message, nsp string, err error) {
	o := object(values)
	t, err := strconv.ParseInt(o.text("type"), 10, 64)
	if err != nil {
		return nil, "", errMessage
	}
	b := []byte(o.text("data"))
	var data object
	if len(b) > 0 {
		if b[0] != '{' {
			if b, err = base64.StdEncoding.DecodeString(string(b)); err != nil {
				return nil, "", err
			}
		}
		if data, err = decodeObject(b); err != nil {
			return nil, "", err
		}
	}
	if m, err = readCluster(t, data); err != nil {
		return nil, "", err
	}
	m.uid = o.text("uid")
	return m, o.text("nsp"), nil
}
