package request

import (
	"errors"
	"fmt"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/guard"
	"github.com/sidway/sidway/gateway/http1"
)

// What can become of a request between us and a node.
var (
	ErrRefused   = errors.New("request: the node refused the connection")
	ErrSilent    = errors.New("request: the node did not answer in time")
	ErrShortage  = errors.New("request: no descriptor or memory is left")
	ErrNoPort    = errors.New("request: all ports to the node are in use")
	ErrCut       = errors.New("request: the node cut the connection")
	ErrUnsent    = errors.New("request: the node's connection was closed before the request was read")
	ErrBadAnswer = errors.New("request: the node's answer is not HTTP")

	// ErrTLS is of a node that cannot be spoken to by TLS.
	ErrTLS = errors.New("request: the node does not speak TLS, or its certificate or ours is not taken")

	// Two kinds of ErrSilent, of a connection that was not made.
	ErrNoConnect   = fmt.Errorf("%w: it accepted no connection", ErrSilent)
	ErrUnreachable = fmt.Errorf("%w: it cannot be reached", ErrSilent)
)

const (
	// margin is what network and scheduling may add to the protocol's own timers.
	margin = 15 * time.Second
	// ordinaryTime is how long a node may take to answer a request that is not Socket.IO's, or the last handshake tried.
	ordinaryTime = 60 * time.Second
)

// Admissible holds the request against its session's binding and reports whether the node may get it. From here on the
// query's version is the session's, but for a preflight, of whose version nodes make nothing.
func (x *Request) Admissible() (engineio.Cause, bool) {
	if x.Kind != Preflight && x.Query.Version != x.Binding.Version {
		if x.breaks(guard.EIOMismatch) {
			return engineio.VersionMismatch, false
		}
		x.Query.Version = x.Binding.Version
		if x.Kind == Post { // whose body was read in the other
			x.Upload.Payload.ResetPost(x.Query)
			if !x.Inspect(x.Upload.Body) {
				return engineio.BadRequest, false
			}
		}
	}
	if x.Kind == Post {
		if x.Query.Version == 4 && x.Req.Get(http1.ContentType) == "application/octet-stream" && x.breaks(guard.BinaryPayload) {
			return engineio.BadRequest, false
		}
		if x.Binding.JSONP && x.Query.JSONP == "" && x.breaks(guard.Attachments) {
			return engineio.BadRequest, false // the node reads a form where none was looked at
		}
		x.Upload.Limit = x.bodyLimit()
		if max(x.Req.ContentLength, x.Upload.Got) > x.Upload.Limit {
			return engineio.BodyTooLarge, false
		}
	}
	return 0, true
}

// Inspect looks through the next piece of a POST's body and reports whether the node may get it.
func (x *Request) Inspect(piece []byte) bool {
	x.Upload.Payload.Next(piece, x.Upload.Complete)
	broken, refused := x.Route.Judge(&x.Upload.Payload)
	x.Harm |= broken
	return !refused
}

// breaks notes that the request breaks a rule, and reports whether it is refused for that.
func (x *Request) breaks(r guard.Rule) bool {
	x.Harm.Add(r)
	return !x.Route.Guard.Report.Has(r)
}

// Renews reports whether the binding has lived for a third of its time and is to be written again, so that the store keeps
// it for as long as polls come. A tunnel needs none.
func (x *Request) Renews() bool { return x.Kind != Upgrade && x.Binding.Due(x.Began) }

// Patience is how long the session's node may be silent before the protocol's own timers have ended the session.
func (x *Request) Patience() time.Duration {
	if x.Query.SID == "" {
		return ordinaryTime
	}
	return x.Binding.PingInterval + x.Binding.PingTimeout + margin
}

// bodyLimit is how many bytes a POST of the session may have: what the cluster says, else what the node announced, else
// what nodes of that version allow by default. A JSONP body is form-encoded, which makes three bytes of one.
func (x *Request) bodyLimit() int64 {
	limit := x.Route.MaxBody
	switch {
	case limit > 0:
		return limit
	case x.Binding.MaxPayload > 0:
		limit = x.Binding.MaxPayload
	case x.Query.Version == 3:
		limit = 10e6
	default:
		limit = 1e6
	}
	if x.Query.JSONP != "" {
		limit = 3*limit + 2
	}
	return limit
}

// AnswerTime is how long to wait for the node before it is asked whether the node is silent: for what makes a session the time given, since
// another node could make it as well, and for anything else as long as an answer is of use; a POST, which nodes answer at once, is looked after
// as often.
func (x *Request) AnswerTime(now time.Time, handshake time.Duration) time.Duration {
	left := x.Patience() - now.Sub(x.SentAt)
	if x.Reserved || x.Kind == Post {
		return min(left, handshake)
	}
	return left
}

// Overdue reports whether an answer of the node is of no use any more.
func (x *Request) Overdue(now time.Time) bool { return now.Sub(x.SentAt) >= x.Patience() }

// Repeatable reports whether the request can be sent again to a node that has not read all of it. Only what Engine.IO asks for is, of
// which a node does nothing before.
func (x *Request) Repeatable() bool {
	return (x.Kind == Poll || x.Kind == Post) && x.Upload.Got == int64(len(x.Upload.Body))
}

// MayMoveOn reports whether the request may be sent to another node: always if this one has read nothing of it. What a
// node may have read is sent once more at the most: a handshake, whose orphaned session is used by nobody and expires, also
// to a node that has fallen silent; a preflight only after a cut.
func (x *Request) MayMoveOn(err error, now time.Time) bool {
	switch {
	case errors.Is(err, ErrUnsent), errors.Is(err, ErrNoPort): // ports are short to each node for itself
		return true
	case !isNodeFault(err):
		return false
	case x.SentAt.IsZero():
		return true
	}
	again := !x.Resent && (x.Kind.MakesSession() && !x.Overdue(now) || x.Kind == Preflight && errors.Is(err, ErrCut))
	x.Resent = x.Resent || again
	return again
}

func isNodeFault(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, ErrSilent) || errors.Is(err, ErrCut) || errors.Is(err, ErrTLS)
}

// RefusedByRule reports whether the node's answer to a handshake may be a rule's: any client can be refused so.
func (x *Request) RefusedByRule() bool {
	s := x.Resp.Status
	return s >= 400 && s < 500 && s != 404
}
