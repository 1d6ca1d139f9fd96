package gateway

import (
	"errors"
	"syscall"
	"time"

	"github.com/sidway/sidway/engineio"
)

// admissible holds the request against its session's binding and reports whether the node may get it. From here on the
// query's version is the session's, but for a preflight, of whose version nodes make nothing.
func (x *exchange) admissible() (engineio.Cause, bool) {
	if x.kind != preflight && x.query.Version != x.binding.Version {
		return engineio.VersionMismatch, false // an upgrade with another can end the node's process: CVE-2026-102599
	}
	if x.kind == post {
		x.upload.limit = x.bodyLimit()
		if max(x.req.ContentLength, x.upload.got) > x.upload.limit {
			return engineio.BodyTooLarge, false
		}
	}
	return 0, true
}

// renews reports whether the binding has lived for a third of its time and is to be written again, so that the store keeps
// it for as long as polls come. A tunnel needs none.
func (x *exchange) renews() bool { return x.kind != upgrade && x.binding.Due(x.began) }

// patience is how long the session's node may be silent before the protocol's own timers have ended the session.
func (x *exchange) patience() time.Duration {
	if x.query.SID == "" {
		return ordinaryTime
	}
	return x.binding.PingInterval + x.binding.PingTimeout + margin
}

// bodyLimit is how many bytes a POST of the session may have: what the cluster says, else what the node announced, else
// what nodes of that version allow by default. A JSONP body is form-encoded, which makes three bytes of one.
func (x *exchange) bodyLimit() int64 {
	limit := x.route.MaxBody
	switch {
	case limit > 0:
		return limit
	case x.binding.MaxPayload > 0:
		limit = x.binding.MaxPayload
	case x.query.Version == 3:
		limit = 10e6
	default:
		limit = 1e6
	}
	if x.query.JSONP != "" {
		limit = 3*limit + 2
	}
	return limit
}

// answerTime is how long to wait for the node before waitsOn is asked: for what makes a session HandshakeTime, since
// another node could make it as well, and for anything else as long as an answer is of use.
func (x *exchange) answerTime() time.Duration {
	left := x.patience() - time.Since(x.sentAt)
	if x.reserved {
		return min(left, x.c.g.Limits.HandshakeTime)
	}
	return left
}

// overdue reports whether an answer of the node is of no use any more.
func (x *exchange) overdue() bool { return time.Since(x.sentAt) >= x.patience() }

// mayBeUnread reports whether err, in place of an answer on a connection that was used before, says that the node has not
// read the request, and the request can be sent again. A system resets where a program closes with bytes unread: the node
// closed an idle connection, for instance because it was stopped and its timer ran out, while the request was on its way.
// One that has read everything ends its connection in order. Only what Engine.IO asks for is sent again, of which a node does
// nothing before it has read all.
func (x *exchange) mayBeUnread(err error) bool {
	return x.reused && errors.Is(err, syscall.ECONNRESET) && (x.kind == poll || x.kind == post) && x.upload.got == int64(len(x.upload.body))
}

// mayMoveOn reports whether the request may be sent to another node: always if this one has read nothing of it. What a
// node may have read is sent once more at the most: a handshake, whose orphaned session is used by nobody and expires, also
// to a node that has fallen silent; a preflight only after a cut.
func (x *exchange) mayMoveOn(err error) bool {
	switch {
	case errors.Is(err, errUnsent), errors.Is(err, errNoPort): // ports are short to each node for itself
		return true
	case !isNodeFault(err):
		return false
	case x.sentAt.IsZero():
		return true
	}
	again := !x.resent && (x.kind.makesSession() && !x.overdue() || x.kind == preflight && errors.Is(err, errCut))
	x.resent = x.resent || again
	return again
}

func isNodeFault(err error) bool {
	return errors.Is(err, errRefused) || errors.Is(err, errSilent) || errors.Is(err, errCut)
}
