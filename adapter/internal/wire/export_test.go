package wire

// What the tests of the package see beyond what it exports: the codecs, which have no other way in.

// DecodeMsgpack is decodeMsgpack.
func DecodeMsgpack(b []byte) (any, error) { return decodeMsgpack(b) }

// Frame reads b as every kind of message and, where it is one, writes it again and reads that. It returns what was read
// the first and the second time.
func Frame(b []byte) (first, second []*Message, err error) {
	for _, c := range codecs {
		m, err := c.decode(b)
		if err != nil || m.Kind == KindUnknown || m.Kind == KindSids || m.SID != "" { // requests of old versions are read and never written
			continue
		}
		m.relist()
		again, err := c.encode(m)
		if err != nil {
			return nil, nil, err
		}
		m2, err := c.decode(again)
		if err != nil {
			return nil, nil, err
		}
		m2.relist()
		first, second = append(first, m), append(second, m2)
	}
	return first, second, nil
}

type codec struct {
	decode func([]byte) (*Message, error)
	encode func(*Message) ([]byte, error)
}

var codecs = []codec{
	{DecodeBroadcast, EncodePubSub},
	{DecodeRequest, EncodePubSub},
	{DecodeResponse, EncodePubSub},
	{func(b []byte) (*Message, error) {
		m, _, err := DecodeCluster(b)
		return m, err
	}, func(m *Message) ([]byte, error) { return EncodeCluster(m, "/") }},
	{func(b []byte) (*Message, error) {
		m, _, err := DecodeStream(map[string]any{"uid": "u", "nsp": "/", "type": "3", "data": string(b)})
		return m, err
	}, func(m *Message) ([]byte, error) {
		v, err := EncodeStream(m, "/")
		if err != nil {
			return nil, err
		}
		return []byte(v[7].(string)), nil
	}},
}

// relist gives the sockets that were read back to the field that the encoders read, and forgets a target where the kind
// of message has none.
func (m *Message) relist() {
	switch m.Kind {
	case KindBroadcast, KindBroadcastAck, KindJoin, KindLeave, KindDisconnect, KindFetch:
	default:
		m.Opts = Target{}
	}
	if m.Kind != KindFetched {
		return
	}
	list := []any{}
	for i := range m.Sockets {
		d := &m.Sockets[i]
		data, _ := normalize(d.data, 0)
		list = append(list, map[string]any{
			"id": string(d.id), "handshake": map[string]any(handshakeObject(d.handshake)),
			"rooms": RoomList(d.rooms), "data": data,
		})
	}
	m.Value = list
	m.Sockets = nil
}
