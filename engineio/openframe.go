package engineio

import "encoding/binary"

// The bits of a WebSocket frame's first two bytes (RFC 6455, 5.2).
const (
	finBit      = 0x80
	rsvBits     = 0x70
	opBits      = 0x0f
	maskBit     = 0x80
	opContinue  = 0x0
	opText      = 0x1
	opClose     = 0x8
	opPing      = 0x9
	opPong      = 0xa
	maxControl  = 125
	maxFrameLen = OpenLimit
)

// FindOpenFrame reads the open packet that is the first message of a WebSocket without a sid in its URL, from what a
// node sends after its 101 (Engine.IO protocol 4, "Handshake"). The message may be fragmented and control frames may
// stand before and between its fragments.
//
// It returns ErrShort while the message is not complete and b is shorter than OpenLimit, and an error that wraps
// ErrNoOpen where the first message is something else: binary, compressed (its bytes cannot be read here; the session
// is served but its limits stay unknown), masked, or raw HTTP, with which Node's engine.io 6 refuses revision 3. It
// allocates the sid, and the message where that is fragmented.
func FindOpenFrame(b []byte) (Open, error) {
	message, err := firstMessage(b)
	if err == ErrShort && len(b) >= OpenLimit {
		err = ErrNoOpen
	}
	if err != nil {
		return Open{}, err
	}
	return wholePacket(message, len(message), true)
}

// FindProbePong looks for the node's answer to a probe in what it sends after the 101 of an upgrade (Engine.IO protocol 4, "Upgrade"). It
// returns nil where that is the first message, ErrShort while it is not complete, and an error that wraps ErrNoOpen where the node says
// something else: a close frame, where another upgrade of the session is under way.
func FindProbePong(b []byte) error {
	message, err := firstMessage(b)
	if err == nil && string(message) != ProbePong {
		err = ErrNoOpen
	}
	return err
}

// firstMessage returns the first data message in b, aliasing b where it came in one frame.
func firstMessage(b []byte) ([]byte, error) {
	var message []byte
	started := false
	for {
		f, n, err := readFrame(b)
		if err != nil {
			return nil, err
		}
		b = b[n:]
		switch {
		case f.op == opPing || f.op == opPong:
			continue
		case f.op == opText && !started && f.final:
			return f.payload, nil
		case f.op == opText && !started, f.op == opContinue && started:
			started = true
			message = append(message, f.payload...)
		default:
			return nil, ErrNoOpen
		}
		if f.final {
			return message, nil
		}
	}
}

// frame is one WebSocket frame of a server.
type frame struct {
	op      byte
	final   bool
	payload []byte
}

// readFrame reads the frame at the start of b and returns its length, header included.
func readFrame(b []byte) (f frame, n int, err error) {
	if len(b) < 2 {
		if len(b) == 1 && b[0]&rsvBits != 0 {
			return f, 0, ErrNoOpen
		}
		return f, 0, ErrShort
	}
	f.op, f.final = b[0]&opBits, b[0]&finBit != 0
	control := f.op&0x8 != 0
	size := uint64(b[1] &^ maskBit)
	if b[0]&rsvBits != 0 || b[1]&maskBit != 0 || control && (!f.final || size > maxControl) {
		return f, 0, ErrNoOpen
	}
	n = 2
	if size > maxControl {
		if size, n = longLength(b); n == 0 {
			return f, 0, ErrShort
		}
	}
	switch {
	case size > maxFrameLen:
		return f, 0, ErrNoOpen
	case uint64(len(b)-n) < size:
		return f, 0, ErrShort
	}
	f.payload = b[n : n+int(size)]
	return f, n + int(size), nil
}

// longLength reads the length that follows the second byte where that has no room for it, and returns the header's
// length, 0 if b is cut within it.
func longLength(b []byte) (size uint64, n int) {
	if b[1] == 126 {
		if len(b) < 4 {
			return 0, 0
		}
		return uint64(binary.BigEndian.Uint16(b[2:])), 4
	}
	if len(b) < 10 {
		return 0, 0
	}
	return binary.BigEndian.Uint64(b[2:]), 10
}
