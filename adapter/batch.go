package adapter

import (
	"sync/atomic"

	enginepacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
)

// gatherFrames lets a batch of packets for a client leave in one system call where its connection came through Handler.
// The engine says when it hands a batch to its transport, and the transport when it has written it.
func (p *strictParser) gatherFrames(e engine.Socket) {
	if e == nil || e.ListenerCount("sidway") > 0 {
		return // another namespace of the same client
	}
	_ = e.On("sidway", func(...any) {})
	var current atomic.Pointer[heldConn]
	attach := func(t transports.Transport, c *heldConn) {
		current.Store(c)
		_ = t.On("drain", func(...any) { c.uncork() })
	}
	if w := e.Request().Websocket; w != nil && w.Conn != nil {
		if c, ok := w.NetConn().(*heldConn); ok {
			attach(e.Transport(), c)
		}
	}
	_ = e.On("upgrade", func(args ...any) {
		t, ok := args[0].(transports.Transport)
		if c, known := p.upgrades.LoadAndDelete(e.Id()); ok && known {
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
