package packet

import (
	"bytes"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// separator stands between the packets of a payload.
const separator = 0x1e

func packetsOf(payload []byte) iter.Seq[[]byte] { return bytes.SplitSeq(payload, []byte{separator}) }

// Polled finds what a payload of HTTP long-polling (Engine.IO 4, "Payload encoding") says of namespaces: CONNECTs of a client, and a node's
// answers to them. Each is told by a name, which is the same for what takes its place, and its text.
func Polled(from Side, payload []byte, tell func(name, text string)) {
	told, size := 0, 0
	for b := range packetsOf(payload) {
		p, ok := parse(b)
		switch {
		case !ok || len(b) > mostAuth || told == mostPolled || size > mostPolledSize:
			continue
		case p.kind == sioConnect:
			tell(polledName(from, p.namespace), string(b))
		case p.kind == sioDisconnect, p.kind == sioConnectError: // what was said before holds no more
			tell(polledName(Client, p.namespace), string(b))
			tell(polledName(Node, p.namespace), string(b))
		default:
			continue
		}
		told++
		size += len(b)
	}
}

func polledName(from Side, namespace string) string {
	if from == Client {
		return "client " + namespace
	}
	return "node " + namespace
}

// mostPolled is how many packets of one payload are told, and mostPolledSize after how many bytes no other one is.
const (
	mostPolled     = 16
	mostPolledSize = 8 << 10
)

// Upgrades tells that the session polls until the client says that it goes on here (Engine.IO 4, "Upgrade"). Learn is to be called then.
func (s *Session) Upgrades() { s.probing, s.unlearned = true, true }

// Upgraded reports whether it has, and Learn has not been called.
func (s *Session) Upgraded() bool { return s.unlearned && !s.probing }

// Learn tells the session what Polled has found before. What has passed since is newer. Where a CONNECT of the client's is missing, the session is not settled
// any more: a node that restored it would not learn who that is.
func (s *Session) Learn(found map[string]string) {
	if !s.unlearned {
		return
	}
	s.unlearned = false
	for _, from := range []Side{Client, Node} {
		for name, text := range found {
			p, ok := parse([]byte(text))
			known := func(n Namespace) bool { return n.Name == p.namespace }
			if !ok || p.kind != sioConnect || name != polledName(from, p.namespace) || slices.Contains(s.left, p.namespace) || slices.ContainsFunc(s.spaces, known) ||
				from == Client && slices.ContainsFunc(s.asks, known) {
				continue
			}
			if _, noted := found[polledName(Client, p.namespace)]; !noted {
				s.unnoted = true
			}
			s.text(from, []byte(text))
		}
	}
	s.left = nil
}

// NewPolled returns the session of which Polled has found this, and which goes on by polling.
func NewPolled(found map[string]string) *Session {
	s := &Session{unlearned: true}
	s.Learn(found)
	return s
}

// PassPolled follows a payload of the node, and returns what of it goes to the client.
func (s *Session) PassPolled(payload []byte) (out []byte) {
	d := &s.streams[Node]
	for b := range packetsOf(payload) {
		if isAttachment := len(b) > 0 && b[0] == eioBinary; isAttachment {
			d.attachments = max(0, d.attachments-1)
			if d.drops = d.lostBinary > 0; d.drops {
				d.lostBinary--
			}
		} else {
			d.drops = s.turn.filters(Node) && s.withholdsOfNode(b)
			s.text(Node, b)
		}
		if !d.drops {
			out = AppendPacket(out, b)
		}
	}
	d.drops = false
	return out
}

// AppendPacket appends a packet to a payload.
func AppendPacket(payload, packet []byte) []byte {
	if len(payload) > 0 && len(packet) > 0 {
		payload = append(payload, separator)
	}
	return append(payload, packet...)
}

// RejoinPolled is Rejoin for a session that polls. What stands in front of the offset does not pass any more.
func (s *Session) RejoinPolled(o Offset) (payload []byte) {
	s.turning().from = o
	for _, connect := range s.rejoin(o) {
		payload = AppendPacket(payload, connect)
	}
	return payload
}

// HasMark reports whether a payload of a node may have an event of Mark.
func HasMark(payload []byte) bool { return bytes.Contains(payload, markPrefix) }

// WithoutMarks returns a payload of a node without the events of Mark.
func WithoutMarks(payload []byte) (out []byte) {
	for b := range packetsOf(payload) {
		if p, ok := parse(b); !ok || !p.isEvent() || !bytes.HasPrefix(p.data, markPrefix) {
			out = AppendPacket(out, b)
		}
	}
	return out
}

// Offsets finds those of the last events in a payload of a node, as its client takes them: no more than a session remembers.
func Offsets(payload []byte) (all []string) {
	for b := range packetsOf(payload) {
		if p, ok := parse(b); ok && p.isEvent() && !p.hasID {
			if o, _, found := offset(p.data); found {
				all = append(all, o.String())
			}
		}
	}
	return all[max(0, len(all)-2*ringSize):]
}

// Recall tells the session of events that its client has got, the oldest first.
func (s *Session) Recall(offsets []string) {
	for _, text := range offsets {
		if o, ok := ParseOffset(text); ok {
			s.got.add(event{offset: o})
		}
	}
}

// WithoutAcks returns a payload of a client without some of the acknowledgements that it gives, which Acks has named, and their attachments.
func WithoutAcks(payload []byte, acks []string) (out []byte) {
	attachments := 0
	for b := range packetsOf(payload) {
		if attachments > 0 && len(b) > 0 && b[0] == eioBinary {
			attachments--
			continue
		}
		if p, ok := parse(b); ok && p.hasID && !p.isEvent() && slices.Contains(acks, ackName(Client, p)) {
			attachments = p.attachments
			continue
		}
		out = AppendPacket(out, b)
	}
	return out
}

// Acks finds the acknowledgements that a payload asks for, and those that it gives, each once. What is asked for by one side and given by the other
// has the same name. Of more than a session may have outstanding only one is told, so that there are too many.
func Acks(from Side, payload []byte) (asked, given []string) {
	var seen map[string]bool
	note := func(all []string, name string) []string {
		if len(all) > mostAcks || seen[name] {
			return all
		}
		if seen == nil {
			seen = map[string]bool{}
		}
		seen[name] = true
		return append(all, name)
	}
	for b := range packetsOf(payload) {
		p, ok := parse(b)
		switch {
		case !ok || !p.hasID:
		case p.isEvent() && len(asked) <= mostAcks:
			asked = note(asked, ackName(1-from, p))
		case !p.isEvent() && len(given) <= mostAcks:
			given = note(given, ackName(from, p))
		}
	}
	return asked, given
}

// IsClients reports whether an acknowledgement is the client's to give, by its name.
func IsClients(ack string) bool { return strings.HasPrefix(ack, Client.String()) }

func ackName(by Side, p packet) string {
	return by.String() + " " + strconv.FormatUint(p.id, 10) + " " + p.namespace
}
