package engineio

// Kind is what a request is, as far as the answers to it differ.
type Kind uint8

// The kinds of request. A method that is none of GET, POST and OPTIONS is answered as PollPOST.
const (
	PollGET      Kind = iota // a poll, or a handshake by polling
	PollPOST                 // a client's packets
	WebSocketGET             // an upgrade or a direct connect
	Preflight                // OPTIONS, with which a browser asks for leave (Fetch, "CORS-preflight request")
)

// String returns the metric label.
func (k Kind) String() string {
	switch k {
	case PollPOST:
		return "post"
	case WebSocketGET:
		return "websocket"
	case Preflight:
		return "preflight"
	default:
		return "get"
	}
}

// Cause is why a request is answered by the gateway and not by a node.
type Cause uint8

// The causes: the closed set of the label "reason".
const (
	SessionGone        Cause = iota // the session was known here and its node is gone
	Drained                         // its node is drained, and its sessions are ended
	TokenExpired                    // the token that let the session in is over
	SIDUnknown                      // nobody knows the session
	TransportUnknown                // neither polling nor websocket
	BadMethod                       // a handshake by another method than GET
	BadRequest                      // a query or a head that is refused
	Forbidden                       // refused by rule
	UnsupportedVersion              // an EIO that is neither 3 nor 4
	VersionMismatch                 // an EIO that is not the session's
	BodyTooLarge                    // more than a node would take
	TooMany                         // more than a limit per client or in all allows
	NoNode                          // no node is to be had
	Paced                           // the nodes have got as many new sessions as their pace allows, and others are before it
	Full                            // this replica has no room: connections or descriptors are used up
	AuthAway                        // whether the client may come in cannot be asked
	StoreAway                       // the session may be known, but the store cannot be asked
	SlowClient                      // a head or body did not come in time
	SilentNode                      // the node did not answer in time
	BadNode                         // the node broke off or answered what is no HTTP
	Loop                            // the request has passed here before, again and again
	Preflighted                     // a preflight that is answered for the nodes, which is no fault
	Internal                        // our own fault
	causes                          // how many there are
)

// Answer is a whole answer without the headers that depend on the request's own.
type Answer struct {
	Status      int
	ContentType string // "" for none, which goes with an empty body
	Body        string
	RetryAfter  int    // seconds after which the client may come again, 0 for no word of it
	Strict      string // Strict-Transport-Security, "" for none
	Location    string // where the client is to go instead, "" for nowhere
}

// Polled returns a node's answer to a poll, and Posted the one to a POST.
func Polled(payload []byte) Answer {
	return Answer{Status: 200, ContentType: typePayload, Body: string(payload)}
}

// Posted: see Polled.
func Posted() Answer { return Answer{Status: 200, ContentType: typeText, Body: "ok"} }

// The content types that Node's engine.io gives its payloads, its errors, and its refusals of WebSockets.
const (
	typePayload = "text/plain; charset=UTF-8"
	typeError   = "application/json"
	typeText    = "text/html"
)

// reply is one row of the table: what is said to polling clients and to WebSocket clients.
type reply struct {
	label    string
	status   int
	json     string
	text     string // also the message in json
	retry    int
	wsStatus int // where it differs from status
}

// replies is the one table of the answers made here. The first eight are the protocol's refusals, worded as Node's
// engine.io words them (lib/server.ts, abortRequest and abortUpgrade); a forbidden WebSocket is refused with 400 there.
// Codes 0 to 5 belong to the protocol, so the other answers carry a message alone.
var replies = [causes]reply{
	SessionGone:        refusal("session_gone", ErrSIDUnknown),
	Drained:            refusal("drained", ErrSIDUnknown),
	TokenExpired:       refusal("token_expired", ErrSIDUnknown),
	SIDUnknown:         refusal("sid_unknown", ErrSIDUnknown),
	TransportUnknown:   refusal("transport_unknown", ErrTransportUnknown),
	BadMethod:          refusal("bad_method", ErrBadHandshakeMethod),
	BadRequest:         refusal("bad_request", ErrBadRequest),
	Forbidden:          refusal("forbidden", ErrForbidden),
	UnsupportedVersion: refusal("unsupported_version", ErrUnsupportedVersion),
	VersionMismatch:    refusal("version_mismatch", ErrBadRequest),
	BodyTooLarge:       failure("body_too_large", 413, "Payload too large", 0),
	TooMany:            failure("too_many", 429, "Too many requests", 1),
	NoNode:             failure("no_node", 503, "No node available", 5),
	Paced:              failure("paced", 503, "Too many new sessions", 5),
	Full:               failure("full", 503, "No room", 5),
	AuthAway:           failure("auth_away", 503, "Authentication not available", 5),
	StoreAway:          failure("store_away", 503, "Session store not available", 5),
	SlowClient:         failure("slow_client", 408, "Request timed out", 0),
	SilentNode:         failure("silent_node", 504, "Node timed out", 0),
	BadNode:            failure("bad_node", 502, "Node failed", 0),
	Loop:               failure("loop", 508, "Loop detected", 0),
	Preflighted:        failure("preflight", 204, "", 0),
	Internal:           failure("internal", 500, "Internal error", 0),
}

func refusal(label string, e *Error) reply {
	r := reply{label: label, status: 400, wsStatus: 400, text: e.Message}
	if e == ErrForbidden {
		r.status = 403
	}
	r.json = `{"code":` + string(rune('0'+e.Code)) + `,"message":"` + e.Message + `"}`
	return r
}

func failure(label string, status int, message string, retry int) reply {
	return reply{
		label: label, status: status, wsStatus: status, retry: retry,
		text: message, json: `{"message":"` + message + `"}`,
	}
}

// String returns the metric label.
func (c Cause) String() string {
	return replies[min(c, Internal)].label
}

// AnswerFor returns the gateway's own answer to a request of kind k with query q. Errors are never wrapped for JSONP,
// as they are not by nodes: a script element does not look into an answer with an error status. A session whose node is
// gone, or that is ended here, gets the close packet in answer to its poll, which brings the reference client back soonest. A preflight is
// granted whatever the cause: refused, the browser would hide the answer to the request that follows.
//
// It allocates only for a close packet that is wrapped for JSONP.
func AnswerFor(k Kind, q Query, c Cause) Answer {
	r := &replies[min(c, Internal)]
	switch k {
	case Preflight:
		return Answer{Status: 204}
	case WebSocketGET:
		return Answer{Status: r.wsStatus, ContentType: typeText, Body: r.text, RetryAfter: r.retry}
	case PollGET:
		if c <= TokenExpired {
			return Answer{Status: 200, ContentType: typePayload, Body: closePayload(q)}
		}
	}
	return Answer{Status: r.status, ContentType: typeError, Body: r.json, RetryAfter: r.retry}
}

func closePayload(q Query) string {
	switch {
	case q.JSONP != "":
		return string(AppendClose(nil, q))
	case q.Version == 4:
		return PacketClose
	}
	return "1:1"
}
