// Package request is what a gateway makes of one request, as pure functions of what has been read: what it asks for, which
// route it takes, what the node is sent, what may be sent again, what the client is answered. It has no descriptors, waits for
// nothing, and looks at no clock: times are passed in.
//
//	x.Reset(client)
//	err := x.Req.Parse(head)
//	answer, ok := x.Decode(routes)      // not ok: answer is for the client, no node hears of it
//	out = x.AppendRequest(out, address) // for the node
//	…
//	err = x.Resp.Parse(head, x.Req.Method)
//	out = x.AppendAnswer(out, x.Framing(), last)
//
// What is found out of nodes and counted of sessions is package cluster's; who reads, writes and waits is package gateway.
package request

import (
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/guard"
	"github.com/sidway/sidway/gateway/http1"
)

// Request is one request with the answer to it, as far as they have been read. It is used again for other requests. It is for
// one goroutine at a time.
type Request struct {
	Client *Client
	Req    http1.Request
	Resp   http1.Response
	Body   http1.Body // of Resp

	Route   *Route // that it takes; nil: no cluster serves its host
	Kind    Kind
	Query   engineio.Query
	Binding affinity.Binding // of its session
	Upload  Upload

	Node     *cluster.Node   // that it goes to
	Tried    []*cluster.Node // that it was sent to before
	Reserved bool            // a new session's place on Node is not yet given to it
	Reused   bool            // the connection to Node has carried a request before
	Resent   bool            // it has been sent to another node after one that may have read it

	Open  engineio.Open // what the answer to a handshake or direct connect taught
	Early []byte        // of the answer's body or the tunnel's bytes, what was read to learn it

	Began  time.Time // its head was read
	SentAt time.Time // when Node may have begun to read it; zero before

	Granted  auth.Verdict // of the route's Auth
	Unproven bool         // it makes a session whose client is judged by its first CONNECT

	// What the node is told of the trace, in place of what the client said; "" passes that on.
	Traceparent, Tracestate string

	Harm guard.Set // the rules that it breaks

	Cause   engineio.Cause // of a refusal
	Refused bool           // Cause holds

	id string // once it was asked for
}

// Cluster is the one whose nodes may get the request.
func (x *Request) Cluster() *cluster.Cluster {
	if x.Kind == Static {
		return x.Route.Files
	}
	return x.Route.Cluster
}

// Upload is the request's body.
type Upload struct {
	Body     []byte // what was read before forwarding
	Decoder  http1.Body
	Payload  engineio.Payload // of a POST's packets
	Complete bool             // all of it has been read
	Limit    int64            // bytes that it may have; 0 no limit
	Got      int64            // bytes read so far
}

// AtOnce reports whether the body was there when the request was sent, so that no node has waited for the client.
func (u *Upload) AtOnce() bool { return u.Complete && u.Got == int64(len(u.Body)) }

// Whole is how much of a body is read before any of it is forwarded, and how long a session's answer may be that is looked into
// whole. A slow client then holds no node's connection, and a broken body of this size never reaches a node.
const Whole = 64 << 10

// worthKeeping is the size of a buffer that is kept from request to request. A connection may be idle for long, and most
// packets are small.
const worthKeeping = 4 << 10

// Reset makes x ready for a request of c, and keeps memory of an ordinary size.
func (x *Request) Reset(c *Client) {
	if cap(x.Upload.Body) > worthKeeping {
		x.Upload.Body = nil
	}
	if cap(x.Early) > worthKeeping {
		x.Early = nil
	}
	x.Req.Reset()
	x.Resp.Reset()
	clear(x.Tried)
	*x = Request{
		Client: c, Req: x.Req, Resp: x.Resp, Tried: x.Tried[:0], Early: x.Early[:0],
		Upload: Upload{Body: x.Upload.Body[:0]},
	}
}
