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
	with    *Scratch
	under   *engineio.Payload // the packet under way, of which too little has come
	refused bool
}

// Scratch is what a session looks at packets with. Those that are used by the same goroutine may share one.
type Scratch struct {
	payload engineio.Payload // for a packet that tells at once what it is
	clear   []byte
}

func (s *Session) scratch() *Scratch {
	if s.sentry.with == nil {
		s.sentry.with = &Scratch{}
	}
	return s.sentry.with
}

// Guard has each text message of the client be judged before all of it has passed. Behind one that is refused nothing of the client passes any
// more, so that the node never has the whole of it.
func (s *Session) Guard(judge Inspector, with *Scratch) { s.sentry.judge, s.sentry.with = judge, with }

// step is how many bytes are looked at at once: packets tell at their beginning what they are.
const step = 32

// inspect reports whether a piece of the client's frame under way may pass.
func (s *Session) inspect(piece []byte) bool {
	g, d := &s.sentry, &s.streams[Client]
	if g.judge == nil || d.drops {
		return true
	}
	w := s.scratch()
	var p *engineio.Payload
	switch h := &d.frame; {
	case h.op == opText && d.done == 0:
		p = &w.payload
		p.ResetPacket()
	case h.op == opText, h.op == opContinue && d.message == opText:
		p = g.under
	}
	if p == nil {
		return true
	}
	for at := d.done; len(piece) > 0 && !p.Seen(); {
		n := min(len(piece), step)
		w.clear = d.frame.unmask(w.clear[:0], piece[:n], at)
		p.Next(w.clear, false)
		piece, at = piece[n:], at+uint64(n)
	}
	switch {
	case p.Seen():
		g.under = nil
	case p == &w.payload: // of an empty packet too
		under := *p
		g.under = &under
	}
	g.refused = !g.judge.Inspect(p)
	return !g.refused
}
