package tunnel

import "github.com/sidway/sidway/gateway/loop"

// Engine carries tunnels on loops: a tunnel that waits costs its two descriptors and a small record, no goroutine and no buffer.
// Its methods but Adopt are safe for concurrent use.
type Engine struct {
	*roster
	buffers *buffers
}

// New returns an engine without tunnels. The loops that they are adopted on must outlive its Shutdown.
func New() *Engine { return &Engine{newRoster(), newBuffers()} }

// Socket is a socket that a loop watches.
type Socket struct {
	FD       int
	Token    loop.Token
	Readable bool // there may be bytes to read of which the loop has told before
	Hup      bool // the end that is behind them has been told as well
}

// Adopt takes over two sockets that the loop on watches, from whichever handler they have, and joins them. It is called on that
// loop's goroutine, and the tunnel lives there. After Shutdown has ended it closes both and tells the Owner before it returns.
func (e *Engine) Adopt(on *loop.Loop, client, node Socket, o Options) Line {
	t := newTunnel(e, on, o)
	for i, s := range [...]Socket{client, node} {
		t.join(i, s)
	}
	switch e.add(t, o.Node) {
	case closed:
		t.because(Shutdown)
		t.close()
		return Line{t}
	case ending:
		t.order.Store(uint32(Shutdown))
	}
	for side, token := range t.tokens {
		on.HandOver(token, t, side)
	}
	t.begin()
	return Line{t}
}
