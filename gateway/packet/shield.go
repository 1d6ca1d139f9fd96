package packet

import "slices"

// shield keeps the heartbeats of the node and those of the client apart (Engine.IO 4, "Heartbeat"): the node's pings are answered here, and the
// client is pinged from here.
type shield struct {
	on     bool
	owed   int  // pings of the node that are not answered
	ponged bool // the client has answered a ping
}

// Shield has no ping of the node pass, and no pong of the client. Answer and Ping say what is sent in their place.
func (s *Session) Shield() { s.shield.on = true }

// isBeat reports whether a frame can be a ping or a pong of Engine.IO.
func (h *header) isBeat() bool { return h.op == opText && h.fin && h.length == 1 }

// takesBeat reports whether a message of one character is a heartbeat.
func (s *Session) takesBeat(from Side, c byte) bool {
	if d := &s.streams[from]; d.frame.masked {
		c ^= d.frame.mask[0]
	}
	switch {
	case from == Node && c == eioPing:
		s.shield.owed++
		return true
	case from == Client && c == eioPong:
		s.shield.ponged = true
		return true
	}
	return false
}

// Answer returns the pongs for the node, as far as they can be sent now: what is left passes with the client's next message.
func (s *Session) Answer(mask [4]byte) (now []byte) {
	sh := &s.shield
	if s.turn != nil && s.turn.leaves { // behind a Close nothing is sent
		sh.owed = 0
	}
	for ; sh.owed > 0; sh.owed-- {
		now = append(now, s.insert(Client, AppendFrame(nil, opText, Client, []byte{eioPong}, mask))...)
	}
	return now
}

// Owes reports whether the node has sent a ping that is not answered.
func (s *Session) Owes() bool { return s.shield.owed > 0 }

// Ping returns a ping for the client, or has it pass with the node's next message.
func (s *Session) Ping() (now []byte) {
	return s.insert(Node, AppendFrame(nil, opText, Node, []byte{eioPing}, [4]byte{}))
}

// TakePong reports whether the client has answered a ping since it was last asked.
func (s *Session) TakePong() bool {
	took := s.shield.ponged
	s.shield.ponged = false
	return took
}

// Polls reports whether the session's packets do not run through the tunnel yet.
func (s *Session) Polls() bool { return s.probing }

// insert returns a frame that can be sent in a side's place now, between two of its messages, or has it pass with the next one.
func (s *Session) insert(from Side, frame []byte) (now []byte) {
	d := &s.streams[from]
	if d.between() && len(d.inserted) == 0 {
		return frame
	}
	d.inserted = append(d.inserted, frame...)
	return nil
}

// insertAt puts what waits to be inserted into b, which is what passes: at the gap, or behind all where that ends a message.
func (d *stream) insertAt(gap int, b []byte) []byte {
	if gap < 0 {
		if len(d.inserted) == 0 || !d.between() {
			return b
		}
		gap = len(b)
	}
	out := slices.Concat(b[:gap], d.inserted, b[gap:])
	d.inserted = nil
	return out
}
