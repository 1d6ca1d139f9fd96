package engineio

import "math"

// see looks at a byte of a packet that is text.
func (p *Payload) see(c byte) {
	switch p.at {
	case atType, atBase64Type:
		p.seeType(c)
	case atPacketType:
		switch c {
		case '2':
			p.at = atData
		case '5', '6': // a binary event or acknowledgement
			p.at, p.number, p.digits, p.ack = atCount, 0, 0, c == '6'
		default:
			p.at = passing
		}
	case atCount, atOddCount:
		p.seeCount(c)
	case atData:
		if p.at = inNamespace; c != '/' {
			p.at = atArray
			p.see(c)
		}
	case inNamespace:
		if c == ',' {
			p.at = atArray
		}
	case atArray: // behind a number, or none
		if c == '[' {
			p.at = atName
		}
	case atName:
		if c > ' ' {
			p.OddEvent = p.OddEvent || c != '"' && c != '-' && c != ']' && (c < '0' || c > '9')
			p.at = passing
		}
	}
}

// seeType looks at the type of an Engine.IO packet. Base64 of binary data is marked by a b before the type in revision 3, in place of it
// in revision 4.
func (p *Payload) seeType(c byte) {
	base64 := p.at == atBase64Type
	p.at = passing
	switch {
	case c == PacketClose[0]:
		p.at = closing
	case base64:
	case c == '4' && p.post:
		p.at = atPacketType
	case c == 'b' && p.form != records:
		p.at = atBase64Type
	case c != 'b' && (c < '0' || c > '6'):
		p.fault(false)
	}
}

// oddNumber reports whether a byte may be of what JavaScript's Number takes, beside digits: all white space of Unicode too.
func oddNumber(c byte) bool { return oddNumbers[c] || c >= 0x80 }

var oddNumbers = byteSet("+.eExXoObBaAcCdDfFInity \t\n\r\v\f")

// seeCount looks at a byte of the number of attachments, which a hyphen ends. What cannot be a number is refused by every node.
func (p *Payload) seeCount(c byte) {
	switch {
	case c == '-':
		if p.at == atOddCount || p.number == 0 || p.digits > maxLengthDigits {
			p.number = math.MaxInt
		}
		p.Attachments = max(p.Attachments, p.number)
		if p.at, p.number, p.digits = atData, 0, 0; p.ack {
			p.at = passing
		}
	case '0' <= c && c <= '9':
		if p.digits++; p.digits <= maxLengthDigits {
			p.number = p.number*10 + int(c-'0')
		}
	case oddNumber(c):
		p.at = atOddCount
	default:
		p.at = passing
	}
}
