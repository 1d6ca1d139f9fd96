package engineio

import "strings"

// Transport is how a request carries packets.
type Transport uint8

// The transports that carry a query. WebTransport has none.
const (
	Polling Transport = iota
	WebSocket
)

// String returns the name that stands in a query, which is also the metric label.
func (t Transport) String() string {
	if t == WebSocket {
		return "websocket"
	}
	return "polling"
}

// Query is what a request's query says (Engine.IO protocol 4, "URL"; 3, "Encoding"). Its strings alias the raw query.
type Query struct {
	Version   int       // 3 or 4; 3 where EIO is missing, as nodes take it
	Transport Transport // as asked for
	SID       string    // the session, "" in a handshake and a direct connect
	JSONP     string    // the digits of j, "" where the answer is not to be wrapped
	Base64    bool      // b64: the client cannot take binary payloads (revision 3)
}

const (
	maxParams = 32  // parameters in one query
	maxSID    = 128 // bytes of a sid
	maxIndex  = 10  // digits of j
)

// ParseQuery reads the raw query of a Socket.IO request, without its question mark. It judges the raw bytes, so that no
// node can read another session in them than the gateway: of a repeated sid Node's engine.io takes the last and Go's
// url.Values the first, a semicolon separates parameters for some, a '#' ends the query for others. A query is refused
// with ErrBadRequest if it holds a semicolon, a '#', a space or a control byte, a name twice, more than 32 parameters,
// one of the protocol's own names written with an escape, a malformed escape in a name, a sid that is not 1 to 128
// unreserved URL characters, or a j that is not 1 to 10 digits; with ErrSIDUnknown if its sid is a name that every object
// of JavaScript has; then with ErrTransportUnknown and ErrUnsupportedVersion, in the order in which nodes look.
//
// Other names may hold escapes: socket.io-client writes the application's own parameters through encodeURIComponent, so
// that "user name" becomes user%20name.
//
// The error is always an *Error; the Query beside it is only good for AnswerFor. ParseQuery does not allocate.
func ParseQuery(raw string) (Query, error) {
	if !plain(raw) {
		return Query{Version: 3}, ErrBadRequest
	}
	var seen names
	var p protocolParams
	for rest, more := raw, true; more; {
		var param string
		param, rest, more = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(param, "=")
		if disguised(name) || !seen.add(name) {
			return Query{Version: 3}, ErrBadRequest
		}
		p.set(name, value)
	}
	return p.query()
}

// HasQuery reports whether some node may take a request with this raw query for Engine.IO's: whether it holds a parameter
// EIO, transport or sid, or one that could become one of the protocol's names, behind any separator that nodes know.
func HasQuery(raw string) bool {
	for param := range strings.FieldsFuncSeq(raw, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(param, "=")
		if name == "EIO" || name == "transport" || name == "sid" || disguised(name) {
			return true
		}
	}
	return false
}

// ValidSID reports whether s may be a session's id: 1 to 128 of the URL's unreserved characters (RFC 3986, 2.3), and no
// name that every object of JavaScript has. Node and Python make 20 characters, Go's engine.io/v2 24, others 16 or 36.
func ValidSID(s string) bool {
	if s == "" || len(s) > maxSID || inherited(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !unreserved[s[i]] {
			return false
		}
	}
	return true
}

// ShortSID returns the beginning of a sid, for a log: a sid is a secret, so it is four characters, and no more than a
// quarter of it.
func ShortSID(sid string) string {
	if sid == "" {
		return ""
	}
	return sid[:min(4, len(sid)/4)] + "…"
}

// inherited reports whether s is a name that objects of JavaScript inherit: nodes that look sids up in a plain object find
// something there that is no session (CVE-2026-102600).
func inherited(s string) bool {
	switch s {
	case "__proto__", "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
		"toString", "valueOf", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__":
		return true
	}
	return false
}

// unreserved marks the characters that mean themselves in a URL (RFC 3986, 2.3).
var unreserved = byteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

func byteSet(members string) (set [256]bool) {
	for i := 0; i < len(members); i++ {
		set[members[i]] = true
	}
	return set
}

// names remembers the raw names of one query's parameters.
type names struct {
	seen [maxParams]string
	n    int
}

// add reports whether name is new and there is room for it. An empty name counts, but may come again: "a=1&&b=2" is
// sloppy and harmless.
func (s *names) add(name string) bool {
	if s.n == maxParams {
		return false
	}
	for _, old := range s.seen[:s.n] {
		if old == name && name != "" {
			return false
		}
	}
	s.seen[s.n] = name
	s.n++
	return true
}

// plain reports whether every peer that reads the query s reads the same bytes in it: WHATWG's URL parser, which Node
// uses, drops tabs and line ends and stops at '#'; some frameworks split at ';'.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if ambiguous[s[i]] {
			return false
		}
	}
	return true
}

// ambiguous marks the bytes that some peer does not read as themselves.
var ambiguous = byteSet("\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f #;\x7f")

// protocolParams are the values of the protocol's own names, with whether they were there where that is not the same
// as having a value.
type protocolParams struct {
	eio, transport, sid, j, b64 string
	hasEIO, hasSID, hasJ        bool
}

func (p *protocolParams) set(name, value string) {
	switch name {
	case "EIO":
		p.eio, p.hasEIO = value, true
	case "transport":
		p.transport = value
	case "sid":
		p.sid, p.hasSID = value, true
	case "j":
		p.j, p.hasJ = value, true
	case "b64":
		p.b64 = value
	}
}

// query judges the values. A value with an escape is in none of the sets, so that it need not be decoded.
func (p *protocolParams) query() (Query, error) {
	// b64 is true in Node for any text but the empty one.
	q := Query{Version: 3, SID: p.sid, JSONP: p.j, Base64: p.b64 != ""}
	if inherited(p.sid) {
		return Query{Version: 3}, ErrSIDUnknown // as nodes that are not vulnerable say
	}
	if p.hasSID && !ValidSID(p.sid) || p.hasJ && !validIndex(p.j) {
		return Query{Version: 3}, ErrBadRequest
	}
	switch p.transport {
	case "polling":
	case "websocket":
		q.Transport = WebSocket
	default:
		return q, ErrTransportUnknown
	}
	switch {
	case p.eio == "4":
		q.Version = 4
	case p.hasEIO && p.eio != "3":
		return q, ErrUnsupportedVersion
	}
	return q, nil
}

// validIndex reports whether s can be the index of a JSONP callback. Nodes strip what is not a digit from it; it ends
// up in a script, so nothing else gets that far here.
func validIndex(s string) bool {
	if s == "" || len(s) > maxIndex {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
