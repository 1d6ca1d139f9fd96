// Package packet follows the packets of one Socket.IO session (protocol 5 over Engine.IO 4) through the WebSocket frames of its tunnel. It
// keeps what another node has to be told to go on with the session, and changes what passes where a session changes its node: see Session.
//
//	var s packet.Session
//	out := s.Pass(packet.Client, b) // for the node
//	out = s.Pass(packet.Node, b)    // for the client
//	if s.Settled() == nil {
//		…
//	}
//
// It has no descriptor and no clock. Frames that are compressed are not read: a tunnel that is followed must not have agreed on that.
package packet

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"strconv"
)

// Packet types of Engine.IO 4 and Socket.IO 5 that matter here.
const (
	eioOpen    = '0'
	eioClose   = '1'
	eioPing    = '2'
	eioPong    = '3'
	eioMessage = '4'
	eioUpgrade = '5'
	eioBinary  = 'b' // in a payload (Engine.IO 4, "Packet encoding")

	sioConnect      = '0'
	sioDisconnect   = '1'
	sioEvent        = '2'
	sioAck          = '3'
	sioConnectError = '4'
	sioBinaryEvent  = '5'
	sioBinaryAck    = '6'
)

// packet is one Socket.IO packet, as the client's parser reads its text (socket.io-parser, decodeString).
type packet struct {
	kind        byte
	attachments int
	namespace   string
	id          uint64
	hasID       bool
	data        []byte // JSON, as far as it is there
}

// parse reads a text message of Engine.IO that carries a packet of Socket.IO; false for one that does not.
func parse(b []byte) (p packet, ok bool) {
	if len(b) < 2 || b[0] != eioMessage || b[1] < sioConnect || b[1] > sioBinaryAck {
		return p, false
	}
	p.kind, p.namespace, b = b[1], "/", b[2:]
	if p.kind == sioBinaryEvent || p.kind == sioBinaryAck {
		i := bytes.IndexByte(b, '-')
		if i < 0 {
			return p, false
		}
		n, err := strconv.ParseUint(string(b[:i]), 10, 16)
		if err != nil {
			return p, false
		}
		p.attachments, b = int(n), b[i+1:]
	}
	if len(b) > 0 && b[0] == '/' {
		name, rest, _ := bytes.Cut(b, []byte{','})
		if len(name) > 1 {
			p.namespace = string(name)
		}
		b = rest
	}
	digits := 0
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		id, err := strconv.ParseUint(string(b[:digits]), 10, 64)
		if err != nil {
			return p, false
		}
		p.id, p.hasID, b = id, true, b[digits:]
	}
	p.data = b
	return p, true
}

// isEvent reports whether the client takes the packet for an event.
func (p *packet) isEvent() bool { return p.kind == sioEvent || p.kind == sioBinaryEvent }

// Offset is where an event stands in the stream of @socket.io/redis-streams-adapter: the id of its entry there.
type Offset struct{ ms, seq uint64 }

// String returns the offset as clients and Redis write it.
func (o Offset) String() string {
	return strconv.FormatUint(o.ms, 10) + "-" + strconv.FormatUint(o.seq, 10)
}

// Millis is the time at which the entry was made, by Redis' clock, in ms since 1970.
func (o Offset) Millis() int64 { return int64(o.ms) }

// IsZero reports whether o is none.
func (o Offset) IsZero() bool { return o == Offset{} }

// ParseOffset reads what String wrote.
func ParseOffset(s string) (o Offset, ok bool) {
	ms, seq, found := bytes.Cut([]byte(s), []byte{'-'})
	if !found {
		return Offset{}, false
	}
	var err1, err2 error
	o.ms, err1 = strconv.ParseUint(string(ms), 10, 63)
	o.seq, err2 = strconv.ParseUint(string(seq), 10, 64)
	return o, err1 == nil && err2 == nil
}

// Before reports whether o stands in front of p.
func (o Offset) Before(p Offset) bool { return o.ms < p.ms || o.ms == p.ms && o.seq < p.seq }

// offset finds the offset that an adapter has appended to an event as its last argument, and returns where the JSON in front of it ends.
func offset(data []byte) (o Offset, end int, found bool) {
	const longest = 40
	n := len(data)
	if n < 4 || data[n-1] != ']' || data[n-2] != '"' {
		return o, 0, false
	}
	quote := bytes.LastIndexByte(data[max(0, n-2-longest):n-2], '"')
	if quote < 0 {
		return o, 0, false
	}
	quote += max(0, n-2-longest)
	if quote == 0 || data[quote-1] != ',' {
		return o, 0, false
	}
	o, found = ParseOffset(string(data[quote+1 : n-2]))
	return o, quote - 1, found
}

// Namespace is a namespace that the session is connected to.
type Namespace struct {
	Name string
	SID  string // socket.id
	PID  string // by which the session is restored; "": the node does not do that
	auth []byte // what the client has sent with its CONNECT, a JSON object; nil: nothing
}

// Connect returns the packet by which a node is asked to go on with the session in this namespace, as a client that comes back sends
// it (socket.io-client, lib/socket.ts, _sendConnectPacket). Without an offset it asks for a new one.
func (n *Namespace) Connect(o Offset) []byte {
	b := []byte{eioMessage, sioConnect}
	if n.Name != "/" {
		b = append(append(b, n.Name...), ',')
	}
	if n.PID == "" {
		return append(b, n.auth...)
	}
	said := map[string]any{}
	if len(n.auth) > 0 {
		raw := map[string]json.RawMessage{}
		_ = json.Unmarshal(n.auth, &raw) // something else than an object says nothing that a node would know
		for key, value := range raw {
			said[key] = value
		}
	}
	delete(said, "pid") // by which the client itself has come back once
	delete(said, "offset")
	if !o.IsZero() {
		said["pid"], said["offset"] = n.PID, o.String()
	}
	if len(said) == 0 {
		return b
	}
	text, _ := json.Marshal(said) // what was parsed can be written
	return append(b, text...)
}

// seed is that of all hashes of events.
var seed = maphash.MakeSeed()

// hash tells events without an offset from each other.
func hash(namespace string, text []byte) uint64 {
	return maphash.String(seed, namespace) ^ maphash.Bytes(seed, text)
}
