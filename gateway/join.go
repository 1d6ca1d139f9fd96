package gateway

import (
	"syscall"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

// join is a tunnel's two sockets on their way from a goroutine to a loop. It goes with the goroutines.
type join struct {
	g   *Gateway
	on  *loop.Loop
	fds [2]int
	o   tunnel.Options
}

// joinTunnel has a loop take over two connections, and closes them.
func (g *Gateway) joinTunnel(client, node any, o tunnel.Options) {
	j := join{g: g, fds: [2]int{-1, -1}, o: o}
	for i, c := range []any{client, node} {
		if c, ok := c.(syscall.Conn); ok {
			if raw, err := c.SyscallConn(); err == nil {
				j.fds[i], _ = sock.Duplicate(raw)
			}
		}
		c.(interface{ Close() error }).Close()
	}
	if j.on = g.Loops[max(j.fds[0], 0)%len(g.Loops)]; j.fds[0] < 0 || j.fds[1] < 0 {
		j.fail()
		return
	}
	j.on.Send(j)
}

func (j join) fail() {
	for _, fd := range j.fds {
		if fd >= 0 {
			sock.Close(fd)
		}
	}
	j.o.Done(tunnel.Result{Cause: tunnel.Failed})
}

// Receive implements loop.Handler.
func (j join) Receive() {
	client, err := j.on.Watch(j.fds[0], j, 0)
	if err != nil {
		j.fail()
		return
	}
	node, err := j.on.Watch(j.fds[1], j, 1)
	if err != nil {
		j.on.Forget(client)
		j.fail()
		return
	}
	j.g.Tunnels.Adopt(j.on, tunnel.Socket{FD: j.fds[0], Token: client, Readable: true}, tunnel.Socket{FD: j.fds[1], Token: node, Readable: true}, j.o)
}

// Event implements loop.Handler.
func (join) Event(int, loop.Events) {}

// Turn implements loop.Handler.
func (join) Turn() {}

// Expire implements loop.Handler.
func (join) Expire() {}
