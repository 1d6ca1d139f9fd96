package request

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/http1"
)

// Auth is who may have a session of a route.
type Auth struct {
	Gate auth.Gate
	// From are the places of a token, of which the first that has one counts; none: the gate needs none.
	From []TokenPlace
	// Connect is the member of the auth, which clients of Engine.IO 4 send in Socket.IO's CONNECT, that may be a token; "": none is. A
	// session that is made without a token is unproven until one comes there.
	Connect string
	// Strip takes tokens out of the query and of Sec-WebSocket-Protocol, so that nodes get none there.
	Strip bool
	// Fields are the names of the fields that the gate gives to nodes. What clients send under these names no node gets.
	Fields []string
}

// TokenPlace is where a request may have a token.
type TokenPlace struct {
	from source
	name string
}

// ParseTokenPlace reads header:NAME, query:NAME, cookie:NAME or protocol.
func ParseTokenPlace(s string) (TokenPlace, error) {
	if s == "protocol" {
		return TokenPlace{from: fromProtocol}, nil
	}
	by, err := ParseHashBy(s)
	if err != nil || by.from == fromClient {
		return TokenPlace{}, fmt.Errorf("%q is none of header:NAME, query:NAME, cookie:NAME, protocol", s)
	}
	return TokenPlace(by), nil
}

// bearer is the scheme that stands before a token in Authorization (RFC 6750, 2.1).
const bearer = "Bearer"

// Token returns the token that the request has where the route looks for one, "" where it has none. It does not allocate, and lives as
// long as the request.
func (x *Request) Token() string {
	for _, p := range x.Route.Auth.From {
		if t := x.tokenAt(p); t != "" {
			return t
		}
	}
	return ""
}

// isAmbiguous reports whether the request has a field twice of which there is to be one, and that says who asks or how packets are to be read, or the
// token's name in its query with escapes: of two, this process and a node could each believe another.
func (x *Request) isAmbiguous() bool {
	if x.Req.Repeated(http1.Authorization) || x.Req.Repeated(http1.Origin) || x.Req.Repeated(http1.ContentType) {
		return true
	}
	if x.Route.Auth == nil {
		return false
	}
	return slices.ContainsFunc(x.Route.Auth.From, func(p TokenPlace) bool {
		switch p.from {
		case fromHeader:
			_, n := x.named(p.name)
			return n > 1
		case fromQuery:
			return disguises(x.Req.RawQuery, p.name)
		}
		return false
	})
}

// disguises reports whether a query has a name that is written with escapes.
func disguises(query, name string) bool {
	for rest := query; rest != ""; {
		var pair string
		pair, rest = cutFirst(rest, '&')
		if written, _, _ := strings.Cut(pair, "="); strings.ContainsAny(written, "%+") {
			if read, err := url.QueryUnescape(written); err == nil && read == name {
				return true
			}
		}
	}
	return false
}

// named returns the first field of a name, nil where there is none, and how many there are.
func (x *Request) named(name string) (first *http1.Field, n int) {
	for i := range x.Req.Fields {
		if f := &x.Req.Fields[i]; strings.EqualFold(f.Name, name) {
			if n++; n == 1 {
				first = f
			}
		}
	}
	return first, n
}

func (x *Request) tokenAt(p TokenPlace) string {
	switch p.from {
	case fromQuery:
		return valueIn(x.Req.RawQuery, '&', p.name)
	case fromHeader:
		if f, _ := x.named(p.name); f != nil {
			return withoutScheme(f)
		}
		return ""
	}
	for i := range x.Req.Fields {
		token := ""
		switch f := &x.Req.Fields[i]; {
		case p.from == fromCookie && f.ID == http1.Cookie:
			token = valueIn(f.Value, ';', p.name)
		case p.from == fromProtocol && f.ID == http1.SecWebSocketProtocol:
			token, _ = tokenAmong(f.Value)
		}
		if token != "" {
			return token
		}
	}
	return ""
}

// withoutScheme returns the token of a field. Authorization may be for something else, so there it needs its scheme.
func withoutScheme(f *http1.Field) string {
	scheme, token, found := strings.Cut(f.Value, " ")
	switch {
	case found && strings.EqualFold(scheme, bearer):
		return strings.TrimLeft(token, " ")
	case f.ID == http1.Authorization:
		return ""
	}
	return f.Value
}

// isToken reports whether an entry of Sec-WebSocket-Protocol is a JWT: three parts, the first of which begins an object of JSON.
func isToken(entry string) bool {
	return strings.HasPrefix(entry, "eyJ") && strings.Count(entry, ".") == 2
}

// tokenAmong returns the first entry of a Sec-WebSocket-Protocol that is a token, and the first that is none; "" for either where there is none.
func tokenAmong(protocols string) (token, other string) {
	for rest := protocols; rest != ""; {
		var entry string
		entry, rest = cutFirst(rest, ',')
		switch entry = strings.Trim(entry, " \t"); {
		case !isToken(entry):
			other = cmp.Or(other, entry)
		default:
			token = cmp.Or(token, entry)
		}
	}
	return token, other
}

// strips reports whether tokens are taken out of what the node gets.
func (x *Request) strips() bool {
	return x.Route.Auth != nil && x.Route.Auth.Strip && x.Kind.SocketIO()
}

// appendLine writes the request's line, without tokens in its query.
func (x *Request) appendLine(dst []byte) []byte {
	target, strips, alias := x.Req.Target, x.strips(), x.Binding.Alias
	if !strips && alias == "" || x.Req.RawQuery == "" {
		return http1.AppendRequestLine(dst, x.Req.Method, target)
	}
	dst = append(append(dst, x.Req.Method...), ' ')
	dst = append(dst, target[:len(target)-len(x.Req.RawQuery)]...)
	start := len(dst)
	for rest := x.Req.RawQuery; rest != ""; {
		var pair string
		pair, rest = cutFirst(rest, '&')
		name, _, _ := strings.Cut(pair, "=")
		if strips && slices.Contains(x.Route.Auth.From, TokenPlace{fromQuery, name}) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '&')
		}
		if name == "sid" && alias != "" {
			pair = "sid=" + alias
		}
		dst = append(dst, pair...)
	}
	return append(dst, " HTTP/1.1\r\n"...)
}

// stripsProtocol reports whether tokens are taken out of Sec-WebSocket-Protocol.
func (x *Request) stripsProtocol() bool {
	return x.strips() && x.Kind.WantsTunnel() && slices.Contains(x.Route.Auth.From, TokenPlace{from: fromProtocol})
}

// appendProtocol writes a Sec-WebSocket-Protocol without tokens, and nothing where none is left.
func (x *Request) appendProtocol(dst []byte, f *http1.Field) []byte {
	separator := "Sec-WebSocket-Protocol: "
	begun := false
	for rest := f.Value; rest != ""; {
		var entry string
		if entry, rest = cutFirst(rest, ','); isToken(strings.Trim(entry, " \t")) {
			continue
		}
		dst = append(append(dst, separator...), strings.Trim(entry, " \t")...)
		separator, begun = ", ", true
	}
	if begun {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// AgreedProtocol is the protocol that the 101 must name although the node does not: a client that offers any fails without one
// (WHATWG, WebSockets), and the node was not told of all. It is the first that the node was told of, else the token itself; "" where
// the node's answer is right as it is.
func (x *Request) AgreedProtocol() string {
	if !x.Req.Has(http1.SecWebSocketProtocol) || x.Resp.Has(http1.SecWebSocketProtocol) || !x.stripsProtocol() {
		return ""
	}
	token, other := "", ""
	for i := range x.Req.Fields {
		if f := &x.Req.Fields[i]; f.ID == http1.SecWebSocketProtocol {
			t, o := tokenAmong(f.Value)
			token, other = cmp.Or(token, t), cmp.Or(other, o)
		}
	}
	if token == "" {
		return ""
	}
	return cmp.Or(other, token)
}

// owns reports whether a field of the request has the name of one that only the gate gives.
func (a *Auth) owns(f *http1.Field) bool {
	if a == nil {
		return false
	}
	for _, name := range a.Fields {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Ask is what the route's gate is told of the request. It is good as long as the request.
func (x *Request) Ask() *auth.Ask {
	o := x.Origin()
	proto := o.Proto
	if proto == "" {
		proto = "http"
	}
	return &auth.Ask{
		Token: x.Token(), Method: x.Req.Method, Host: x.publicHost(), URI: x.Req.Target, Proto: proto, For: o.IP,
		Header: x.asked,
	}
}

// asked returns all that the node gets of the client by a name, several lines as the one that they stand for (RFC 9110, 5.3, and RFC 9113, 8.2.3, for
// Cookie): the gate is to judge no less than what the node reads, and nothing that it does not get.
func (x *Request) asked(name string) string {
	var values []string
	for i := range x.Req.Fields {
		if f := &x.Req.Fields[i]; strings.EqualFold(f.Name, name) && !f.Hop && (x.Client.Trusted || !saysWhence(f)) {
			values = append(values, f.Value)
		}
	}
	if strings.EqualFold(name, "Cookie") {
		return strings.Join(values, "; ")
	}
	return strings.Join(values, ", ")
}

// MayProve reports whether the client of a request that makes a session may show later, in a CONNECT, that it may have it: where it brings no token
// now. Clients of Engine.IO 3 send no auth there, and of what comes by JSONP the packets are not read.
func (x *Request) MayProve() bool {
	a := x.Route.Auth
	return a != nil && a.Connect != "" && x.Kind.MakesSession() && x.Query.Version == 4 && x.Query.JSONP == "" && x.Token() == ""
}

// Judged reports whether a request of this kind needs the gate's verdict: what makes a session does, and an upgrade that brings a
// token. Without one its sid is word enough that its session was let in, because a browser that had a header on its polls
// can have none on a WebSocket. Polls of a session are not judged again.
func (x *Request) Judged() bool {
	a := x.Route.Auth
	return a != nil && (x.Kind.MakesSession() && !x.Unproven || x.Kind == Upgrade && len(a.From) > 0 && x.Token() != "")
}
