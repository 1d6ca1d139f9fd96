package mend

import (
	"sync/atomic"

	enginepacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
)

// follow lets a batch of packets for a client leave in one system call, and the last of them before its connection is
// closed. The engine says when it hands a batch to its transport, and the transport when it has written it.
func (g *guard) follow(e engine.Socket) {
	var current atomic.Pointer[heldConn]
	attach := func(t transports.Transport, c *heldConn) {
		c.transport.Store(&t)
		current.Store(c)
		_ = t.On("drain", func(...any) { c.uncork() })
		_ = t.On("ready", func(...any) { c.finish() })
	}
	if w := e.Request().Websocket; w != nil && w.Conn != nil {
		if c, ok := w.NetConn().(*heldConn); ok {
			attach(e.Transport(), c)
		}
	}
	_ = e.On("upgrade", func(args ...any) {
		t, ok := args[0].(transports.Transport)
		if c, known := g.upgrades.LoadAndDelete(e.Id()); ok && known {
			attach(t, c.(*heldConn))
		}
	})
	_ = e.On("flush", func(args ...any) {
		if batch, ok := args[0].([]*enginepacket.Packet); ok && len(batch) > 1 {
			if c := current.Load(); c != nil {
				c.cork()
			}
		}
	})
}
