package adapter

import (
	"context"

	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

// Local makes adapters for a server that is alone: the library's in-memory adapter without its defects.
func Local() socket.AdapterConstructor {
	return &localConstructor{check{library: library.Met()}}
}

type localConstructor struct{ check check }

// New implements socket.AdapterConstructor.
func (c *localConstructor) New(nsp socket.Namespace) socket.Adapter {
	opts := Options{}.withDefaults()
	c.check.once(opts.Logger)
	n := newNode(nsp, opts)
	n.bus = alone{}
	n.start()
	return n
}

// alone is the bus of a node without others.
type alone struct{}

func (alone) send(_ *wire.Message, deliver func(string)) { deliver("") }
func (alone) answer(string, *wire.Message)               {}
func (alone) nodes(context.Context) int                  { return 1 }
func (alone) close()                                     {}
