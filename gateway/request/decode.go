package request

import (
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/guard"
)

// Decode finds out what is asked for, from the raw bytes alone. What it refuses reaches no node: then it returns the answer for the
// client.
func (x *Request) Decode(routes Routes) (engineio.Answer, bool) {
	q := &x.Req
	if q.WebSocket {
		x.Kind = OrdinaryWebSocket
	}
	r, of := routes.match(q.Host, q.Path, q.RawQuery)
	if r == nil {
		return Plain(404, "no cluster serves this host"), false
	}
	x.Route = r
	if x.loops() {
		return x.Refusal(engineio.Loop), false
	}
	if routes.hides(q.Host, q.Path) {
		return Plain(400, "a path to Socket.IO may not be written with escapes, .. or //"), false
	}
	switch {
	case of == isFile && !q.WebSocket:
		x.Kind = Static
	case of == isSocketIO:
		if err := x.decodeSocketIO(); err != nil {
			if err == engineio.ErrSIDUnknown {
				x.breaks(guard.InheritedSID) // which such a sid is in any case: unknown
			}
			return x.Refusal(err.Cause()), false
		}
	}
	if x.Kind.WantsTunnel() {
		if err := q.CheckWebSocket(); err != nil {
			return x.Refusal(engineio.BadRequest), false
		}
	}
	return engineio.Answer{}, true
}

// decodeSocketIO reads the query and settles the kind of a request on the Socket.IO path.
func (x *Request) decodeSocketIO() *engineio.Error {
	q := &x.Req
	x.Kind = Preflight
	switch {
	case q.Method == "OPTIONS":
	case q.WebSocket:
		x.Kind = DirectConnect
	case q.Method == "POST":
		x.Kind = Post
	default:
		x.Kind = Handshake
	}
	if x.isAmbiguous() {
		return engineio.ErrBadRequest
	}
	var err error
	if x.Query, err = engineio.ParseQuery(q.RawQuery); err != nil {
		if err == engineio.ErrSIDUnknown { // so it is of a session, of none that can be
			switch x.Kind {
			case Handshake:
				x.Kind = Poll
			case DirectConnect:
				x.Kind = Upgrade
			}
		}
		return err.(*engineio.Error) // as ParseQuery promises
	}
	inSession := x.Query.SID != ""
	switch {
	case x.Kind == Preflight:
	case (x.Query.Transport == engineio.WebSocket) != q.WebSocket:
		return engineio.ErrBadRequest
	case x.Kind == DirectConnect && inSession:
		x.Kind = Upgrade
	case q.WebSocket:
	case !inSession && q.Method != "GET":
		return engineio.ErrBadHandshakeMethod
	case !inSession || x.Kind == Post:
	case q.Method != "GET":
		return engineio.ErrBadRequest
	default:
		x.Kind = Poll
	}
	if x.Kind != Post && (q.ContentLength > 0 || q.Chunked) {
		return engineio.ErrBadRequest // no client sends one, and nodes disagree on what it means
	}
	return nil
}
