// Package tunnel carries a WebSocket after its 101: bytes from the client to the node and back, until one of them ends it.
//
//	engine := tunnel.New()
//	engine.Adopt(l, tunnel.Socket{FD: client, Token: its}, tunnel.Socket{FD: node, Token: its}, tunnel.Options{ // on the loop l
//		ToClient: early, // what the node sent behind its 101
//		Idle:     60 * time.Second,
//		Owner:    tunnel.Done(func(r tunnel.Result) { lease.Release(); ended.WithLabelValues(r.Cause.String()).Inc() }),
//	})
//
// An engine holds many tunnels. It bounds what waits in this process's memory to 64 KiB per direction: while one side does not
// take its bytes, the other side is not read. A side that ends (FIN) is told to the other side, and the opposite
// direction goes on for a limited time.
//
// It knows nothing of sessions, and of WebSocket frames no more than what it takes to tell of heartbeats and of a node that closes: it neither checks the 101 nor counts sessions, and ends nothing on a
// frame's boundary. A Follower knows more, and may put another node's connection in the place of the one that there is.
package tunnel

import (
	"sync/atomic"
	"time"
)

// Options are the limits of a tunnel. The zero duration means no limit, but for Linger.
type Options struct {
	// Node is what LenOf and EndSome know the tunnel's node by: any value that can be compared.
	Node any
	// ID is what Find knows the tunnel by, empty for nothing.
	ID string
	// ToClient and ToNode are bytes that came early. They go out first. The tunnel owns them.
	ToClient, ToNode []byte
	// Idle limits the time between bytes from the client; what the node sends does not prolong it.
	Idle time.Duration
	// Grace is added to the first interval of Idle: the tunnel is not idle before Idle + Grace have passed since Adopt.
	Grace time.Duration
	// Block limits one write that the other side does not take; then the tunnel ends.
	Block time.Duration
	// Linger limits how long one direction goes on after the other has ended; 0 means DefaultLinger.
	Linger time.Duration
	// Preface is how many bytes the client sends before it is done with asking whether the tunnel works: while some of them have passed
	// and no more, an end in order waits, for prefaceTime at most.
	Preface int64
	// Life is how long after Adopt the tunnel ends, as one of Shutdown's does.
	Life time.Duration
	// Rate is how many bytes per second are read from the client; beyond that they wait in the sockets. 0 means no limit.
	Rate int64
	// Slowed, if not nil, is called each time that the client has to wait for that, on the loop. It must not block.
	Slowed func()
	// Heard, if not nil, counts the reads that brought something from the node.
	Heard *atomic.Uint64
	// Pings has Owner told of the client's pongs.
	Pings bool
	// Follow, if not nil, sees and changes all that passes.
	Follow Follower
	// Owner, if not nil, is told what becomes of the tunnel.
	Owner Owner
}

// Owner is told what becomes of a tunnel. Its methods are called on the loop, and must not block.
type Owner interface {
	// ClientLeft is called exactly once, when the client's side has ended, at the latest before Ended, with how many of its bytes the node's
	// socket took. Some nodes do not end their side for it.
	ClientLeft(fromClient int64)
	// Ended is called exactly once, after both sockets are closed.
	Ended(r Result)
	// Pong is told how long the client took to answer a ping of its session's node, where both are a frame that came by itself: a
	// ping of Engine.IO 4 is the node's. It is called only by Options.Pings.
	Pong(took time.Duration)
}

// Done is an Owner that is told of the end alone.
type Done func(Result)

// ClientLeft implements Owner.
func (Done) ClientLeft(int64) {}

// Ended implements Owner.
func (f Done) Ended(r Result) { f(r) }

// Pong implements Owner.
func (Done) Pong(time.Duration) {}

// prefaceTime is how long a client has to be done with the Preface when the tunnel is to end. An upgrade takes a tenth of a second.
const prefaceTime = 2 * time.Second

// DefaultLinger is the time that a tunnel's second direction has after the first has ended. Both peers of a WebSocket close at
// once when the other one does (RFC 6455, 7.1.1), so it is needed only for what is on its way.
const DefaultLinger = 10 * time.Second

// Result is what became of a tunnel.
type Result struct {
	// FromClient and FromNode count the bytes, early ones included, that the other side's socket took.
	FromClient, FromNode int64
	// Cause is what happened first of all that ended the tunnel.
	Cause Cause
	// Closer is the side whose Close frame was the first: ClientClosed or NodeClosed, 0 where neither has said one, as far as is seen.
	Closer Cause
	// Code is the code of the node's, where that was the first: 0 where it has none.
	Code uint16
}

// Cause says why a tunnel ended. It is a closed set, fit for a metric's label.
type Cause uint8

// The causes. A side has closed when it sent a FIN or a reset, or vanished under a write.
const (
	ClientClosed Cause = iota + 1
	NodeClosed
	ClientIdle // no byte from the client for Idle
	Blocked    // one side took no bytes for Block
	Shutdown   // the engine was shut down
	Drained    // the node's sessions are ended: see EndSome
	NodeSilent // the node does not answer any more: see EndSome
	Expired    // its Life is over
	Refused    // the client has sent what its node is not to get: see Line.EndSoon
	Failed     // any other failure of a connection
)

var causes = [...]string{"none", "client_closed", "node_closed", "client_idle", "blocked", "shutdown", "drained", "node_silent", "token_expired", "guard", "error"}

// String returns the cause as a metric's label: client_closed, node_closed, client_idle, blocked, shutdown, drained, node_silent,
// token_expired, guard or error.
func (c Cause) String() string {
	if int(c) >= len(causes) {
		return causes[0]
	}
	return causes[c]
}
