package packet

import "slices"

// Gate keeps what the client of a WebSocket sends from its node until one of its CONNECTs is granted:
//
//	out, connect, ok := g.Take(b)  // what the client has sent; out is for the node
//	if connect != nil {
//		out = g.Grant()  // that is for the node too, and so is all that comes behind it
//		g.Refuse()       // or it is dropped; Take(nil) goes on
//	}
//
// Only whole frames pass that are known to be harmless: control frames, and pings, pongs and closes of Engine.IO. It also follows what the node sends,
// so that a packet for the client finds a place between two messages. It is for one goroutine at a time.
type Gate struct {
	held   []byte // of the client, from the beginning of a frame on
	size   int    // of the frame that a verdict is awaited of; 0: none is
	shut   bool   // nothing passes any more
	open   bool   // all does
	node   border
	toSend []byte // frames for the client
}

// NewGate returns a gate for a WebSocket on which the node has sent this.
func NewGate(early []byte) *Gate {
	g := &Gate{}
	g.node.pass(early)
	return g
}

// Take looks at what the client has sent, and returns what the node gets, and a CONNECT of which has to be judged before Take goes on: until then it
// keeps what it is given. ok is false where the client sends what it may not: then nothing passes any more.
func (g *Gate) Take(b []byte) (out []byte, connect *Connect, ok bool) {
	switch {
	case g.shut:
		return nil, nil, true
	case g.open:
		return b, nil, true
	}
	g.held = append(g.held, b...)
	if len(g.held) > mostKept {
		return nil, nil, g.close()
	}
	for g.size == 0 && len(g.held) > 0 {
		h, whole := parseHeader(g.held)
		switch {
		case whole && !h.mayPass(g.held[0]):
			return out, nil, g.close()
		case !whole || len(g.held)-h.size < int(h.length):
			return out, nil, true
		}
		size := h.size + int(h.length)
		if h.op == opText {
			u, ok := parseUnproven(h.unmask(nil, g.held[h.size:size], 0))
			if !ok {
				return out, nil, g.close()
			}
			if u.Connect != nil {
				g.size = size
				return out, u.Connect, true
			}
		}
		out = append(out, g.held[:size]...)
		g.held = g.held[size:]
	}
	return out, nil, true
}

// mayPass reports whether a client's frame, whose first byte is given, is of a kind and a length that may pass as a whole.
func (h *header) mayPass(first byte) bool {
	const reserved = 0x70
	switch {
	case !h.masked || !h.fin || first&reserved != 0:
		return false
	case h.op == opText:
		return h.length <= mostWhole
	case h.op == opClose, h.op == opPing, h.op == opPong:
		return h.length < 126
	}
	return false
}

// close drops all that is held, and all that comes. It returns false.
func (g *Gate) close() bool {
	g.shut, g.held = true, nil
	return false
}

// Grant returns the CONNECT that was to be judged, and all that is held behind it.
func (g *Gate) Grant() []byte {
	all := g.held
	g.held, g.size, g.open = nil, 0, true
	return all
}

// Judges reports whether a CONNECT is to be judged.
func (g *Gate) Judges() bool { return g.size > 0 }

// Refuse drops the CONNECT that was to be judged.
func (g *Gate) Refuse() {
	g.held, g.size = g.held[min(g.size, len(g.held)):], 0
}

// Say returns the frame of a packet for the client, as far as it can be sent now: else Follow returns it.
func (g *Gate) Say(packet []byte) (now []byte) {
	g.toSend = AppendFrame(g.toSend, opText, Node, packet, [4]byte{})
	return g.flush()
}

// Over reports whether the gate is of no more use: it is open, and the client has been told of what was refused before.
func (g *Gate) Over() bool { return g.open && len(g.toSend) == 0 }

// Follow is told what goes from the node to the client, and returns that with what waited for the end of a message.
func (g *Gate) Follow(b []byte) []byte {
	g.node.pass(b)
	if waiting := g.flush(); len(waiting) > 0 {
		return slices.Concat(b, waiting)
	}
	return b
}

func (g *Gate) flush() (now []byte) {
	if !g.node.between() {
		return nil
	}
	now, g.toSend = g.toSend, nil
	return now
}

// border finds where the messages of a node end.
type border struct {
	head  []byte // of a frame whose header is not whole
	left  uint64 // of the payload of the frame under way
	begun bool   // a message of several frames is under way
}

func (r *border) between() bool { return len(r.head) == 0 && r.left == 0 && !r.begun }

func (r *border) pass(b []byte) {
	for len(b) > 0 {
		if r.left > 0 {
			n := min(r.left, uint64(len(b)))
			r.left, b = r.left-n, b[n:]
			continue
		}
		r.head = append(r.head, b[0])
		b = b[1:]
		if h, ok := parseHeader(r.head); ok {
			r.head, r.left = r.head[:0], h.length
			if !h.isControl() {
				r.begun = !h.fin
			}
		}
	}
}
