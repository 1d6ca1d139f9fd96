package adapter

import (
	"time"

	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

// returnLimit is how long a client that is back may stay between its restored session and its connection, where
// middlewares decide on it.
const returnLimit = 30 * time.Second

// returning is a client whose session was restored and whose socket is not connected yet. What the stream brings for it
// meanwhile is kept: it is behind what the client was found to have missed, and its socket cannot receive it.
type returning struct {
	k       *sessions
	session session
	after   string // what was missed up to here has been found; empty while that is being looked for
	events  []late
}

type late struct {
	packet *wire.Packet
	offset string
}

// expect begins to keep events for the client of s.
func (k *sessions) expect(s session) *returning {
	r := &returning{k: k, session: s}
	k.mu.Lock()
	k.returns[s.sid] = r
	k.mu.Unlock()
	k.bus.node.requests.after(returnLimit, func() { k.drop(r) })
	return r
}

func (r *returning) from(offset string) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.after = offset
}

func (k *sessions) drop(r *returning) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.returns[r.session.sid] == r {
		delete(k.returns, r.session.sid)
	}
}

func (k *sessions) forget(sid socket.SocketId) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.returns, sid)
}

// arrived sends a client what was kept for it, once its socket is there.
func (k *sessions) arrived(id socket.SocketId) {
	k.mu.Lock()
	_, waits := k.returns[id]
	k.mu.Unlock()
	if waits {
		k.bus.hub.stream.order.run(func() { k.hand(id) })
	}
}

// hand is called in the order of deliveries.
func (k *sessions) hand(id socket.SocketId) {
	s, ok := k.bus.node.Nsp().Sockets().Load(id)
	k.mu.Lock()
	r := k.returns[id]
	if !ok || r == nil || r.after == "" {
		k.mu.Unlock()
		return
	}
	delete(k.returns, id)
	k.mu.Unlock()
	for _, e := range r.events {
		if laterID(e.offset, r.after) {
			d := delivery{rooms: &k.bus.node.rooms, packet: *e.packet}
			d.packet.Data = append(e.packet.Data[:len(e.packet.Data):len(e.packet.Data)], e.offset)
			d.to(s)
		}
	}
}

// hold keeps an event for the clients that are on their way, and returns its target without them. It is called in the
// order of deliveries, before each.
func (k *sessions) hold(p *wire.Packet, t wire.Target, offset string) wire.Target {
	k.mu.Lock()
	var ready []socket.SocketId
	for id := range k.returns {
		if _, ok := k.bus.node.Nsp().Sockets().Load(id); ok {
			ready = append(ready, id)
		}
	}
	k.mu.Unlock()
	for _, id := range ready {
		k.hand(id)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, r := range k.returns {
		if r.session.receives(t) {
			r.events = append(r.events, late{p, offset})
		}
		t.Except = append(t.Except[:len(t.Except):len(t.Except)], socket.Room(id))
	}
	return t
}
