package packet

import (
	"bytes"
	"slices"
)

// Polled finds what a payload of HTTP long-polling (Engine.IO 4, "Payload encoding") says of namespaces: CONNECTs of a client, and a node's
// answers to them. Each is told by a name, which is the same for what takes its place, and its text.
func Polled(from Side, payload []byte, tell func(name, text string)) {
	told := 0
	for b := range bytes.SplitSeq(payload, []byte{0x1e}) {
		p, ok := parse(b)
		switch {
		case !ok || len(b) > mostAuth || told == mostPolled:
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
	}
}

func polledName(from Side, namespace string) string {
	if from == Client {
		return "client " + namespace
	}
	return "node " + namespace
}

// mostPolled is how many packets of one payload are told.
const mostPolled = 16

// Upgrades tells that the session polls until the client says that it goes on here (Engine.IO 4, "Upgrade"). Learn is to be called then.
func (s *Session) Upgrades() { s.probing, s.unlearned = true, true }

// Upgraded reports whether it has, and Learn has not been called.
func (s *Session) Upgraded() bool { return s.unlearned && !s.probing }

// Learn tells the session what Polled has found before. What has passed since is newer.
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
			s.text(from, []byte(text))
		}
	}
	s.left = nil
}
