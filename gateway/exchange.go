package gateway

import (
	"sync"
	"time"

	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/trace"
)

// exchange is a request on its road: what is to be known of it, and how far it has come. It is used again for other requests.
type exchange struct {
	request.Request
	g     *Gateway
	route *route // Route, with what is counted of it

	leased   bool // a lease on Node is held
	redialed bool // only a fresh connection to Node will do
	taken    bool // the sid that Node made lives on another node
	unread   bool // the client's body was not read to its end
	released bool // somebody has tried to have its poll answered
	panicked bool // a panic has left it in no state to be used again

	moving    *polledMove // of its session, which polls; nil: none
	entered   bool        // replicas are told that its POST is on its way
	refreshed bool        // the store was asked again where its session lives
	checked   bool        // for acknowledgements that no node waits for

	unprovenAt time.Time // when it began to wait for its session to be proven; zero: it has not

	streams bool          // the rest of the client's body is forwarded as it comes
	due     time.Duration // when the next piece of the body must have come, on the loop's clock
	base    time.Duration // BodyTime after the first wait for it
	interim int           // 1xx answers that came

	acquired time.Time // when the lease on Node began
	heard    uint64    // what had been heard of Node when it was last found waiting for
	talked   uint64    // the same of its tunnels
	others   bool      // Node has answered others meanwhile

	ready    time.Time     // what is to be sent to Node was here
	overhead time.Duration // spent here, not on waiting for the client's body or the node's answer
	held     bool          // it is one of those that wait for a node
	queuedAt time.Time     // when it began to wait because no node was left; zero before
	pacedAt  time.Time     // when it first came to the turnstile
	turn     *turn         // while it waits there
	ends     time.Duration // when the session has to end, on the loop's clock; 0: whenever it does
	searches bool          // its session's node is looked for: Node is one that may be it
	vouched  bool          // by a token of its own, so that its session may be looked for
	stray    bool          // the store does not know the session
	unsure   bool          // a node could not be asked whether it has the session
	mayHave  bool          // one may have read the request, and did not answer
	asides   []aside       // nodes that are silent, beside which the search goes on
	spent    spent         // on the search
	heldAt   time.Time     // when it began to wait for the store, or for its session's node
	span     *trace.Span   // of the trace; nil: there is none
	attempt  *trace.Span   // below it, while Node is asked
	status   int           // of the answer that the client got; 0 none
	bytes    int64         // of that answer, its head included
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// newExchange returns one for a request of c.
func newExchange(c *clientConn) *exchange {
	x := exchanges.Get().(*exchange)
	x.Reset(&c.Client)
	x.g = c.g
	return x
}

// recycle lets go of all that x refers to.
func (x *exchange) recycle() {
	if x.panicked {
		return
	}
	x.Reset(nil)
	*x = exchange{Request: x.Request}
	exchanges.Put(x)
}

// acquire takes a lease on the node, if none is held, at a time that the caller knows.
func (x *exchange) acquire(now time.Time) {
	if !x.leased {
		x.leased = true
		x.Node.Acquire()
	}
	x.heard, x.talked, x.acquired, x.others = x.Node.Heard.Load(), x.Node.Talked.Load(), now, false
}

// leave ends the lease on the node, if there is one, and gives the session's place back where one is still reserved.
func (x *exchange) leave() {
	if x.leased {
		x.leased = false
		x.Node.Release()
	}
	if x.Reserved {
		x.Reserved = false
		if x.SentAt.IsZero() {
			x.route.Cluster.Unpick(x.Node)
		} else {
			x.route.Cluster.Leave(x.Node)
		}
	}
}
