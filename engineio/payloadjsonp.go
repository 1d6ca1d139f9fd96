package engineio

import "bytes"

// closeInJSONP looks through a payload that is wrapped for JSONP.
func closeInJSONP(q Query, body []byte, fromClient bool) bool {
	w := wrapped{b: body, kind: formField}
	if fromClient {
		// A browser's form has this field alone; nodes ignore a body in which d comes twice.
		d, ok := bytes.CutPrefix(body, []byte("d="))
		if !ok || bytes.IndexByte(d, '&') >= 0 {
			return false
		}
		w.b = d
	} else {
		literal, err := callbackLiteral(q.JSONP, body)
		if err != nil {
			return false
		}
		w.b, w.kind = literal, literalText
	}
	if q.Version == 4 {
		return w.closeInRecords()
	}
	return w.closeInText()
}

// closeInRecords is the function of that name for a wrapped payload.
func (w *wrapped) closeInRecords() bool {
	first := true
	for c, ok := w.next(); ok; c, ok = w.next() {
		switch {
		case first && c == PacketClose[0]:
			return true
		case first && !packetType(c) && c != 'b':
			return false
		}
		if first = c == separator; !first {
			w.skip(len(w.b))
		}
	}
	return false
}

// closeInText is the function of that name for a wrapped payload. (Binary payloads are never wrapped.)
func (w *wrapped) closeInText() bool {
	c, ok := w.next()
	for ok {
		var digits [maxLengthDigits]byte
		n := 0
		for ; ok && c != ':' && n < len(digits); n++ {
			digits[n] = c
			c, ok = w.next()
		}
		units, sound := parseLength(digits[:n])
		if !sound || c != ':' {
			return false
		}
		var start [2]byte
		if n, c, ok = w.packet(&start, units); n < 0 {
			return false
		}
		if n == 0 {
			continue
		}
		if isClose, sound := closeIs(start[:n]); isClose || !sound {
			return isClose
		}
	}
	return false
}

// packet passes over a packet of so many UTF-16 units and keeps its first bytes in start. It returns how many it kept,
// -1 where the payload ends before the packet, and what next returned behind the packet.
func (w *wrapped) packet(start *[2]byte, units int) (n int, c byte, ok bool) {
	c, ok = w.next()
	// A character's last bytes follow the one that was counted.
	for units > 0 || ok && c&0xc0 == 0x80 {
		if !ok {
			return -1, 0, false
		}
		if n < len(start) {
			start[n] = c
			n++
		}
		units -= unitsAt(c)
		if n == len(start) && units > 0 {
			units -= w.skip(units)
		}
		c, ok = w.next()
	}
	if units < 0 {
		return -1, 0, false
	}
	return n, c, ok
}

// unitsAt returns how many UTF-16 units the character takes that begins with this byte of UTF-8, 0 for a byte that
// begins none.
func unitsAt(c byte) int {
	switch {
	case c&0xc0 == 0x80:
		return 0
	case c >= 0xf0:
		return 2
	}
	return 1
}
