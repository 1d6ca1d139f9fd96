package gateway

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/sock"
)

// driver is what a gateway has on one loop: client connections, and the connections to nodes that only they use. Handlers on
// a loop never block. What they wait for goes on elsewhere, and sends its result back: see clientConn.suspend.
//
// All that is below a driver belongs to its loop's goroutine.
type driver struct {
	g    *Gateway
	loop *loop.Loop
	out  []byte // what is being written

	acceptors []*acceptor
	deaf      bool // no acceptor is opened any more
	clients   map[*clientConn]struct{}
	waiters   waiting // clients that are waited for
	starts    starts
	peers     map[*cluster.Node]peer
	idle      map[*cluster.Node][]*nodeConn // the newest last
	idling    int                           // how many those are
	closed    bool

	toRelease []*clientConn // polls that have been chosen; see ReleasePolls
	releases  map[*release]struct{}
	releasing bool // releaseSome is under way
	moves     int  // under way
	waiting   int  // moves that wait for that, or for a node
	toMove    []*follower
	queued    int // moves that come from toMove and are under way
	polled    int // moves of sessions that poll
	pollTries map[string]pollTries

	scratch packet.Scratch // of all followers
}

// peer is the address behind a node's name.
type peer struct {
	addr  netip.AddrPort
	until time.Time // zero: for good
}

// peerTime is how long the address behind a node's name is taken to stay the same.
const peerTime = 5 * time.Second

func newDriver(g *Gateway, l *loop.Loop) *driver {
	d := &driver{
		g: g, loop: l, clients: map[*clientConn]struct{}{},
		peers: map[*cluster.Node]peer{}, idle: map[*cluster.Node][]*nodeConn{},
		releases: map[*release]struct{}{}, pollTries: map[string]pollTries{},
	}
	d.starts.Init(&d.starts)
	d.do(func() { l.OnPanic = g.panicked })
	return d
}

// task is something to be done on a loop.
type task func()

// Receive implements loop.Receiver.
func (t task) Receive() { t() }

// do does f on the loop and returns when it is done. It is not for the loop's own goroutine.
func (d *driver) do(f func()) {
	done := make(chan struct{})
	d.loop.Send(task(func() {
		defer close(done)
		f()
	}))
	<-done
}

func (d *driver) stopListening() {
	d.deaf = true
	for _, a := range d.acceptors {
		a.close()
	}
	d.acceptors = nil
}

func (d *driver) close() {
	d.closed = true
	for c := range d.clients {
		c.depart()
	}
	for r := range d.releases {
		r.close()
	}
	for _, idle := range d.idle {
		for _, n := range idle {
			n.close()
		}
	}
	clear(d.idle)
	d.idling = 0
}

// spare gives a descriptor up for one that is needed more: of the client that has been waited for longest, else of an idle
// connection to a node. It reports whether there was one.
func (d *driver) spare() bool {
	return d.makeRoomForSessions() || d.makeRoom() || d.dropIdle()
}

// dropIdle closes a connection to a node that nobody uses, and reports whether there was one.
func (d *driver) dropIdle() bool {
	for _, idle := range d.idle {
		if len(idle) > 0 {
			idle[0].drop()
			return true
		}
	}
	return false
}

// keepOnly lets go of what is kept for nodes other than these.
func (d *driver) keepOnly(current map[*cluster.Node]bool) {
	for n, idle := range d.idle {
		if !current[n] {
			for _, c := range idle {
				c.close()
			}
			d.idling -= len(idle)
			delete(d.idle, n)
		}
	}
	maps.DeleteFunc(d.peers, func(n *cluster.Node, _ peer) bool { return !current[n] })
}

// mayKeep reports whether one more connection to a node may be idle. Each client counts with two descriptors, of which those
// that are waited for use one. Where clients with HTTP/2 have used up more, a single one may be idle.
func (d *driver) mayKeep() bool {
	if !d.g.hasRoomForStrangers() {
		return d.idling == 0
	}
	free := max(0, d.g.limit.Load()-d.g.open.Load())
	return int64(d.idling) < int64(d.waiters.len())+free/int64(len(d.g.drivers))+1
}

// unkeptTime is for how long no connection to a node is kept that has sent bytes which belong to no answer. Such bytes may also come when the next
// request is on its way: they are taken for its answer then, and on a connection that is used again at once each answer for the one to the request
// that follows.
const unkeptTime = time.Minute

// trusts reports whether a connection to a node may carry another request.
func (d *driver) trusts(n *cluster.Node) bool {
	at := n.Unasked.Load()
	return at == 0 || d.loop.Clock().UnixNano()-at >= int64(unkeptTime)
}

// take returns an idle connection to a node, the one used last, nil where there is none. It looks at the socket, since the loop
// may not have been told yet that the node has closed it, or has sent bytes that belong to no answer. sure is for a request that could not be sent again.
func (d *driver) take(n *cluster.Node, sure bool) *nodeConn {
	idle := d.idle[n]
	for len(idle) > 0 {
		c := idle[len(idle)-1]
		idle[len(idle)-1] = nil
		idle = idle[:len(idle)-1]
		d.idle[n] = idle
		d.idling--
		if d.isUsable(c, sure) {
			return c
		}
		c.close()
	}
	return nil
}

// isUsable reports whether an idle connection may still carry a request.
func (d *driver) isUsable(c *nodeConn, sure bool) bool {
	return d.loop.Now() < c.until && !(sure && c.aged) && c.isQuiet() && d.trusts(c.node)
}

// peer returns the address of a node, false where its name has to be looked up.
func (d *driver) peer(n *cluster.Node) (netip.AddrPort, bool) {
	p, ok := d.peers[n]
	if !ok {
		if addr, err := netip.ParseAddrPort(n.Address); err == nil {
			p, ok = peer{addr: addr}, true
			d.peers[n] = p
		}
	}
	return p.addr, ok && (p.until.IsZero() || d.loop.Clock().Before(p.until))
}

// dial begins to connect to a node. For a live session others give way where no descriptor is left.
func (d *driver) dial(n *cluster.Node, addr netip.AddrPort, live bool) (*nodeConn, error) {
	fd, err := d.g.dial(addr)
	if errors.Is(err, syscall.EMFILE) && (live && d.spare() || d.dropIdle()) {
		fd, err = d.g.dial(addr)
	}
	if err != nil {
		return nil, err
	}
	return d.adopt(n, fd)
}

// dialed is a connection that a goroutine made to a node with a name.
type dialed struct {
	fd   int
	addr netip.AddrPort
	err  error
}

// dialName connects to an address with a name: to whichever of the addresses behind it accepts. It blocks.
func dialName(address string) dialed {
	d := net.Dialer{Timeout: dialTime}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return dialed{fd: -1, err: err}
	}
	defer conn.Close()
	fd, err := descriptor(conn)
	return dialed{fd: fd, addr: addrPort(conn.RemoteAddr()), err: err}
}

// adopt has the loop watch a fresh connection to a node. It closes fd where that fails.
func (d *driver) adopt(n *cluster.Node, fd int) (*nodeConn, error) {
	var err error
	c := &nodeConn{d: d, node: n, fd: fd}
	c.Init(c)
	if c.token, err = d.loop.Watch(fd, c, 0); err != nil {
		sock.Close(fd)
		return nil, err
	}
	d.g.toNodes.Add(1)
	return c, nil
}
