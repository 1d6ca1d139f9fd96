package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// Side is one end of the tunnel.
type Side uint8

// The two sides.
const (
	Client Side = iota
	Node
)

// String returns client or node.
func (s Side) String() string { return [...]string{"client", "node"}[s] }

const (
	// mostHead is how much of a client's message is looked at, which is enough for all but CONNECT.
	mostHead = 256
	// mostWhole bounds a CONNECT, and an event that is looked at whole.
	mostWhole = 64 << 10
	// mostTail is how much of a longer message's end is kept, for its offset.
	mostTail = 64
	// mostHeld bounds a frame that is held back until it is whole, while some frames are not to pass.
	mostHeld = 1 << 20
	// mostAuth bounds what a client may say with a CONNECT, and mostSpaces its namespaces, in a session that can be moved.
	mostAuth   = 4 << 10
	mostSpaces = 32
	// mostKept bounds what is kept of the client while it is held: more than one read comes only where the tunnel is about to end.
	mostKept = 128 << 10
	// mostAcks is how many acknowledgements may be outstanding.
	mostAcks = 256
)

// Session follows one session. The zero value is one whose tunnel has just begun, by a direct connect; see Upgrades.
type Session struct {
	streams [2]stream
	probing bool // packets do not run here yet
	// unlearned says that packets have passed by polling, and left are the namespaces that were left since.
	unlearned bool
	left      []string
	unnoted   bool // of some that the session is connected to it is not known what its client has said when it asked for them
	spaces    []Namespace
	asks      []Namespace // of the client's CONNECTs that the node has not answered
	acks      []ack       // outstanding
	overflow  bool        // more than mostAcks were
	stays     bool        // it has said more than is remembered, and is not moved
	pings     int         // of the node that the client has not answered
	got       ring
	turn      *turn // nil: the session has never been on its way
	shield    shield
	sentry    sentry
	watch     func(Seen) // nil: nobody looks
}

// stream is one direction.
type stream struct {
	held        []byte // begins a frame of which too little has come
	frame       header // under way
	done        uint64 // of its payload
	message     byte   // opcode of the message under way; 0: none
	size        uint64 // of its frames that have begun
	drops       bool   // the frame under way does not pass
	parts       *parts // of the message under way, where it did not come at once
	attachments int    // binary messages to come that belong to a packet
	closed      bool   // its Close has come
	lost        bool   // the rest of the message under way does not pass: another node has the beginning
	inserted    []byte // passes with the next message
	lostBinary  int    // nor do so many binary messages
}

// parts are what is kept of a message that did not come at once.
type parts struct {
	gathered []byte
	tail     []byte // of one that is longer than what is gathered
}

// ack is an acknowledgement that is outstanding.
type ack struct {
	of        Side // who has to give it
	namespace string
	id        uint64
}

// between reports whether no message is under way.
func (s *stream) between() bool {
	return s.message == 0 && s.done == s.frame.length && len(s.held) == 0
}

// Why a session cannot be moved now.
var (
	ErrPolling     = errors.New("upgrading")         // the upgrade is not complete
	ErrNoNamespace = errors.New("not connected")     // no namespace is connected, or one is being connected
	ErrNoRecovery  = errors.New("no recovery")       // the node does not restore sessions
	ErrTooMuch     = errors.New("too much")          // the client has said more than is remembered
	ErrAcks        = errors.New("acks pending")      // an acknowledgement is outstanding
	ErrMessage     = errors.New("message under way") // one side has sent half a message, or a packet without its attachments
)

// Settled returns nil where nothing is under way that only the present node can bring to its end.
func (s *Session) Settled() error {
	switch {
	case s.probing || s.unlearned:
		return ErrPolling
	case len(s.spaces) == 0 || len(s.asks) > 0 || s.unnoted:
		return ErrNoNamespace
	case s.stays:
		return ErrTooMuch
	case !s.Recovers():
		return ErrNoRecovery
	case s.overflow || len(s.acks) > 0:
		return ErrAcks
	case s.streams[Client].attachments+s.streams[Node].attachments > 0, !s.streams[Node].between(), !s.streams[Client].between():
		return ErrMessage
	}
	return nil
}

// Namespaces returns those that the session is connected to.
func (s *Session) Namespaces() []Namespace { return s.spaces }

// Recovers reports whether nodes restore the session in all its namespaces.
func (s *Session) Recovers() bool {
	return !s.stays && !slices.ContainsFunc(s.spaces, func(n Namespace) bool { return n.PID == "" })
}

// Pass looks at what a side has sent, and returns what goes to the other side. That may begin with what was held back before, and
// otherwise aliases b, which is changed.
func (s *Session) Pass(from Side, b []byte) []byte {
	d := &s.streams[from]
	if from == Client && s.sentry.refused {
		return nil
	}
	if len(d.held) > 0 {
		b = append(d.held, b...)
		d.held = nil
	}
	w, gap := 0, -1 // something is inserted there
	for r := 0; r < len(b); {
		if d.done == d.frame.length {
			if gap < 0 && len(d.inserted) > 0 && d.message == 0 {
				gap = w
			}
			if from == Client && s.turn.keeps(d, b[r:]) || !s.begin(from, b[r:]) {
				break
			}
			if !d.drops {
				w += copy(b[w:], b[r:r+d.frame.size])
			}
			r += d.frame.size
		}
		n := int(min(uint64(len(b)-r), d.frame.length-d.done))
		piece := b[r : r+n]
		if from == Client && !s.inspect(piece) {
			break
		}
		s.read(from, piece)
		if !d.drops {
			w += copy(b[w:], piece)
		}
		r += n
	}
	return d.insertAt(gap, b[:w])
}

// begin begins the frame at the start of b. Where too little of it has come, b is held back.
func (s *Session) begin(from Side, b []byte) bool {
	d := &s.streams[from]
	h, ok := parseHeader(b)
	said, whole := b, true
	filters, beats := ok && s.turn.filters(from), ok && s.shield.on && h.isBeat()
	switch {
	case filters:
		said, whole = judged(from, h, b)
	case beats:
		whole = len(b) > h.size
	}
	if !ok || !whole && len(b) < mostHeld {
		d.held = bytes.Clone(b)
		return false
	}
	d.frame, d.done = h, 0
	d.drops = d.isLost()
	if !d.drops && (beats && s.takesBeat(from, b[h.size]) || filters && whole && s.withholds(from, said)) {
		d.drops, d.lost = true, !h.fin
	}
	return true
}

// read follows a piece of the frame under way.
func (s *Session) read(from Side, piece []byte) {
	d := &s.streams[from]
	begins, at := d.done == 0, d.done
	d.done += uint64(len(piece))
	ends := d.done == d.frame.length
	switch {
	case d.frame.isControl():
		d.closed = d.closed || d.frame.op == opClose
		return
	case begins && d.frame.op != opContinue:
		d.message, d.size = d.frame.op, d.frame.length
	case begins:
		d.size += d.frame.length
	}
	if d.message == opText {
		switch {
		case ends && d.frame.fin && begins && d.frame.op == opText:
			s.text(from, s.clear(from, piece))
		case from == Client:
			d.gather().client(&d.frame, piece, at)
		default:
			d.gather().node(piece)
		}
	}
	if !ends || !d.frame.fin {
		return
	}
	switch {
	case d.message == opBinary:
		d.attachments = max(0, d.attachments-1)
	case d.parts != nil:
		s.text(from, append(d.parts.gathered, d.parts.tail...))
	}
	if d.message == opBinary {
		d.lostBinary = max(0, d.lostBinary-1)
		if s.watch != nil && !d.drops {
			s.watch(Seen{From: from, Type: "attachment", Size: d.size})
		}
	}
	d.lost = false
	d.message, d.parts = 0, nil
}

// isLost reports whether the frame that begins belongs to a message that does not pass.
func (d *stream) isLost() bool {
	switch h := &d.frame; {
	case h.isControl():
		return false
	case h.op == opContinue:
		return d.lost || d.message == opBinary && d.lostBinary > 0
	default:
		return h.op == opBinary && d.lostBinary > 0
	}
}

// Closed reports whether a side has said that it closes.
func (s *Session) Closed(side Side) bool { return s.streams[side].closed }

// clear returns as much of a client's message as has to be known, unmasked, and a node's as it is.
func (s *Session) clear(from Side, piece []byte) []byte {
	h := &s.streams[from].frame
	if !h.masked {
		return piece
	}
	w := s.scratch()
	w.clear = h.unmask(w.clear[:0], piece[:min(len(piece), mostHead)], 0)
	if len(piece) > mostHead && isConnect(w.clear) {
		w.clear = h.unmask(w.clear[:0], piece[:min(len(piece), mostWhole)], 0)
	}
	return w.clear
}

func isConnect(b []byte) bool { return len(b) > 1 && b[0] == eioMessage && b[1] == sioConnect }

func (d *stream) gather() *parts {
	if d.parts == nil {
		d.parts = &parts{}
	}
	return d.parts
}

// client keeps as much of a client's message as has to be known.
func (p *parts) client(h *header, piece []byte, at uint64) {
	most := mostHead
	if isConnect(p.gathered) || len(p.gathered) < 2 {
		most = mostWhole
	}
	p.gathered = h.unmask(p.gathered, piece[:min(len(piece), max(0, most-len(p.gathered)))], at)
}

// node keeps a node's message, and of a longer one the end.
func (p *parts) node(piece []byte) {
	n := min(len(piece), max(0, mostWhole-len(p.gathered)))
	p.gathered = append(p.gathered, piece[:n]...)
	if piece = piece[n:]; len(piece) > 0 {
		p.tail = append(p.tail, piece[max(0, len(piece)-mostTail):]...)
		p.tail = p.tail[max(0, len(p.tail)-mostTail):]
	}
}

// text follows a message that has passed, of which b is as much as has to be known.
func (s *Session) text(from Side, b []byte) {
	if len(b) == 0 {
		return
	}
	s.seen(from, b)
	switch {
	case b[0] == eioPing && from == Node && len(b) == 1 && !s.shield.on:
		s.pings++
	case b[0] == eioPong && from == Client && len(b) == 1:
		s.pings = max(0, s.pings-1)
	case b[0] == eioUpgrade && from == Client && s.probing:
		s.probing = false
	}
	p, ok := parse(b)
	if !ok {
		return
	}
	s.streams[from].attachments += p.attachments
	switch {
	case p.kind == sioConnect && from == Client:
		if len(s.asks)+len(s.spaces) >= mostSpaces || len(p.data) > mostAuth {
			s.stays = true
			return
		}
		n := Namespace{Name: p.namespace}
		if len(p.data) > 0 {
			n.auth = bytes.Clone(p.data)
		}
		s.asks = append(s.forgotten(s.asks, p.namespace), n)
	case p.kind == sioConnect:
		s.connected(p)
	case p.kind == sioDisconnect, p.kind == sioConnectError:
		s.asks, s.spaces = s.forgotten(s.asks, p.namespace), s.forgotten(s.spaces, p.namespace)
		if s.unlearned && len(s.left) < mostSpaces && !slices.Contains(s.left, p.namespace) {
			s.left = append(s.left, p.namespace)
		}
		s.acks = slices.DeleteFunc(s.acks, func(a ack) bool { return a.namespace == p.namespace })
	case p.isEvent():
		s.event(from, p)
	case p.hasID: // an acknowledgement
		if i := slices.Index(s.acks, ack{from, p.namespace, p.id}); i >= 0 {
			s.acks = slices.Delete(s.acks, i, i+1)
		}
	}
}

// forgotten returns all but the one of that name, nil where none is left: a session lives much longer than it asks.
func (s *Session) forgotten(all []Namespace, name string) []Namespace {
	if all = slices.DeleteFunc(all, func(n Namespace) bool { return n.Name == name }); len(all) == 0 {
		return nil
	}
	return all
}

// connected notes the node's answer to a CONNECT.
func (s *Session) connected(p packet) {
	var said struct{ SID, PID string }
	if json.Unmarshal(p.data, &said) != nil {
		return
	}
	n := Namespace{Name: p.namespace}
	for _, known := range [][]Namespace{s.spaces, s.asks} {
		if i := slices.IndexFunc(known, func(n Namespace) bool { return n.Name == p.namespace }); i >= 0 {
			n.auth = known[i].auth
		}
	}
	n.SID, n.PID = said.SID, said.PID
	s.asks = s.forgotten(s.asks, p.namespace)
	s.spaces = append(s.forgotten(s.spaces, p.namespace), n)
}

// event notes an event that has come, unless it does not pass.
func (s *Session) event(from Side, p packet) {
	if s.streams[from].drops {
		return
	}
	if p.hasID {
		if len(s.acks) < mostAcks {
			s.acks = append(s.acks, ack{1 - from, p.namespace, p.id})
		} else {
			s.overflow = true
		}
	}
	if from == Client {
		return
	}
	if p.hasID && s.turn != nil { // the new node counts anew
		s.turn.stale = slices.DeleteFunc(s.turn.stale, func(a ack) bool { return a == ack{Client, p.namespace, p.id} })
	}
	var e event
	if o, _, ok := offset(p.data); ok && !p.hasID {
		e.offset = o
	} else if n := len(p.data); n > 0 { // one that asks for an acknowledgement, or is volatile
		e.text = hash(p.namespace, p.data[:n-1])
	} else {
		return
	}
	s.got.add(e)
	s.turn.collect(e)
}
