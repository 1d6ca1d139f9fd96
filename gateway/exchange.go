package gateway

import (
	"sync"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
)

// kind is what a request asks for; it decides which way along the road it takes.
type kind uint8

const (
	ordinary          kind = iota // not Socket.IO's: any node
	ordinaryWebSocket             // a WebSocket on another path: any node
	handshake
	poll // GET in a session
	post // POST in a session
	preflight
	upgrade
	directConnect
)

var kindNames = [...]string{"ordinary", "ordinary_websocket", "handshake", "poll", "post", "preflight", "upgrade", "direct_connect"}

func (k kind) String() string { return kindNames[k] }

// answered is the column of the table of answers that a request of this kind reads from.
func (k kind) answered() engineio.Kind {
	switch k {
	case post:
		return engineio.PollPOST
	case preflight:
		return engineio.Preflight
	case upgrade, directConnect:
		return engineio.WebSocketGET
	}
	return engineio.PollGET
}

// wantsTunnel reports whether the answer may be a 101.
func (k kind) wantsTunnel() bool {
	return k == upgrade || k == directConnect || k == ordinaryWebSocket
}

// makesSession reports whether the node answers with a session of its own making.
func (k kind) makesSession() bool { return k == handshake || k == directConnect }

// exchange is one request on its road, with the answer to it. It is used again for other requests.
type exchange struct {
	c       *client
	req     http1.Request
	resp    http1.Response
	body    http1.Body // of resp
	route   *route
	kind    kind
	query   engineio.Query
	binding affinity.Binding

	node     *cluster.Node   // that the request goes to; a lease is held on it
	tried    []*cluster.Node // that it was sent to before
	reserved bool            // a new session's place on node is not yet given to it
	leased   bool            // a lease on node is held
	reused   bool            // the connection to it has carried a request before
	redialed bool            // only a fresh connection to it will do
	taken    bool            // the sid that the node made lives on another node
	resent   bool            // it has been sent to another node after one that may have read it
	interim  int             // 1xx answers that came
	upload   upload
	open     engineio.Open // what the answer to a handshake or direct connect taught
	early    []byte        // of the answer's body or the tunnel's bytes, what was read to learn it

	acquired time.Time // when the lease on node began
	heard    uint64    // what had been heard of node when it was last found waiting for
	talked   uint64    // the same of its tunnels
	panicked bool      // a panic has left it in no state to be used again

	began    time.Time     // the head was read
	ready    time.Time     // what is to be sent to the node was here
	own      time.Duration // spent here, not on waiting for the client's body or the node's answer
	sentAt   time.Time     // when the node may have begun to read the request; zero before
	queuedAt time.Time     // when it began to wait because no node was left; zero before
	heldAt   time.Time     // when it began to wait for the store, or for its session's node
	status   int           // of the answer that the client got; 0 none
	bytes    int64         // of that answer, its head included
	id       string        // of the request, once it was asked for
	unread   bool          // the client's body was not read to its end
	reason   engineio.Cause
	refused  bool // reason holds
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// worthKeeping is the size of a buffer that an exchange keeps from request to request. A connection may be idle for
// long, and most packets are small.
const worthKeeping = 4 << 10

// reset makes x ready for a request of c.
func (x *exchange) reset(c *client) {
	if cap(x.upload.body) > worthKeeping {
		x.upload.body = nil
	}
	if cap(x.early) > worthKeeping {
		x.early = nil
	}
	x.req.Reset()
	x.resp.Reset()
	clear(x.tried)
	*x = exchange{
		c: c, req: x.req, resp: x.resp, tried: x.tried[:0], early: x.early[:0],
		upload: upload{body: x.upload.body[:0]},
	}
}

func (x *exchange) recycle() {
	if x.panicked {
		return
	}
	x.reset(nil)
	exchanges.Put(x)
}

// decode finds out what is asked for, from the raw bytes alone. What it refuses reaches no node.
func (x *exchange) decode() (engineio.Answer, bool) {
	q := &x.req
	if q.WebSocket {
		x.kind = ordinaryWebSocket
	}
	r, socketIO := x.c.g.match(q.Host, q.Path, q.RawQuery)
	if r == nil {
		return plain(404, "no cluster serves this host"), false
	}
	x.route = r
	if x.loops() {
		return x.refusal(engineio.Loop), false
	}
	if x.c.g.hides(q.Host, q.Path) {
		return plain(400, "a path to Socket.IO may not be written with escapes, .. or //"), false
	}
	if socketIO {
		if err := x.decodeSocketIO(); err != nil {
			return x.refusal(err.Cause()), false
		}
	}
	if x.kind.wantsTunnel() {
		if err := q.CheckWebSocket(); err != nil {
			return x.refusal(engineio.BadRequest), false
		}
	}
	return engineio.Answer{}, true
}

// decodeSocketIO reads the query and settles the kind of a request on the Socket.IO path.
func (x *exchange) decodeSocketIO() *engineio.Error {
	q := &x.req
	x.kind = preflight
	switch {
	case q.Method == "OPTIONS":
	case q.WebSocket:
		x.kind = directConnect
	case q.Method == "POST":
		x.kind = post
	default:
		x.kind = handshake
	}
	var err error
	if x.query, err = engineio.ParseQuery(q.RawQuery); err != nil {
		return err.(*engineio.Error) // as ParseQuery promises
	}
	inSession := x.query.SID != ""
	switch {
	case x.kind == preflight:
	case (x.query.Transport == engineio.WebSocket) != q.WebSocket:
		return engineio.ErrBadRequest
	case x.kind == directConnect && inSession:
		x.kind = upgrade
	case q.WebSocket:
	case !inSession && q.Method != "GET":
		return engineio.ErrBadHandshakeMethod
	case !inSession || x.kind == post:
	case q.Method != "GET":
		return engineio.ErrBadRequest
	default:
		x.kind = poll
	}
	if x.kind != post && (q.ContentLength > 0 || q.Chunked) {
		return engineio.ErrBadRequest // no client sends one, and nodes disagree on what it means
	}
	return nil
}
