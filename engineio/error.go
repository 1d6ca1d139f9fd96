package engineio

// Error is a refusal of the protocol: its code and message, which polling clients get as JSON and WebSocket clients as
// text (the errors table of Node's engine.io, lib/server.ts). The values are package variables, compare with ==.
type Error struct {
	Code    int
	Message string
}

// Error returns the protocol's message.
func (e *Error) Error() string { return "engineio: " + e.Message }

// Cause returns the cause under which AnswerFor knows this refusal.
func (e *Error) Cause() Cause {
	switch e {
	case ErrTransportUnknown:
		return TransportUnknown
	case ErrSIDUnknown:
		return SIDUnknown
	case ErrBadHandshakeMethod:
		return BadMethod
	case ErrForbidden:
		return Forbidden
	case ErrUnsupportedVersion:
		return UnsupportedVersion
	default:
		return BadRequest
	}
}

// The protocol's refusals.
var (
	ErrTransportUnknown   = &Error{0, "Transport unknown"}
	ErrSIDUnknown         = &Error{1, "Session ID unknown"}
	ErrBadHandshakeMethod = &Error{2, "Bad handshake method"}
	ErrBadRequest         = &Error{3, "Bad request"}
	ErrForbidden          = &Error{4, "Forbidden"}
	ErrUnsupportedVersion = &Error{5, "Unsupported protocol version"}
)
