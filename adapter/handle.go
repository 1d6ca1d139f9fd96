package adapter

import (
	"sync"

	"github.com/zishang520/socket.io/v2/socket"
)

// handle does what a message of another node asks. It runs on the goroutine that receives, so that messages of one
// publisher take effect in order; the user's code that they cause runs elsewhere.
func (n *node) handle(m *message) {
	if m.uid == n.uid && m.uid != "" {
		return
	}
	n.opts.Metrics.received.WithLabelValues(m.kind.String()).Inc()
	switch m.kind {
	case kindBroadcast:
		n.deliver(m.packet, m.opts, m.offset)
	case kindJoin, kindLeave, kindDisconnect:
		n.change(m)
		if m.sid != "" && m.request != "" {
			n.bus.answer(m.uid, &message{kind: kindRoomsAnswer, uid: n.uid, request: m.request})
		}
	case kindFetch, kindRooms, kindSids:
		n.bus.answer(m.uid, n.describe(m))
	case kindServerSide:
		n.serverSide(m)
	case kindBroadcastAck:
		n.askClients(m)
	case kindFetched, kindRoomsAnswer, kindServerSideAnswer:
		n.requests.answered(m)
	case kindClientCount, kindClientAck:
		n.requests.acknowledged(m)
	}
}

// describe answers a question about the sockets or rooms of this node.
func (n *node) describe(m *message) *message {
	a := &message{uid: n.uid, request: m.request}
	switch m.kind {
	case kindRooms:
		a.kind, a.rooms = kindRoomsAnswer, n.Rooms().Keys()
	case kindSids:
		a.kind = kindSids
		for _, s := range n.socketsOf(m.opts) {
			a.rooms = append(a.rooms, socket.Room(s.Id()))
		}
	case kindFetch:
		list := []any{}
		for _, s := range n.socketsOf(m.opts) {
			list = append(list, detailsOf(s))
		}
		a.kind, a.value = kindFetched, list
	}
	return a
}

// serverSide hands an event of another node to the namespace's listeners, with a function for the answer where one is
// wanted.
func (n *node) serverSide(m *message) {
	name, ok := m.data[0].(string)
	if !ok || socket.NAMESPACE_RESERVED_EVENTS.Has(name) {
		n.opts.Metrics.decodeErrors.Inc() // "connection" with anything but a socket would break the user's handler
		return
	}
	args, _ := asArrived(m.data).([]any)
	if m.request != "" {
		var once sync.Once
		args = append(args, socket.Ack(func(answer []any, _ error) {
			once.Do(func() { n.answerValue(m, kindServerSideAnswer, first(answer)) })
		}))
	}
	n.upcalls.run(func() { n.Nsp().OnServerSideEmit(args) })
}

// askClients asks this node's clients on behalf of another node.
func (n *node) askClients(m *message) {
	limit := m.opts.timeout
	if limit <= 0 {
		limit = n.opts.RequestTimeout
	}
	n.deliverWithAck(m, limit, func(c uint64) {
		n.bus.answer(m.uid, &message{kind: kindClientCount, uid: n.uid, request: m.request, count: c})
	}, func(v any) {
		n.answerValue(m, kindClientAck, v)
	})
}

// answerValue answers m with one value. A value that cannot travel becomes null: the other node counts answers.
func (n *node) answerValue(m *message, k kind, v any) {
	value, err := normalize(v, 0)
	if err != nil {
		n.lose(lostEncode, err)
	}
	n.bus.answer(m.uid, &message{kind: k, uid: n.uid, request: m.request, value: value})
}

func first(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}
