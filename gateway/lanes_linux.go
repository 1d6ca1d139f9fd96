package gateway

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/sock"
)

// lanes are what a gateway has on its loops, one on each; none where it has no loops.
type lanes []*lane

func newLanes(g *Gateway) lanes {
	var all lanes
	for _, l := range g.Loops {
		lane := newLane(g, l)
		lane.do(func() { l.OnPanic = g.panicked })
		all = append(all, lane)
	}
	return all
}

// listen takes l over and reports true if its connections can be served on loops.
func (all lanes) listen(l net.Listener) bool {
	if len(all) == 0 {
		return false
	}
	fd, ok := descriptor(l)
	if !ok {
		return false
	}
	sock.PrepareListener(fd)
	entrance := &entrance{lanes: all, lane: all[0], fd: fd, spare: -1, port: addrPort(l.Addr()).Port()}
	entrance.Sit(entrance)
	l.Close()
	all[0].do(entrance.open)
	return true
}

func (all lanes) stopListening() {
	for _, l := range all {
		l.do(l.stopListening)
	}
}

// close closes every connection on the lanes. Those whose request waits for the store are gone when that has answered.
func (all lanes) close() {
	for _, l := range all {
		l.do(l.close)
	}
}

// entrance is a listening socket. It accepts on one lane and gives the connections to all lanes in turn, so that each
// carries as many.
type entrance struct {
	loop.Seat
	lanes   lanes
	lane    *lane
	fd      int
	spare   int // a descriptor for a connection that finds no other; -1: there is none
	token   loop.Token
	watched bool // the loop watches it
	port    uint16
	next    int
	pause   time.Duration
	short   time.Duration // when no connection could be accepted last; 0: never
}

// acceptTurn is how many connections are accepted before other sockets have their turn.
const acceptTurn = 64

func (e *entrance) open() {
	var err error
	if e.lane.deaf {
		err = net.ErrClosed
	} else {
		e.token, err = e.lane.loop.WatchListener(e.fd, e)
	}
	if err != nil {
		sock.Close(e.fd)
		return
	}
	e.watched = true
	e.keepSpare()
	e.lane.entrances = append(e.lane.entrances, e)
}

// Event implements loop.Handler.
func (e *entrance) Event(int, loop.Events) {
	for range acceptTurn {
		fd, from, err := sock.Accept(e.fd)
		switch err {
		case nil:
			e.pause = 0
			e.admit(fd, from.Addr())
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return
		default:
			if e.lane.spare() {
				continue
			}
			e.turnAway()
			e.rest(err)
			return
		}
	}
}

// turnAway deals with connections that wait while there is no descriptor: a stranger gets its 503 on the one that is kept back for
// that, and a live session gets that one.
func (e *entrance) turnAway() {
	for range acceptTurn {
		e.keepSpare()
		if e.spare < 0 {
			return
		}
		sock.Close(e.spare)
		e.spare = -1
		fd, from, err := sock.Accept(e.fd)
		if err != nil {
			break
		}
		if !isStranger(fd, e.lane.loop.Shared) {
			e.admit(fd, from.Addr())
			return
		}
		_, _ = sock.Receive(fd, e.lane.loop.Shared) // what is unread would make the close a reset
		_, _ = sock.Send(fd, fullAnswer)
		sock.Close(fd)
		e.lane.g.Metrics.refused("full")
	}
	e.keepSpare()
}

// keepSpare keeps a descriptor for turnAway, if there is one and none is kept yet.
func (e *entrance) keepSpare() {
	if e.spare >= 0 {
		return
	}
	var err error
	if e.spare, err = unix.FcntlInt(uintptr(e.fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		e.spare = -1
	}
}

// isStranger reports whether what the client has sent so far names no session. It takes nothing away.
func isStranger(fd int, b []byte) bool {
	n, _, err := unix.Recvfrom(fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && !bytes.Contains(b[:n], []byte("sid="))
}

// isOfLiveSession reports whether b begins with a request of a session that is known here.
func (c *laneClient) isOfLiveSession(b []byte) bool {
	x, r := exchanges.Get().(*exchange), c.lane.reader
	x.reset(c.client)
	r.Load(b)
	ok, err := r.TryRequest(&x.req)
	if ok = ok && err == nil; ok {
		_, ok = x.decode()
	}
	if ok = ok && x.query.SID != ""; ok {
		_, ok = x.route.known(x.query.SID)
	}
	r.Discard()
	x.recycle()
	return ok
}

// rest lets connections wait in the kernel until there are descriptors again.
func (e *entrance) rest(err error) {
	now := e.lane.loop.Now()
	if e.short == 0 || now-e.short > acceptQuiet {
		e.lane.g.Log.Warn("no connection can be accepted", "error", err)
	}
	e.short = now
	e.pause = min(max(2*e.pause, acceptPause), acceptPauseMost)
	e.lane.loop.Release(e.token, e.fd)
	e.watched = false
	e.lane.loop.SetTimer(&e.Seat, now+e.pause)
}

// Expire implements loop.Handler.
func (e *entrance) Expire() {
	var err error
	if e.token, err = e.lane.loop.WatchListener(e.fd, e); err != nil {
		e.lane.loop.SetTimer(&e.Seat, e.lane.loop.Now()+acceptPauseMost)
		return
	}
	e.watched = true
}

// Turn implements loop.Handler.
func (e *entrance) Turn() {}

// Receive implements loop.Handler.
func (e *entrance) Receive() {}

func (e *entrance) admit(fd int, from netip.Addr) {
	to := e.lanes[e.next]
	e.next = (e.next + 1) % len(e.lanes)
	c := newClient(e.lane.g, from, e.port)
	c.lane = to
	e.lane.g.admit(c)
	if lc := newLaneClient(c, fd); to == e.lane {
		lc.arrive()
	} else {
		to.loop.Send(lc)
	}
}

// close accepts what waits already, since closing would reset it, and stops listening.
func (e *entrance) close() {
	if e.watched {
		e.Event(0, 0)
	}
	if e.watched {
		e.lane.loop.Forget(e.token)
	}
	e.lane.loop.StopTimer(&e.Seat)
	sock.Close(e.fd)
	if e.spare >= 0 {
		sock.Close(e.spare)
	}
}
