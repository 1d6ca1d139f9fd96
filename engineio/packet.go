package engineio

import "encoding/binary"

// Packets as they stand in a WebSocket's text message and in a polling payload of revision 4 (Engine.IO protocol 4,
// "Packet types" and "Upgrade").
const (
	PacketClose   = "1"
	PacketPing    = "2"
	PacketNoop    = "6"
	PacketUpgrade = "5"      // the client's last word in an upgrade
	ProbePing     = "2probe" // the client's first word on the new WebSocket
	ProbePong     = "3probe" // the node's answer to it
)

// AppendClose appends the polling payload that holds the close packet alone, in the form that the query asks for:
// "1", in revision 3 "1:1", as the call of a JSONP callback where the query has a j. A client that gets it in answer
// to a poll ends its session and makes a new one without another request to the old one.
func AppendClose(dst []byte, q Query) []byte {
	return appendPayload(dst, q, PacketClose)
}

// AppendNoop appends the polling payload that holds the noop packet alone, in the form that the query asks for. A
// client that gets it in answer to a poll keeps its session and polls again at once.
func AppendNoop(dst []byte, q Query) []byte {
	return appendPayload(dst, q, PacketNoop)
}

// appendPayload appends packet, which is one digit, as the payload for q.
func appendPayload(dst []byte, q Query, packet string) []byte {
	if q.JSONP != "" {
		dst = append(dst, jsonpHead...)
		dst = append(dst, q.JSONP...)
		dst = append(dst, `]("`...)
	}
	if q.Version != 4 {
		// Revision 3 writes a packet's length before it ("Payload").
		dst = append(dst, "1:"...)
	}
	dst = append(dst, packet...)
	if q.JSONP != "" {
		dst = append(dst, `");`...)
	}
	return dst
}

// jsonpHead is how each answer to a JSONP poll starts (engine.io, lib/transports/polling-jsonp.ts).
const jsonpHead = "___eio["

// AppendTextFrame appends the WebSocket frame in which a server sends packet (RFC 6455, 5.2): final, text, unmasked.
func AppendTextFrame(dst []byte, packet string) []byte {
	dst = append(dst, finBit|opText)
	switch n := len(packet); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, packet...)
}

// AppendCloseFrame appends the WebSocket close frame of a server with a status code (RFC 6455, 5.5.1 and 7.4) and no
// reason. On a WebSocket this, not the close packet, is what ends a session: nodes and the reference client ignore a
// close packet there.
func AppendCloseFrame(dst []byte, code uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, finBit|opClose, 2), code)
}
