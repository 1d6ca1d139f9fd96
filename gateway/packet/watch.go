package packet

import (
	"bytes"
	"encoding/json"
)

// Seen is a packet that has passed.
type Seen struct {
	From        Side
	Type        string // of Socket.IO, as binary_event; else of Engine.IO, as ping; attachment for a binary message
	Namespace   string // "" where it is not of Socket.IO
	Event       string // its name, if it is an event
	ID          uint64 // by which it is acknowledged, if HasID
	HasID       bool
	Attachments int
	Size        uint64 // of the message, in bytes
	Data        []byte // its payload, as far as it is known: valid until the call returns
}

// Watch has each packet that passes be told from now on, nil none.
func (s *Session) Watch(tell func(Seen)) { s.watch = tell }

var (
	engineTypes = [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}
	socketTypes = [...]string{"connect", "disconnect", "event", "ack", "connect_error", "binary_event", "binary_ack"}
)

// seen tells of a text message, of which b is as much as is known.
func (s *Session) seen(from Side, b []byte) {
	d := &s.streams[from]
	if s.watch == nil || d.drops || len(b) == 0 {
		return
	}
	v := Seen{From: from, Type: "unknown", Size: d.size, Data: b[1:]}
	if i := int(b[0] - eioOpen); i < len(engineTypes) {
		v.Type = engineTypes[i]
	}
	if p, ok := parse(b); ok {
		v.Type, v.Namespace = socketTypes[p.kind-sioConnect], p.namespace
		v.ID, v.HasID, v.Attachments, v.Data = p.id, p.hasID, p.attachments, p.data
		if p.isEvent() {
			v.Event = eventName(p.data)
		}
	}
	s.watch(v)
}

// eventName returns the first argument of an event, which may be cut behind it: a text, or a number.
func eventName(data []byte) string {
	var first json.RawMessage
	var name string
	if json.NewDecoder(bytes.NewReader(bytes.TrimLeft(data, "[ "))).Decode(&first) != nil || len(first) == 0 {
		return ""
	}
	if first[0] != '"' {
		return string(first)
	}
	_ = json.Unmarshal(first, &name) // it was just read
	return name
}
