package tunnel

import (
	"bytes"
	"sync/atomic"
	"time"
)

// Follower sees and changes what a tunnel carries, and may give it another node. Its methods are called on the tunnel's loop.
type Follower interface {
	// Begin is called first, with the tunnel. Pass is not called for Options.ToClient.
	Begin(Line)
	// Pass is given what has come from the client (0) or the node (1), which it may change in place, and returns what goes to the other
	// side.
	Pass(side int, b []byte) []byte
	// Moves reports whether EndSome leaves the tunnel to its Follower. It may be called from any goroutine.
	Moves() bool
	// NodeEnded is told that the node's connection has ended, and reports whether another one will come. If so, the client is not read
	// until then.
	NodeEnded() bool
}

// Line is a tunnel for its Follower, and for who had it adopted. Its methods are for the tunnel's loop; those that write may end the
// tunnel.
type Line struct{ t *tunnel }

// Ended reports whether the tunnel is no more, or is about to end.
func (l Line) Ended() bool { return l.t.gone || l.t.directions[1].eof || l.t.directions[1].over }

// ClientEnded reports whether the client has ended its side.
func (l Line) ClientEnded() bool { return l.t.directions[0].eof || l.t.directions[0].over }

// Flushed reports whether all that has passed from the client is with the node's socket.
func (l Line) Flushed() bool { return len(l.t.directions[0].waiting) == 0 }

// Hold has the client not be read, or be read again.
func (l Line) Hold(hold bool) {
	t := l.t
	if t.held == hold || t.gone {
		return
	}
	t.held = hold
	t.heard = max(t.heard, t.loop.Now()) // the wait was not the client's silence
	t.arm()
	if !hold {
		t.loop.Yield(&t.Timer)
	}
}

// Send passes b on to the node (1) or to the client (0), behind what waits for it.
func (l Line) Send(side int, b []byte) {
	t := l.t
	i := 1 - side
	switch w := &t.directions[i]; {
	case t.gone || w.over || len(b) == 0 || side == 1 && t.nodeless:
	case len(w.waiting) > 0:
		waiting := append(bytes.Clone(w.waiting), b...)
		t.giveBack(w)
		w.waiting = waiting
	default:
		t.write(i, b)
	}
}

// EndAfter has the tunnel end after d as by Options.Life, in place of what that said.
func (l Line) EndAfter(d time.Duration) {
	if t := l.t; !t.gone {
		t.ends = t.loop.Now() + max(d, 1)
		t.arm()
	}
}

// Abandon closes the node's connection. The client is not read until Replace.
func (l Line) Abandon() {
	if !l.t.gone {
		l.t.loseNode()
	}
}

// Replace puts a connection to another node, by which LenOf and EndSome know the tunnel from now on, in the place of the one that there
// is, which is closed. heard counts what it says, as Options.Heard.
func (l Line) Replace(s Socket, node any, heard *atomic.Uint64) {
	t := l.t
	t.said = heard
	t.loseNode()
	t.engine.rehome(t, node)
	t.join(1, s)
	t.loop.HandOver(s.Token, t, 1)
	t.nodeless, t.closes, t.closer, t.code, t.pinged = false, false, 0, 0, 0 // an end that was ordered stays
	t.loop.Yield(&t.Timer)
}

// End ends the tunnel: the client is told as if the node had closed.
func (l Line) End(why Cause) {
	t := l.t
	if t.gone {
		return
	}
	t.finish(why)
	t.pump()
}

// EndSoon is End, behind what is being passed.
func (l Line) EndSoon(why Cause) { l.t.stop(why) }

// Cut closes both sockets at once. What is on its way is lost.
func (l Line) Cut() {
	if t := l.t; !t.gone {
		t.because(Shutdown)
		t.close()
	}
}

// loseNode closes the node's connection, and what waits for it is dropped. The client is not read until there is another one.
func (t *tunnel) loseNode() {
	if t.nodeless || t.gone {
		return
	}
	t.nodeless, t.held = true, true
	t.giveBack(&t.directions[0])
	t.loop.Close(t.tokens[1], t.fd(1))
	t.directions[1].readable, t.directions[1].hup = false, false
}
