package adapter

import (
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

// sweepEvery is the interval between two looks for ghosts. What is a ghost must have been one at the last look too, since
// a socket that closes is one for a moment.
const sweepEvery = 5 * time.Second

// sweep removes, until the node is closed, sockets that the library has forgotten: a connection that ends while its
// socket connects leaves the socket in its rooms for ever, without a disconnection.
func (n *node) sweep() {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	seen := make(map[socket.SocketId]int)
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-t.C:
			seen = n.look(seen)
		}
	}
}

// look removes what was a ghost at the last look too and returns those of this one.
func (n *node) look(before map[socket.SocketId]int) map[socket.SocketId]int {
	now := make(map[socket.SocketId]int)
	n.Nsp().Sockets().Range(func(id socket.SocketId, s *socket.Socket) bool {
		if s.Conn().ReadyState() != "closed" {
			return true
		}
		if before[id] == 0 {
			now[id] = 1
			return true
		}
		n.opts.Metrics.ghosts.Inc()
		n.upcalls.run(func() {
			s.Disconnect(false)
			n.DelAll(id)
			n.Nsp().Sockets().Delete(id)
		})
		return true
	})
	n.Sids().Range(func(id socket.SocketId, _ *types.Set[socket.Room]) bool {
		if _, ok := n.Nsp().Sockets().Load(id); ok {
			return true
		}
		// A recovered socket is in its rooms before its middlewares have run, and these may take their time.
		if now[id] = before[id] + 1; now[id] > 6 {
			n.DelAll(id)
			delete(now, id)
		}
		return true
	})
	return now
}
