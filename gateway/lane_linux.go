package gateway

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// lane is the part of a gateway that runs on one loop: clients, and connections to nodes that only
// they use. A request that is whole, asks for what Socket.IO asks for and is answered as nodes answer goes its road there,
// by the same steps as in a goroutine, and never waits: not for a lock, nor for a name to be resolved. Anything else, and
// whatever goes wrong, is left to a goroutine from where it stands; see laneClient.handOver.
//
// All that is below a lane belongs to its loop's goroutine.
type lane struct {
	g    *Gateway
	loop *loop.Loop

	reader *http1.Reader // of the bytes in hand, whosever they are
	out    []byte        // what is being written

	entrances []*entrance
	deaf      bool // no entrance is opened any more
	clients   map[*laneClient]struct{}
	waiters   waiting                       // those that rest
	idle      map[*cluster.Node][]*laneNode // the newest last
	idling    int                           // how many those are
	closed    bool
}

func newLane(g *Gateway, l *loop.Loop) *lane {
	return &lane{
		g: g, loop: l, reader: http1.NewReader(nil),
		clients: map[*laneClient]struct{}{}, idle: map[*cluster.Node][]*laneNode{},
	}
}

// task is something to be done on a loop.
type task func()

// Receive implements loop.Handler.
func (t task) Receive() { t() }

// Event implements loop.Handler.
func (task) Event(int, loop.Events) {}

// Turn implements loop.Handler.
func (task) Turn() {}

// Expire implements loop.Handler.
func (task) Expire() {}

// do does f on the loop and returns when it is done. It is not for the loop's own goroutine.
func (l *lane) do(f func()) {
	done := make(chan struct{})
	l.loop.Send(task(func() {
		defer close(done)
		f()
	}))
	<-done
}

func (l *lane) stopListening() {
	l.deaf = true
	for _, e := range l.entrances {
		e.close()
	}
	l.entrances = nil
}

func (l *lane) close() {
	l.closed = true
	for c := range l.clients {
		c.depart()
	}
	for _, idle := range l.idle {
		for _, n := range idle {
			n.close()
		}
	}
	clear(l.idle)
	l.idling = 0
}

// takeBack puts a client whose goroutine has nothing to do for the moment back on the lane. It reports false, and leaves
// the client as it is, where no descriptor is left. The goroutine's own is ended: who still holds it finds it closed.
func (l *lane) takeBack(c *client) bool {
	fd, ok := descriptor(c.conn)
	if !ok {
		return false
	}
	c.g.watcher.remove(c)
	c.conn.Close()
	l.loop.Send(newLaneClient(c.anew(), fd))
	return true
}

// descriptor returns a descriptor for a loop of a socket that is plain TCP's; c is to be closed then.
func descriptor(c any) (fd int, ok bool) {
	var raw syscall.RawConn
	err := errors.ErrUnsupported
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.TCPListener:
		raw, err = c.SyscallConn()
	}
	if err == nil {
		fd, err = sock.Duplicate(raw)
	}
	return fd, err == nil
}

// spare gives a descriptor up for one that is needed more: of the client that has waited longest, else of an idle connection to a
// node. It reports whether there was one.
func (l *lane) spare() bool {
	return l.g.makeRoom(&l.waiters, l.loop.Clock()) || l.dropIdle()
}

// dropIdle closes a connection to a node that nobody uses, and reports whether there was one.
func (l *lane) dropIdle() bool {
	for _, idle := range l.idle {
		if len(idle) > 0 {
			idle[0].drop()
			return true
		}
	}
	return false
}

// mayKeep reports whether one more connection to a node may be idle. Each client counts with two descriptors, of which those
// that wait for a request use one.
func (l *lane) mayKeep() bool {
	free := max(0, l.g.limit.Load()-l.g.open.Load())
	return int64(l.idling) < int64(l.waiters.len())+free/int64(len(l.g.lanes))+1
}

// take returns an idle connection to a node, the one used last, nil where there is none. It looks at the socket, since the loop
// may not have been told yet that the node has closed it, or has sent bytes that belong to no answer.
func (l *lane) take(n *cluster.Node) *laneNode {
	idle := l.idle[n]
	for len(idle) > 0 {
		c := idle[len(idle)-1]
		idle[len(idle)-1] = nil
		idle = idle[:len(idle)-1]
		l.idle[n] = idle
		l.idling--
		if l.loop.Now() < c.until && sock.Quiet(c.fd) {
			return c
		}
		c.close()
	}
	return l.fetch(n)
}

// fetch returns a connection that a goroutine used last, nil where none is idle. Without it answers that goroutines finish
// would leave more and more of them idle.
func (l *lane) fetch(n *cluster.Node) *laneNode {
	conn := n.Pool.TakeIdle()
	if conn == nil {
		return nil
	}
	defer conn.Close()
	fd, ok := descriptor(conn.Conn)
	if !ok {
		return nil
	}
	return l.adopt(n, fd, true)
}

// dial begins to connect to a node, whose address some goroutine has found out not long ago. It returns nil where that is
// not so, or where it fails at once. For a live session others give way where no descriptor is left.
func (l *lane) dial(n *cluster.Node, live bool) *laneNode {
	addr, ok := n.Pool.Peer(l.loop.Clock())
	if !ok {
		return nil
	}
	fd, err := sock.Dial(addr)
	if errors.Is(err, unix.EMFILE) && (live && l.spare() || l.dropIdle()) {
		fd, err = sock.Dial(addr)
	}
	if err != nil {
		return nil
	}
	return l.adopt(n, fd, false)
}

// adopt has the loop watch a connection to a node, reused or fresh. It returns nil, and closes fd, where that fails.
func (l *lane) adopt(n *cluster.Node, fd int, reused bool) *laneNode {
	var err error
	c := &laneNode{lane: l, node: n, fd: fd, reused: reused}
	c.Sit(c)
	if c.token, err = l.loop.Watch(fd, c, 0); err != nil {
		sock.Close(fd)
		return nil
	}
	return c
}
