package engineio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Open is the open packet's content (Engine.IO protocol 4, "Handshake"): what a node tells of the session it has made.
// A figure that the node did not give, or gave as no positive number, is zero. The times come in whole milliseconds.
type Open struct {
	SID          string
	PingInterval time.Duration
	PingTimeout  time.Duration
	MaxPayload   int64 // bytes in one payload; old nodes do not say
	WebSocket    bool  // the node offers to upgrade the session to one
}

// OpenLimit is how many bytes of an answer may be given to FindOpen or FindOpenFrame before both stop asking for more.
// An open packet has about 120.
const OpenLimit = 16 << 10

// What FindOpen and FindOpenFrame find instead of an open packet.
var (
	// ErrShort says that the bytes are the beginning of an answer that may hold an open packet: read more, ask again.
	ErrShort = errors.New("engineio: the open packet is not complete")
	// ErrNoOpen says that the answer does not begin with an open packet, whatever follows.
	ErrNoOpen = errors.New("engineio: no open packet")
	// ErrOpenSID is the ErrNoOpen of an open packet whose sid is not ValidSID: its session cannot be bound.
	ErrOpenSID = fmt.Errorf("%w with a sid of 1 to 128 unreserved URL characters that no object of JavaScript inherits", ErrNoOpen)
)

// FindOpen reads the open packet at the start of a polling handshake's answer, whose content coding must be identity.
// It knows all four framings: revision 4 (0{…}), revision 3 as text (97:0{…}) and as bytes (00 09 07 ff 0{…}), and the
// first two inside a JSONP callback where the query has a j. The framing is told from the bytes and not from the query's
// version, since Node's engine.io 3 answers a query with EIO=4 in revision 3.
//
// It returns ErrShort while the packet is not complete and body is shorter than OpenLimit, and an error that wraps
// ErrNoOpen where there is none. It allocates the sid, and the unwrapped payload of a JSONP answer.
func FindOpen(q Query, body []byte) (Open, error) {
	o, err := findOpen(q, body)
	if err == ErrShort && len(body) >= OpenLimit {
		err = ErrNoOpen
	}
	return o, err
}

func findOpen(q Query, body []byte) (Open, error) {
	if q.JSONP == "" {
		return openInPayload(body)
	}
	literal, err := callbackLiteral(q.JSONP, body)
	if err != nil {
		return Open{}, err
	}
	w := wrapped{b: literal, kind: literalText}
	payload := make([]byte, 0, min(len(literal), OpenLimit))
	for c, ok := w.next(); ok && len(payload) < OpenLimit; c, ok = w.next() {
		payload = append(payload, c)
	}
	o, err := openInPayload(payload)
	if err == ErrShort && w.ended {
		err = ErrNoOpen
	}
	return o, err
}

// callbackLiteral returns what follows the quote that opens the JSONP answer's only argument. The answer may be cut at
// any byte.
func callbackLiteral(index string, body []byte) ([]byte, error) {
	rest := body
	for _, want := range [...]string{jsonpHead, index, `]("`} {
		n := min(len(want), len(rest))
		if string(rest[:n]) != want[:n] {
			return nil, ErrNoOpen
		}
		if n < len(want) {
			return nil, ErrShort
		}
		rest = rest[n:]
	}
	return rest, nil
}

// openInPayload reads the open packet at the start of an unwrapped payload.
func openInPayload(b []byte) (Open, error) {
	if len(b) == 0 {
		return Open{}, ErrShort
	}
	switch c := b[0]; {
	case c == '0':
		o, n, err := openPacket(b)
		// Revision 4 ends a packet with the payload or with a record separator.
		if err == nil && n < len(b) && b[n] != separator {
			return Open{}, ErrNoOpen
		}
		return o, err
	case '1' <= c && c <= '9':
		return openInText(b)
	case c == 0:
		return openInBytes(b)
	}
	return Open{}, ErrNoOpen
}

// openInText reads the first packet of a payload of revision 3, whose length counts UTF-16 units.
func openInText(b []byte) (Open, error) {
	colon := bytes.IndexByte(b[:min(len(b), maxLengthDigits+1)], ':')
	if colon < 0 {
		colon = len(b)
	}
	units, ok := parseLength(b[:colon])
	switch {
	case !ok:
		return Open{}, ErrNoOpen
	case colon == len(b):
		return Open{}, ErrShort
	}
	b = b[colon+1:]
	end, ok := skipUnits(b, units)
	return wholePacket(b, end, ok)
}

// openInBytes reads the first packet of a binary payload of revision 3: a zero for "this is text", the length as the
// bytes 0 to 9, ff, and the packet.
func openInBytes(b []byte) (Open, error) {
	size, head, err := byteLength(b)
	if err != nil {
		return Open{}, err
	}
	b = b[head:]
	return wholePacket(b, size, size <= len(b))
}

// wholePacket reads the open packet that fills b up to end, which the payload says is its length; complete is whether
// b reaches that far.
func wholePacket(b []byte, end int, complete bool) (Open, error) {
	if !complete {
		if _, _, err := openPacket(b); err != nil {
			return Open{}, err
		}
		return Open{}, ErrShort
	}
	o, n, err := openPacket(b[:end])
	if err == ErrShort || err == nil && n != end {
		return Open{}, ErrNoOpen
	}
	return o, err
}

// openPacket reads an open packet that begins b: the digit 0, a JSON object, and the white space with which some encoders
// end it, such as encoding/json's. n is its length.
func openPacket(b []byte) (o Open, n int, err error) {
	switch {
	case len(b) == 0:
		return Open{}, 0, ErrShort
	case b[0] != '0':
		return Open{}, 0, ErrNoOpen
	}
	r := jsonReader{b: b, i: 1}
	o, err = r.open()
	if err == nil && !ValidSID(o.SID) {
		err = ErrOpenSID
	}
	if err != nil {
		return Open{}, 0, err
	}
	for n = r.i; n < len(b) && jsonSpace(b[n]); n++ {
	}
	return o, n, nil
}

// skipUnits returns how many bytes the first n UTF-16 units of b take, and whether b has so many. A character outside
// the basic plane is two units; one that is cut in half by n counts as not there.
func skipUnits(b []byte, n int) (size int, ok bool) {
	for n > 0 {
		if run := asciiRun(b[size:], n); run > 0 {
			size += run
			n -= run
			continue
		}
		if size == len(b) {
			return size, false
		}
		r, width := utf8.DecodeRune(b[size:])
		if r > 0xffff {
			n--
		}
		n--
		size += width
	}
	return size, n == 0
}

// asciiRun returns how many of the first n bytes of b are ASCII without a break, eight at a time.
func asciiRun(b []byte, n int) int {
	b = b[:min(n, len(b))]
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if binary.LittleEndian.Uint64(b[i:])&0x8080808080808080 != 0 {
			break
		}
	}
	for i < len(b) && b[i] < 0x80 {
		i++
	}
	return i
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
