package adapter

import (
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// ackSettle is how long acknowledgements of a broadcast are held back. The library notes what it expects only after
// BroadcastWithAck and ServerCount have returned, and would miss or double its end if they came in between.
const ackSettle = 2 * time.Millisecond

// BroadcastWithAck sends an event to the sockets of all nodes and reports, for each node, how many sockets it has for it,
// and each client's answer: its first argument, as in Node.
func (n *node) BroadcastWithAck(
	p *parser.Packet, o *socket.BroadcastOptions, clientCount func(uint64), ack socket.Ack,
) {
	t := wire.TargetOf(o)
	m, ok := n.event(wire.KindBroadcastAck, p, t)
	if !ok {
		return
	}
	m.Request = newID()
	limit := t.Timeout
	if limit <= 0 {
		limit = n.opts.RequestTimeout
	}
	a := n.gather(t, clientCount, ack)
	if !t.Local {
		n.ServerCount()
		n.requests.expect(m.Request, a, limit)
	}
	n.bus.send(m, func(string) { n.deliverWithAck(m, limit, a.count, a.ack) })
}

// gather makes the callbacks of a broadcast safe for the library: one after the other, not before it is ready for them,
// one value per client, also from a client that acknowledges with nothing.
func (n *node) gather(t wire.Target, clientCount func(uint64), ack socket.Ack) *ackRequest {
	order := &serial{}
	order.running = true // until time has come
	time.AfterFunc(ackSettle, order.loop)
	a := &ackRequest{
		count: func(c uint64) { order.run(func() { clientCount(c) }) },
		ack:   func(v any) { order.run(func() { ack([]any{v}, nil) }) },
	}
	if t.Single {
		// The library reads the answer of a single client as a list, and panics where it expects none: so it is told
		// of one client, and either hears from it or times out.
		var told atomic.Bool
		a.count = func(uint64) {
			c := uint64(0)
			if told.CompareAndSwap(false, true) {
				c = 1
			}
			order.run(func() { clientCount(c) })
		}
		a.ack = func(v any) {
			order.run(func() { ack([]any{[]any{v}}, nil) })
		}
	}
	return a
}

// deliverWithAck writes an event that wants an acknowledgement to the sockets of this node, tells how many they are, and
// passes each answer on. Clients that do not answer in time are forgotten.
func (n *node) deliverWithAck(m *wire.Message, limit time.Duration, count func(uint64), ack func(any)) {
	id := n.Nsp().Ids()
	pk := *m.Packet
	pk.ID = &id
	d := delivery{rooms: &n.rooms, packet: pk, target: m.Opts}
	var asked []*socket.Socket
	n.each(m.Opts, func(s *socket.Socket) {
		asked = append(asked, s)
		s.Acks().Store(id, func(args []any, _ error) {
			if len(args) == 0 {
				ack(nil)
				return
			}
			ack(args[0])
		})
		d.to(s)
	})
	count(uint64(len(asked)))
	if len(asked) == 0 {
		return
	}
	n.requests.after(limit, func() {
		for _, s := range asked {
			s.Acks().Delete(id)
		}
	})
}
