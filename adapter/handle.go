package adapter

import (
	"sync"

	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

// handle does what a message of another node asks. It runs on the goroutine that receives, so that messages of one
// publisher take effect in order; the user's code that they cause runs elsewhere.
func (n *node) handle(m *wire.Message) {
	if m.UID == n.uid && m.UID != "" {
		return
	}
	n.opts.Metrics.received.WithLabelValues(m.Kind.String()).Inc()
	switch m.Kind {
	case wire.KindBroadcast:
		n.deliver(m.Packet, m.Opts, m.Offset)
	case wire.KindJoin, wire.KindLeave, wire.KindDisconnect:
		n.change(m)
		if m.SID != "" && m.Request != "" {
			n.bus.answer(m.UID, &wire.Message{Kind: wire.KindRoomsAnswer, UID: n.uid, Request: m.Request})
		}
	case wire.KindFetch, wire.KindRooms, wire.KindSids:
		n.bus.answer(m.UID, n.describe(m))
	case wire.KindServerSide:
		n.serverSide(m)
	case wire.KindBroadcastAck:
		n.askClients(m)
	case wire.KindFetched, wire.KindRoomsAnswer, wire.KindServerSideAnswer:
		n.requests.answered(m)
	case wire.KindClientCount, wire.KindClientAck:
		n.requests.acknowledged(m)
	}
}

// describe answers a question about the sockets or rooms of this node.
func (n *node) describe(m *wire.Message) *wire.Message {
	a := &wire.Message{UID: n.uid, Request: m.Request}
	switch m.Kind {
	case wire.KindRooms:
		a.Kind, a.Rooms = wire.KindRoomsAnswer, n.Rooms().Keys()
	case wire.KindSids:
		a.Kind = wire.KindSids
		for _, s := range n.socketsOf(m.Opts) {
			a.Rooms = append(a.Rooms, socket.Room(s.Id()))
		}
	case wire.KindFetch:
		list := []any{}
		for _, s := range n.socketsOf(m.Opts) {
			list = append(list, wire.DetailsOf(s))
		}
		a.Kind, a.Value = wire.KindFetched, list
	}
	return a
}

// serverSide hands an event of another node to the namespace's listeners, with a function for the answer where one is
// wanted.
func (n *node) serverSide(m *wire.Message) {
	name, ok := m.Data[0].(string)
	if !ok || socket.NAMESPACE_RESERVED_EVENTS.Has(name) {
		n.opts.Metrics.decodeErrors.Inc() // "connection" with anything but a socket would break the user's handler
		return
	}
	args, _ := wire.AsArrived(m.Data).([]any)
	if m.Request != "" {
		var once sync.Once
		args = append(args, socket.Ack(func(answer []any, _ error) {
			once.Do(func() { n.answerValue(m, wire.KindServerSideAnswer, first(answer)) })
		}))
	}
	n.upcalls.run(func() { n.Nsp().OnServerSideEmit(args) })
}

// askClients asks this node's clients on behalf of another node.
func (n *node) askClients(m *wire.Message) {
	limit := m.Opts.Timeout
	if limit <= 0 {
		limit = n.opts.RequestTimeout
	}
	n.deliverWithAck(m, limit, func(c uint64) {
		n.bus.answer(m.UID, &wire.Message{Kind: wire.KindClientCount, UID: n.uid, Request: m.Request, Count: c})
	}, func(v any) {
		n.answerValue(m, wire.KindClientAck, v)
	})
}

// answerValue answers m with one value. A value that cannot travel becomes null: the other node counts answers.
func (n *node) answerValue(m *wire.Message, k wire.Kind, v any) {
	value, err := wire.Normalize(v)
	if err != nil {
		n.lose(lostEncode, err)
	}
	n.bus.answer(m.UID, &wire.Message{Kind: k, UID: n.uid, Request: m.Request, Value: value})
}

func first(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}
