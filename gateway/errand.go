package gateway

import (
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/sock"
)

// errand is what uses a connection to a node for no client's request.
type errand interface {
	// event is told that something has happened there.
	event()
	// Fail ends the errand after a panic.
	Fail()
}

// connect connects to a node, for a live session by means of what others keep, and calls then on the loop, at once where its address is no
// name. then closes the connection where it is not wanted any more.
func (d *driver) connect(node *cluster.Node, live bool, then func(*nodeConn, error)) {
	if addr, ok := d.peer(node); ok {
		then(d.dial(node, addr, live))
		return
	}
	d.g.serving.Add(1)
	go func() {
		to := dialName(node.Address)
		d.loop.Send(task(func() {
			defer d.g.serving.Done()
			switch {
			case to.err != nil:
				then(nil, to.err)
			case d.closed:
				sock.Close(to.fd)
			default:
				then(d.adopt(node, to.fd))
			}
		}))
	}()
}

// receive reads what the connection has to give, and calls hear after each read, and ended where it has ended. Both may close it.
func (n *nodeConn) receive(hear, ended func()) {
	l := n.d.loop
	if len(n.unsent.b) > 0 {
		wrote, err := l.Write(n.token, n.fd, n.unsent.b)
		if err != nil && err != sock.Again {
			ended()
			return
		}
		n.unsent.drop(wrote)
	}
	for n.readable && !n.closed && n.errand != nil {
		got, err := l.Read(n.token, n.fd, l.Shared)
		switch {
		case err == sock.Again:
			n.readable = false
		case err != nil:
			n.readable = false
			ended()
		default:
			n.readable = got == len(l.Shared) || n.hup
			n.in.receive(l.Shared[:got])
			hear()
			n.in.keep()
		}
	}
}
