package packet

import (
	"bytes"
	"encoding/json"
	"slices"
)

// turn is a session's way from one node to another:
//
//	Stop        the client's next message is kept
//	Mark        an event through the nodes' stream, behind all events that the client gets from the old node
//	Barrier     a ping to the old node, whose pong comes behind all that it has read
//	Leave       the old node is gone; its end is not the client's
//	Rejoin      CONNECTs to the new node, whose answers do not reach the client where they say what it knows
//	Continue    what was kept goes to the new node
//	Finish      what the new node may have sent again has come
type turn struct {
	stops    bool     // the client's next message is kept
	kept     []byte   // of the client
	mark     string   // what the event says that is to come through the stream; "": none is awaited
	marked   bool     // it has come
	nonce    []byte   // of the barrier's ping; nil: none is awaited
	passed   bool     // its pong has come
	leaves   bool     // the old node is asked to close
	joins    bool     // the new node has not answered all CONNECTs
	refused  bool     // it has refused one
	renewed  int      // namespaces in which the client was given a new session
	pongs    int      // of the client that answer no ping of the present node
	stale    []ack    // of the client to the node before
	collects bool     // what the client gets is remembered, beyond the ring
	resends  bool     // the new node may send it again
	from     Offset   // the client has got all before it; zero: nobody knows
	again    []Offset // of what the client has got
	texts    []uint64 // of what it has got without an offset
}

// turning returns the session's turn, which it begins.
func (s *Session) turning() *turn {
	if s.turn == nil {
		s.turn = &turn{}
	}
	return s.turn
}

// filters reports whether some frames of a side do not pass.
func (t *turn) filters(from Side) bool {
	if t == nil {
		return false
	}
	if from == Client {
		return t.pongs > 0 || len(t.stale) > 0
	}
	return t.mark != "" || t.nonce != nil || t.leaves || t.joins || t.resends
}

// keeps keeps what the client sends behind its last message, once it is stopped.
func (t *turn) keeps(d *stream, b []byte) bool {
	if t == nil || !t.stops || d.message != 0 {
		return false
	}
	if len(t.kept) < mostKept {
		t.kept = append(t.kept, b...)
	}
	return true
}

// Stop has the client's messages kept from the next one on.
func (s *Session) Stop() { s.turning().stops = true }

// Continue lets the client's messages pass, and returns those that were kept.
func (s *Session) Continue() []byte {
	t := s.turning()
	kept := t.kept
	t.stops, t.kept = false, nil
	return s.Pass(Client, kept)
}

// MarkEvent is the name of events that are sent through the stream in order to see when they come. None reaches a client.
const MarkEvent = "sidway:mark"

// Mark waits for an event with MarkEvent's name and this argument. What a node may send again from its entry on is remembered.
func (s *Session) Mark(says string) {
	t := s.turning()
	t.mark, t.marked = says, false
	t.remember(s.got.events)
	t.texts = nil // which came before the mark
}

// MarkAgain waits for a second such event, behind the first.
func (s *Session) MarkAgain(says string) {
	t := s.turning()
	t.mark, t.marked = says, false
}

// Marked reports whether it has come: the node has sent the client all that stood in front of it in the stream.
func (s *Session) Marked() bool { return s.turning().marked }

// Barrier returns a ping for the node (RFC 6455, 5.5.2). It may be sent where Settled returned nil after Stop.
func (s *Session) Barrier(nonce [8]byte, mask [4]byte) []byte {
	t := s.turning()
	t.nonce, t.passed = nonce[:], false
	return AppendFrame(nil, opPing, Client, nonce[:], mask)
}

// Passed reports whether the barrier's pong has come: the node has read all that was sent before, and said all that it said before.
func (s *Session) Passed() bool { return s.turning().passed }

// Leave returns a Close for the old node (RFC 6455, 5.5.1), whose own does not pass.
func (s *Session) Leave(mask [4]byte) []byte {
	t := s.turning()
	t.leaves, t.nonce = true, nil
	return AppendFrame(nil, opClose, Client, []byte{0x03, 0xe9}, mask) // 1001: going away
}

// Left tells that the old node is gone, and reports whether the session can go on: not where the node has ended it, or was cut within a
// message.
func (s *Session) Left() bool {
	t := s.turning()
	node := &s.streams[Node]
	if s.probing || s.unlearned || len(s.spaces) == 0 || !node.between() || node.attachments > 0 {
		return false
	}
	client := &s.streams[Client] // what the old node has got half of goes to no other
	client.drops, client.lost, client.lostBinary = client.done < client.frame.length, client.message != 0, client.attachments
	t.pongs, t.stale = s.pings, nil
	for _, a := range s.acks {
		if a.of == Client {
			t.stale = append(t.stale, a)
		}
	}
	*node = stream{}
	s.acks, s.overflow, t.leaves, t.nonce = nil, false, false, nil
	t.joins = true // from the new node's open packet on
	return true
}

// Rejoin returns the messages for a new node, to which the session's WebSocket has been opened: CONNECT for each namespace, from an
// offset.
func (s *Session) Rejoin(o Offset, mask [4]byte) (out []byte) {
	for _, connect := range s.rejoin(o) {
		out = AppendFrame(out, opText, Client, connect, mask)
	}
	return out
}

func (s *Session) rejoin(o Offset) (connects [][]byte) {
	t := s.turning()
	t.refused, t.renewed = false, 0
	if t.resends = true; !t.collects { // its node has crashed: none that restores it then sends what has no offset again
		t.remember(s.got.events)
		t.texts = nil
	}
	for i := range s.spaces {
		n := &s.spaces[i]
		s.asks = append(s.forgotten(s.asks, n.Name), *n)
	}
	for i := range s.asks {
		connects = append(connects, s.asks[i].Connect(o))
	}
	return connects
}

// Joined reports whether the new node has answered, whether it has refused a namespace, and in how many the client was given a new
// session.
func (s *Session) Joined() (done, refused bool, renewed int) {
	t := s.turning()
	return len(s.asks) == 0, t.refused, t.renewed
}

// AtBoundary reports whether a side has sent whole messages.
func (s *Session) AtBoundary(side Side) bool { return s.streams[side].between() }

// Heartbeat returns a ping for the client, for which the time between the pings of two nodes could be too long, and has the answers to it, and
// to a ping of the old node, not pass.
func (s *Session) Heartbeat() []byte {
	t := s.turning()
	t.joins = false
	if s.shield.on {
		return nil
	}
	s.pings++
	t.pongs++
	return []byte{finBit | opText, 1, eioPing}
}

// Finish ends the turn: nothing comes any more that was sent before.
func (s *Session) Finish() {
	t := s.turning() // a mark that has not come is still waited for
	t.joins, t.resends, t.collects, t.again, t.texts = false, false, false, nil, nil
}

// judged returns what has to be known to say whether a frame at the start of b passes: the beginning of a client's, all of a node's, and of
// a node's text that comes in several frames the whole. It is not whole where more has to come.
func judged(from Side, h header, b []byte) (payload []byte, whole bool) {
	if from == Client {
		n := int(min(h.length, mostHead))
		return b[h.size:min(h.size+n, len(b))], len(b) >= h.size+n
	}
	if h.length > mostHeld || uint64(len(b)-h.size) < h.length {
		return nil, false
	}
	payload = b[h.size:][:h.length]
	if h.op != opText || h.fin {
		return payload, true
	}
	payload = bytes.Clone(payload)
	for !h.fin {
		b = b[h.size+int(h.length):]
		next, ok := parseHeader(b)
		if !ok || next.length > mostHeld || uint64(len(b)-next.size) < next.length {
			return nil, false
		}
		if next.isControl() {
			next.fin = false
		} else {
			payload = append(payload, b[next.size:][:next.length]...)
		}
		h = next
	}
	return payload, true
}

// withholds reports whether a frame, whose payload is here whole, does not pass.
func (s *Session) withholds(from Side, payload []byte) bool {
	t, d := s.turning(), &s.streams[from]
	switch h := &d.frame; {
	case h.op == opPong && from == Node && t.nonce != nil && bytes.Equal(payload, t.nonce):
		t.nonce, t.passed = nil, true
		return true
	case h.op == opClose && from == Node:
		return t.leaves
	case h.op != opText:
		return false
	case from == Client:
		return s.withholdsOfClient(s.clear(from, payload))
	}
	return s.withholdsOfNode(payload)
}

func (s *Session) withholdsOfClient(b []byte) bool {
	t := s.turning()
	if t.pongs > 0 && len(b) == 1 && b[0] == eioPong {
		t.pongs--
		return true
	}
	p, ok := parse(b)
	if !ok || p.kind != sioAck && p.kind != sioBinaryAck {
		return false
	}
	i := slices.Index(t.stale, ack{Client, p.namespace, p.id})
	if i < 0 {
		return false
	}
	t.stale = slices.Delete(t.stale, i, i+1)
	s.streams[Client].lostBinary += p.attachments
	return true
}

var markPrefix = []byte(`["` + MarkEvent + `","`)

func (s *Session) withholdsOfNode(b []byte) bool {
	t := s.turning()
	if len(b) > 0 && b[0] == eioOpen {
		return t.joins
	}
	p, ok := parse(b)
	switch {
	case !ok:
		return false
	case t.joins && p.kind == sioConnectError && slices.ContainsFunc(s.spaces, func(n Namespace) bool { return n.Name == p.namespace }):
		t.refused = true
		return true
	case t.joins && p.kind == sioConnect:
		return s.restored(p)
	case !p.isEvent() || p.hasID:
		return false
	case bytes.HasPrefix(p.data, markPrefix):
		if said := p.data[len(markPrefix):]; t.mark != "" && bytes.HasPrefix(said, []byte(t.mark+`"`)) {
			t.mark, t.marked = "", true
		}
		return true
	}
	o, end, found := offset(p.data)
	if !t.resends || !found || !t.isBehind(o) && !slices.Contains(t.again, o) && !t.takeText(p.namespace, p.data[:end]) {
		return false
	}
	s.streams[Node].lostBinary += p.attachments
	return true
}

// longestLag is how far, in ms, a node that restores a session may be behind in the stream. An event's own argument may look like an offset that is older.
const longestLag = 60_000

// isBehind reports whether the client has got all that stands there in the stream.
func (t *turn) isBehind(o Offset) bool { return o.Before(t.from) && t.from.ms-o.ms < longestLag }

// mostAgain bounds what is remembered while a session goes from one node to another.
const mostAgain = 4096

// remember remembers events that the client has got, from now on all.
func (t *turn) remember(events []event) {
	t.collects, t.again, t.texts = true, nil, nil
	for _, e := range events {
		t.collect(e)
	}
}

func (t *turn) collect(e event) {
	switch {
	case t == nil || !t.collects || len(t.again)+len(t.texts) >= mostAgain:
	case e.text != 0:
		t.texts = append(t.texts, e.text)
	default:
		t.again = append(t.again, e.offset)
	}
}

// takeText reports whether the client has got an event without an offset, and forgets one.
func (t *turn) takeText(namespace string, text []byte) bool {
	i := slices.Index(t.texts, hash(namespace, text))
	if i < 0 {
		return false
	}
	t.texts = slices.Delete(t.texts, i, i+1)
	return true
}

// restored reports whether the node's answer to a CONNECT says that the session goes on as the client knows it.
func (s *Session) restored(p packet) bool {
	var said struct{ PID string }
	i := slices.IndexFunc(s.spaces, func(n Namespace) bool { return n.Name == p.namespace })
	if i < 0 {
		return false
	}
	if json.Unmarshal(p.data, &said) == nil && said.PID == s.spaces[i].PID && said.PID != "" {
		return true
	}
	s.turning().renewed++
	return false
}
