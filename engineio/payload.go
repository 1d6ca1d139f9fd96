package engineio

import "bytes"

// separator stands between the packets of a payload (Engine.IO protocol 4, "HTTP long-polling": the record separator).
const separator = 0x1e

// maxLengthDigits bounds a length in a payload of revision 3: no body of 10^9 units gets here.
const maxLengthDigits = 9

// HasClose reports whether the polling payload in body holds a close packet, after which the session is over: in a
// client's POST (fromClient) or a node's answer to a poll, in the form that q says, JSONP's included. body must be
// whole and of identity coding; a payload is read as nodes read it, only up to the first fault. Compressed bodies are
// such a fault.
//
// HasClose does not allocate and passes over the data of packets without looking at it where that is possible.
func HasClose(q Query, body []byte, fromClient bool) bool {
	if q.JSONP != "" {
		return closeInJSONP(q, body, fromClient)
	}
	switch {
	case q.Version == 4:
		return closeInRecords(body)
	case len(body) > 0 && body[0] <= 1:
		return closeInBytes(body)
	}
	return closeInText(body)
}

// closeInRecords looks through a payload of revision 4. A packet is told by its first character, whatever follows it.
func closeInRecords(b []byte) bool {
	for len(b) > 0 {
		switch {
		case b[0] == PacketClose[0]:
			return true
		case !packetType(b[0]) && b[0] != 'b':
			return false
		}
		end := bytes.IndexByte(b, separator)
		if end < 0 {
			return false
		}
		b = b[end+1:]
	}
	return false
}

func packetType(c byte) bool { return '0' <= c && c <= '6' }

// closeInText looks through a text payload of revision 3: <length>:<packet>…, the length in UTF-16 units.
func closeInText(b []byte) bool {
	for {
		colon := bytes.IndexByte(b[:min(len(b), maxLengthDigits+1)], ':')
		if colon < 0 {
			return false
		}
		units, ok := parseLength(b[:colon])
		b = b[colon+1:]
		// A unit takes a byte at least, and a close packet three more: the usual payload of one packet ends here.
		if !ok || units > len(b) {
			return false
		}
		if units == 0 {
			continue
		}
		last := units > len(b)-len("1:1")
		if last && b[0] != PacketClose[0] && b[0] != 'b' {
			return false
		}
		size, ok := skipUnits(b, units)
		if !ok {
			return false
		}
		if isClose, sound := closeIs(b[:size]); isClose || !sound {
			return isClose
		}
		b = b[size:]
	}
}

// closeIs reports whether a text packet of revision 3 is a close packet, and whether nodes read on behind it. Base64 of
// binary data is marked by a 'b' before the type; of such a packet nodes do not check the type.
func closeIs(packet []byte) (isClose, sound bool) {
	c := packet[0]
	if c == 'b' {
		return len(packet) > 1 && packet[1] == PacketClose[0], true
	}
	return c == PacketClose[0], packetType(c)
}

// closeInBytes looks through a binary payload of revision 3: for each packet 0 for text or 1 for binary, its length as
// the bytes 0 to 9, ff, and the packet, whose type is a digit in text and the number itself in binary.
func closeInBytes(b []byte) bool {
	for len(b) > 0 {
		binary := b[0] == 1
		size, head, err := byteLength(b)
		if err != nil || size == 0 || size > len(b)-head {
			return false
		}
		packet := b[head : head+size]
		b = b[head+size:]
		if binary {
			if packet[0] == 1 {
				return true
			}
			continue
		}
		if isClose, sound := closeIs(packet); isClose || !sound {
			return isClose
		}
	}
	return false
}

// parseLength reads the decimal length of a packet.
func parseLength(digits []byte) (n int, ok bool) {
	if len(digits) == 0 || len(digits) > maxLengthDigits {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// byteLength reads the head of a packet in a binary payload of revision 3 and returns the packet's and the head's
// length. It returns ErrShort where b is cut within the head, ErrNoOpen where it is none.
func byteLength(b []byte) (size, head int, err error) {
	if b[0] > 1 {
		return 0, 0, ErrNoOpen
	}
	for i, c := range b[1:] {
		switch {
		case c == 0xff && i > 0:
			return size, i + 2, nil
		case c > 9 || i == maxLengthDigits:
			return 0, 0, ErrNoOpen
		}
		size = size*10 + int(c)
	}
	return 0, 0, ErrShort
}
