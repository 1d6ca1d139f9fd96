package packet

import "github.com/sidway/sidway/engineio"

// Inspector judges what clients send.
type Inspector interface {
	// Inspect reports whether a packet may pass of which this has been seen.
	Inspect(*engineio.Payload) bool
}

// sentry shows a client's packets to an Inspector before they pass.
type sentry struct {
	judge   Inspector
	shared  *engineio.Payload // for a packet that tells at once what it is
	under   *engineio.Payload // the packet under way, of which too little has come
	refused bool
}

// Guard has each text message of the client be judged before all of it has passed. Behind one that is refused nothing of the client passes any
// more, so that the node never has the whole of it. Sessions that are used by the same goroutine may share what they look with.
func (s *Session) Guard(judge Inspector, shared *engineio.Payload) {
	s.sentry.judge, s.sentry.shared = judge, shared
}

// step is how many bytes are looked at at once: packets tell at their beginning what they are.
const step = 32

// inspect reports whether a piece of the client's frame under way may pass.
func (s *Session) inspect(piece []byte) bool {
	g, d := &s.sentry, &s.streams[Client]
	if g.judge == nil || d.drops {
		return true
	}
	var p *engineio.Payload
	switch h := &d.frame; {
	case h.op == opText && d.done == 0:
		p = g.shared
		p.ResetPacket()
	case h.op == opText, h.op == opContinue && d.message == opText:
		p = g.under
	}
	if p == nil {
		return true
	}
	for at := d.done; len(piece) > 0 && !p.Seen(); {
		n := min(len(piece), step)
		s.scratch = d.frame.unmask(s.scratch[:0], piece[:n], at)
		p.Next(s.scratch, false)
		piece, at = piece[n:], at+uint64(n)
	}
	switch {
	case p.Seen():
		g.under = nil
	case p == g.shared: // of an empty packet too
		under := *p
		g.under = &under
	}
	g.refused = !g.judge.Inspect(p)
	return !g.refused
}
