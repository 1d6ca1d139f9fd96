package adapter

import (
	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/zishang520/socket.io/v2/socket"
)

// Plant has c find l where it looks for the library.
func Plant(c socket.AdapterConstructor, l library.Library) {
	switch c := c.(type) {
	case *constructor:
		c.check.library = l
	case *localConstructor:
		c.check.library = l
	}
}

// What the tests of the package see beyond what it exports: the codecs, which have no other way in.

// EncodeMsgpack is appendMsgpack.
func EncodeMsgpack(v any) ([]byte, error) {
	n, err := normalize(v, 0)
	if err != nil {
		return nil, err
	}
	return appendMsgpack(nil, n, 0)
}

// DecodeMsgpack is decodeMsgpack.
func DecodeMsgpack(b []byte) (any, error) { return decodeMsgpack(b) }

// Normalize is normalize.
func Normalize(v any) (any, error) { return normalize(v, 0) }

// Frame reads b as every kind of message and, where it is one, writes it again and reads that. It returns what was read
// the first and the second time.
func Frame(b []byte) (first, second []*Message, err error) {
	for _, c := range codecs {
		m, err := c.decode(b)
		if err != nil || m.kind == kindUnknown || m.kind == kindSids || m.sid != "" { // requests of old versions are read and never written
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

// Message is message.
type Message = message

type codec struct {
	decode func([]byte) (*message, error)
	encode func(*message) ([]byte, error)
}

var codecs = []codec{
	{decodeBroadcast, encodePubSub},
	{decodeRequest, encodePubSub},
	{decodeResponse, encodePubSub},
	{func(b []byte) (*message, error) {
		m, _, err := decodeCluster(b)
		return m, err
	}, func(m *message) ([]byte, error) { return clusterObject(m, "/").encode() }},
	{func(b []byte) (*message, error) {
		m, _, err := decodeStream(map[string]any{"uid": "u", "nsp": "/", "type": "3", "data": string(b)})
		return m, err
	}, func(m *message) ([]byte, error) {
		v, err := streamValues(m, "/")
		if err != nil {
			return nil, err
		}
		return []byte(v[7].(string)), nil
	}},
}

// relist gives the sockets that were read back to the field that the encoders read, and forgets a target where the kind
// of message has none.
func (m *message) relist() {
	switch m.kind {
	case kindBroadcast, kindBroadcastAck, kindJoin, kindLeave, kindDisconnect, kindFetch:
	default:
		m.opts = target{}
	}
	if m.kind != kindFetched {
		return
	}
	list := []any{}
	for i := range m.sockets {
		d := &m.sockets[i]
		data, _ := normalize(d.data, 0)
		list = append(list, map[string]any{
			"id": string(d.id), "handshake": map[string]any(handshakeObject(d.handshake)),
			"rooms": roomList(d.rooms), "data": data,
		})
	}
	m.value = list
	m.sockets = nil
}
