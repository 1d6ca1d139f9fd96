package gateway

import (
	"crypto/tls"
	"io"
	"math"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/sock"
)

// clientConn is a client's connection: what it waits for, what it has received, and the request in hand.
type clientConn struct {
	loop.Timer
	caller
	g      *Gateway
	d      *driver
	fd     int
	token  loop.Token
	tls    *tls.Config // nil: it is not encrypted
	waiter waiter
	seat   seat // counted for it

	redirect   *Redirect // nil: requests go to nodes
	introduced bool      // by a header of the PROXY protocol, which has not come yet

	surplus bool // above the limit of connections, or of descriptors: only what belongs to a session is served
	crowded bool // even above the overflow, or beyond strangers' part of the descriptors: only what belongs to a session that is known here is
	fresh   bool // it has not sent a request yet
	second  bool // it has agreed to speak HTTP/2, and has not begun to

	state state
	limit time.Duration // when the state ends by itself
	ends  time.Duration // when a client that has closed its side is waited for no longer; 0: it has not
	then  func()        // what follows on waiting and holding

	readable bool // there may be bytes to read
	hup      bool // the client sends no more than what waits to be read
	waits    bool // it has sent requests behind others: an end of what it sends says that it waits for the answers
	last     bool // the connection ends with the answer in hand
	lingers  bool // and the client gets time to read it
	aborts   bool // by a reset, for a client that takes an orderly end for the end of the answer

	peeked [1]byte
	in     queued // received and not used yet
	looked int    // how much of in does not suffice to go on
	scan   http1.Scan
	unsent queued // of the answer

	x    *exchange // the request in hand
	n    *nodeConn // that it was sent on
	kept *nodeConn // an idle one that no other client may use; nil: there is none

	release *release // of the poll in hand; nil: there is none
}

func (g *Gateway) newClientConn(d *driver, fd int, who caller) *clientConn {
	c := &clientConn{caller: who, g: g, d: d, fd: fd, fresh: true}
	c.Init(c)
	c.waiter.c = c
	return c
}

// state is what a client's connection waits for.
type state uint8

const (
	idle       state = iota // for a request, or the rest of its head
	meeting                 // for the header of the PROXY protocol, in front of all else
	receiving               // for the rest of the body, before any of it is forwarded
	awaiting                // for what goes on elsewhere: the store is asked, or a name looked up
	holding                 // for some time to pass
	asking                  // for the head of the node's answer
	learning                // for the open packet behind a node's 101
	collecting              // for as much of the answer's body as must be known before the client gets any of it
	relaying                // for the rest of the answer's body
	flushing                // until the client takes the answer
	lingering               // for the client's end
	gone                    // for nothing: it is closed, or a tunnel's
)

// forever is the limit of a state that something else ends.
const forever = time.Duration(math.MaxInt64)

// readsAtOnce is how many steps a connection takes before others are served.
const readsAtOnce = 16

// Receive implements loop.Receiver: the connection comes from the acceptor's loop.
func (c *clientConn) Receive() { c.arrive() }

// arrive puts the connection on its loop.
func (c *clientConn) arrive() {
	err := io.ErrClosedPipe
	if !c.d.closed {
		c.token, err = c.d.loop.Watch(c.fd, c, 0)
	}
	if err != nil {
		c.state = gone
		sock.Close(c.fd)
		c.g.closed(c.seat)
		return
	}
	c.d.clients[c] = struct{}{}
	if c.tls != nil && !c.introduced {
		c.secure()
	}
	if c.surplus && c.d.makeRoom() {
		c.surplus, c.crowded = false, false
	}
	if c.crowded && !c.g.hasRoomToWait() {
		c.d.makeRoomForSessions()
	}
	if c.introduced {
		c.meet()
		return
	}
	c.awaitRequest()
}

// Event implements loop.EventHandler.
func (c *clientConn) Event(_ int, e loop.Events) {
	if e&loop.Hup != 0 {
		c.hup, c.readable = true, true
	}
	if e&loop.Readable != 0 {
		c.readable = true
	}
	if len(c.unsent.b) > 0 {
		c.flush()
	}
	c.advance()
}

// Resume implements loop.Resumer.
func (c *clientConn) Resume() { c.advance() }

// Fail implements loop.Failer.
func (c *clientConn) Fail() {
	if c.x != nil {
		c.x.panicked = true
	}
	c.depart()
}

// advance does whatever can be done now: it reads what the client and the node have sent, as far as the state wants it.
func (c *clientConn) advance() {
	for range readsAtOnce {
		switch n := c.n; {
		case c.state == meeting && c.readable:
			c.readHeader()
		case c.wants() && len(c.in.b) > c.looked:
			c.use()
		case n != nil && c.hears() && len(n.in.b) > n.looked:
			c.hear()
		case c.wants() && c.readable:
			c.keep()
			c.fill()
		case n != nil && c.hears() && n.readable:
			c.keep()
			n.fill()
		default:
			c.keep()
			if c.hup && c.x != nil && c.state != flushing {
				c.lookForEnd()
			}
			return
		}
	}
	c.keep()
	c.d.loop.Yield(&c.Timer)
}

// keep copies what lies in the loop's buffer and is not used yet.
func (c *clientConn) keep() {
	c.in.keep()
	if c.n != nil {
		c.n.in.keep()
	}
}

// wants reports whether what the client sends is looked at now.
func (c *clientConn) wants() bool {
	switch c.state {
	case idle, receiving, lingering:
		return true
	case asking, collecting, relaying:
		return c.x.streams && len(c.n.unsent.b) == 0
	}
	return false
}

// hears reports whether what the node sends is looked at now: not while the client takes no more of it.
func (c *clientConn) hears() bool {
	switch c.state {
	case asking, learning, collecting, relaying:
		return len(c.unsent.b) == 0
	}
	return false
}

// use looks at what has been received.
func (c *clientConn) use() {
	switch c.state {
	case idle:
		c.readHead()
	case receiving:
		c.readBody()
	case lingering:
		c.in.free()
	default:
		c.stream()
	}
}

// fill reads once from the client.
func (c *clientConn) fill() {
	b := c.d.loop.Shared
	n, err := c.d.loop.Read(c.token, c.fd, b)
	switch {
	case err == sock.Again:
		c.readable = false
	case err != nil: // its end is no end of a head or body that has begun
		c.depart()
	default:
		// A read that leaves room has emptied the socket, but for an end that was told already.
		c.readable = n == len(b) || c.hup
		if !loop.EarlyHup && !c.readable {
			_, err := c.d.loop.Peek(c.token, c.fd, c.peeked[:])
			c.hup, c.readable = err == io.EOF, err == io.EOF
		}
		c.in.receive(b[:n])
	}
}

// setState begins a state that ends after d by itself.
func (c *clientConn) setState(s state, d time.Duration) {
	c.state = s
	c.within(d)
}

// within has the state end after d by itself. The timer is moved only towards sooner: one that comes too early is set again
// then, so that the states of a request do not cost a timer each.
func (c *clientConn) within(d time.Duration) {
	if c.limit = forever; d != forever {
		c.limit = c.d.loop.Now() + d
	}
	c.arm()
}

// arm sets the timer to the first of the limits.
func (c *clientConn) arm() {
	first := c.first()
	if first == forever {
		return
	}
	if when, set := c.Due(); !set || first < when {
		c.d.loop.SetTimer(&c.Timer, first)
	}
}

func (c *clientConn) first() time.Duration {
	first := c.limit
	if c.ends > 0 && !c.sending() {
		first = min(first, c.ends)
	}
	if c.x != nil && c.x.due > 0 && c.wants() {
		first = min(first, c.x.due)
	}
	return min(first, c.sessionEnds())
}

// answering reports whether the client is being sent an answer.
func (c *clientConn) answering() bool { return c.state == relaying || c.state == flushing }

// sending reports whether there is something of the answer that the client has not taken.
func (c *clientConn) sending() bool {
	return c.state == flushing || c.state == relaying && len(c.unsent.b) > 0
}

// Expire implements loop.Expirer.
func (c *clientConn) Expire() {
	now := c.d.loop.Now()
	switch {
	case c.state == gone:
		return
	case now < c.first():
		c.arm()
		return
	case c.ends > 0 && now >= c.ends && !c.sending():
		c.depart()
	case now >= c.sessionEnds():
		c.endSession(engineio.TokenExpired)
	case now >= c.limit:
		c.expired()
	default:
		c.badUpload(errSlow)
	}
	c.advance()
}

// expired ends a state whose time is over.
func (c *clientConn) expired() {
	switch c.state {
	case meeting:
		c.unmet(headerLate)
	case idle:
		if len(c.in.b) > 0 && !c.second {
			c.refuse(http1.ErrHeadTime)
			return
		}
		c.depart()
	case receiving:
		c.badBody(errSlow)
	case holding:
		c.then()
	case asking:
		if c.x.searches && c.searchesOn() {
			return
		}
		if !c.x.SentAt.IsZero() && c.waitsOn() {
			c.within(c.x.AnswerTime(time.Now(), c.g.limits().HandshakeTime))
			return
		}
		if c.x.SentAt.IsZero() {
			c.lost(request.ErrNoConnect)
			return
		}
		c.lost(request.ErrSilent)
	case collecting:
		switch kind := c.x.Kind; {
		case (kind == request.Handshake || kind == request.Post) && c.waitsOn():
			c.within(c.x.AnswerTime(time.Now(), c.g.limits().HandshakeTime))
		case kind != request.Handshake:
			c.broken(request.ErrSilent)
		default:
			c.lost(request.ErrSilent)
		}
	case learning:
		c.lost(request.ErrSilent)
	case relaying:
		if len(c.unsent.b) > 0 {
			c.depart()
			return
		}
		c.cut()
	case flushing, lingering:
		c.depart()
	}
}

// halfTime is how long a client that has closed its side behind several requests is waited for. Most such clients are gone, and
// hold a connection and a node's poll for nothing.
const halfTime = 5 * time.Second

// lookForEnd ends the request of a client that closed its connection. One that only half-closed it behind several requests has
// asked for more and waits for the answers, for halfTime.
func (c *clientConn) lookForEnd() {
	if c.state == gone {
		return
	}
	n, err := c.d.loop.Peek(c.token, c.fd, c.peeked[:])
	switch {
	case err == sock.Again:
	case sock.Failed(c.fd) != nil: // a reset hides behind bytes that are not read
		c.depart()
	case err != nil && err != io.EOF:
		c.depart()
	case c.x.streams: // what comes is read, and the end found, when the node takes it
	case n > 0 || c.waits || len(c.in.b) > 0:
		c.waits = true
		if c.ends == 0 {
			c.ends = c.d.loop.Now() + halfTime
			c.arm()
		}
	default:
		c.depart()
	}
}

// lookBehind notes whether further requests have been received behind the one in hand. What was there before is remembered only
// of a client that has closed its side since.
func (c *clientConn) lookBehind() {
	c.waits = len(c.in.b) > 0 || c.hup && c.waits
	if c.readable && !c.hup && !c.waits {
		n, _ := c.d.loop.Peek(c.token, c.fd, c.peeked[:])
		c.waits = n > 0
	}
}

// hold goes on with then after d.
func (c *clientConn) hold(d time.Duration, then func()) {
	c.then = then
	c.setState(holding, d)
}
