package engineio

import "bytes"

// separator stands between the packets of a payload (Engine.IO protocol 4, "HTTP long-polling": the record separator).
const separator = 0x1e

// maxLengthDigits bounds a length in a payload of revision 3: no body of 10^9 units gets here.
const maxLengthDigits = 9

// Payload looks through the packets of a polling payload, the body of a client's POST or of a node's answer to a poll, as it
// comes in pieces, and notes what a gateway wants to know of them: of an answer, Closes alone. The body must be of identity coding:
// a compressed one is a payload with a fault at its beginning. Reset and ResetPost make it ready. It does not allocate, but for a
// client's JSONP in several pieces. It is for one goroutine at a time.
type Payload struct {
	// Closes is whether there was a close packet, after which the session is over. Nodes read a payload only up to its first
	// fault, and so does this.
	Closes bool
	// Attachments is the most binary attachments that one Socket.IO packet says will follow it (Socket.IO protocol 5, "Packet
	// encoding"): math.MaxInt where it says none, or in digits that only JavaScript takes for a number.
	Attachments int
	// OddEvent is whether there was an event whose name is neither text nor a number.
	OddEvent bool
	// Opaque is whether nodes may find packets in the payload that were not looked at here: it is a form other than the one that browsers
	// send for JSONP, or has lengths that nodes of revision 3 take for others.
	Opaque bool

	form   form
	begun  bool
	faulty bool // nodes read no further
	at     place
	number int // of attachments, or the length under way

	digits int
	ack    bool // the packet is an acknowledgement
	left   int  // UTF-16 units or bytes of the packet that are still to come
	inside bool // a packet of revision 3: left counts
	text   bool // in a binary payload, the packet is text

	post    bool // it is a client's
	next    runes
	index   string // of JSONP's callback
	wrapped wrapped
	named   bool // the name of the form's field has been read
}

// form is how packets stand in a payload.
type form uint8

const (
	records form = iota // revision 4: with separators
	lengths             // revision 3: <length>:<packet>…, the length in UTF-16 units
	frames              // revision 3, binary: 0 for text or 1 for binary, the length as the bytes 0 to 9, ff, and the packet
)

// place is where in a packet the next byte stands.
type place uint8

const (
	atType       place = iota // of the Engine.IO packet
	atBase64Type              // behind the b of base64
	atPacketType              // of the Socket.IO packet
	atCount                   // of its attachments
	atOddCount                // the same, where no plain number stands
	atData                    // behind the type and the count
	inNamespace               // up to the comma
	atArray                   // before the array of an event
	atName                    // before the event's name
	closing                   // in a close packet
	passing                   // behind what is of interest
)

// Reset makes p ready for a node's answer to a poll, in the form that q says, JSONP's included.
func (p *Payload) Reset(q Query) {
	*p = Payload{form: records, index: q.JSONP}
	if q.Version != 4 {
		p.form = lengths
	}
}

// ResetPost makes p ready for a client's POST.
func (p *Payload) ResetPost(q Query) {
	p.Reset(q)
	p.post, p.wrapped.kind = true, formField
}

// ResetPacket makes p ready for a packet of a client that a WebSocket's text carries by itself, in either revision.
func (p *Payload) ResetPacket() { *p = Payload{form: records, post: true} }

// Seen reports whether the rest of the packet under way has nothing of interest.
func (p *Payload) Seen() bool { return p.at == passing }

// HasClose reports whether a node's answer to a poll, body, which is whole, holds a close packet: see Payload.
func HasClose(q Query, body []byte) bool {
	var p Payload
	p.Reset(q)
	p.Next(body, true)
	return p.Closes
}

// Next looks through the next piece of the payload; last tells that none follows. A node's JSONP comes in one piece.
func (p *Payload) Next(piece []byte, last bool) {
	switch {
	case p.index == "":
		p.look(piece, last)
	case p.post:
		p.lookInField(piece, last)
	default:
		if literal, err := callbackLiteral(p.index, piece); err == nil {
			p.wrapped.b = literal
			p.lookInWrapped(0)
		}
	}
}

// look looks through a piece of the payload itself.
func (p *Payload) look(b []byte, last bool) {
	if !p.begun && len(b) > 0 {
		p.begun = true
		if p.form == lengths && b[0] <= 1 && p.index == "" {
			p.form = frames
		}
	}
	for len(b) > 0 {
		switch {
		case p.form == records:
			b = p.lookInRecord(b)
		case p.faulty:
			if p.post {
				p.lookAnywhere(b)
			}
			return
		case last && p.inside && p.at == passing && p.left >= len(b):
			return // nothing comes behind the last packet
		case !p.inside:
			p.lookAtLength(b[0])
			b = b[1:]
		case p.form == lengths:
			b = p.lookInUnits(b)
		default:
			b = p.lookInBytes(b)
		}
	}
}

// lookInRecord looks at the beginning of b and returns the rest of it. Behind a fault it goes on, since other nodes than Node's may.
func (p *Payload) lookInRecord(b []byte) []byte {
	switch {
	case p.at == passing:
		end := bytes.IndexByte(b, separator)
		if end < 0 {
			return nil
		}
		p.at = atType
		return b[end+1:]
	case b[0] == separator:
		p.faulty = p.faulty || p.at == atType
		p.at = atType
	default:
		p.see(b[0])
		if p.at == closing {
			p.end() // it is told by its first character, whatever follows it
		}
	}
	return b[1:]
}

// lookAtLength reads a byte of the head of a packet of revision 3.
func (p *Payload) lookAtLength(c byte) {
	if p.form == lengths {
		p.whole(c)
	}
	switch {
	case p.form == lengths && p.digits == 0 && unitsAt(c) == 0: // the last packet's last character ends
	case p.form == lengths && c == ':' && p.digits > 0:
		p.begin(p.number)
	case p.form == lengths && p.digits < maxLengthDigits && '0' <= c && c <= '9':
		p.number, p.digits = p.number*10+int(c-'0'), p.digits+1
	case p.form == lengths:
		p.fault(oddNumber(c) || '0' <= c && c <= '9')
	case p.digits == 0 && c <= 1:
		p.text, p.digits = c == 0, 1
	case p.digits > 1 && c == 0xff && p.number > 0:
		p.begin(p.number)
	case p.digits > 0 && p.digits <= maxLengthDigits && c <= 9:
		p.number, p.digits = p.number*10+int(c), p.digits+1
	default: // Node counts a byte of more than 9 as two or three digits
		p.fault(true)
	}
}

// fault notes that the payload is not as it should be, and whether nodes may read on all the same.
func (p *Payload) fault(opaque bool) {
	p.faulty = true
	p.Opaque = p.Opaque || p.post && opaque
}

// lookAnywhere looks at what is behind a fault in a POST of revision 3. Nodes disagree on what is a length, so a packet may begin
// wherever one can have ended.
func (p *Payload) lookAnywhere(b []byte) {
	for _, c := range b {
		p.see(c)
		if (c == ':' || c == 0xff) && p.at != inNamespace && p.at != atArray && p.at != atName {
			p.at = atType
		}
	}
}

// begin begins a packet of revision 3. An empty one is none.
func (p *Payload) begin(size int) {
	p.left, p.inside, p.at = size, size > 0, atType
	p.number, p.digits = 0, 0
}

// lookInUnits looks at the beginning of b, in a packet whose length is in UTF-16 units, and returns the rest of it.
func (p *Payload) lookInUnits(b []byte) []byte {
	for len(b) > 0 && p.left > 0 {
		if p.at == passing {
			if n := asciiRun(b, p.left); n > 0 && p.next.left == 0 {
				p.left, b = p.left-n, b[n:]
				continue
			}
		}
		if p.at != passing {
			p.see(b[0])
		}
		p.whole(b[0])
		p.left, b = p.left-unitsAt(b[0]), b[1:]
	}
	if p.left == 0 {
		p.end()
	}
	if p.left < 0 { // a character is cut in half
		p.fault(false)
	}
	return b
}

// whole notes a byte of what a client sends, and a fault where it is not UTF-8: what nodes take bad bytes for is counted otherwise. An
// answer may have halves of surrogate pairs.
func (p *Payload) whole(c byte) {
	if p.post && !p.next.take(c) {
		p.fault(true)
	}
}

// lookInBytes is lookInUnits for a length in bytes.
func (p *Payload) lookInBytes(b []byte) []byte {
	n := min(p.left, len(b))
	for _, c := range b[:n] {
		if p.at == passing {
			break
		}
		if p.text {
			p.see(c)
		} else if p.at = passing; c == 1 { // binary packets have their type as a number
			p.at = closing
		}
	}
	if p.left -= n; p.left == 0 {
		p.end()
	}
	return b[n:]
}

// end ends a packet.
func (p *Payload) end() {
	p.Closes = p.Closes || p.at == closing && !p.faulty
	p.inside, p.at, p.number, p.digits = false, passing, 0, 0
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
