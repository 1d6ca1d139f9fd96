package request

import (
	"fmt"
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// HashBy is what of a request settles its node where cluster.Hash picks it. The zero value is the client's address.
type HashBy struct {
	from source
	name string
}

// source is where HashBy looks.
type source uint8

const (
	fromClient source = iota
	fromQuery
	fromHeader
	fromCookie
	fromProtocol // of a WebSocket; for tokens alone
)

// ParseHashBy reads client (or nothing), query:NAME, header:NAME or cookie:NAME. The name of a query parameter is compared with what
// the request's target holds, escapes and all, that of a header without regard to case.
func ParseHashBy(s string) (HashBy, error) {
	kind, name, named := strings.Cut(s, ":")
	by := HashBy{name: name}
	switch kind {
	case "query":
		by.from = fromQuery
	case "header":
		by.from = fromHeader
	case "cookie":
		by.from = fromCookie
	default:
		if s != "" && s != "client" {
			return HashBy{}, fmt.Errorf("%q is none of client, query:NAME, header:NAME, cookie:NAME", s)
		}
		return HashBy{}, nil
	}
	if !named || name == "" {
		return HashBy{}, fmt.Errorf("%q has no name: write %s:NAME", s, kind)
	}
	return by, nil
}

// HashKey returns what the route hashes the request by: the first value of that name, as the request has it, or the client's address
// where it has none. It does not allocate. It lives as long as the request.
func (x *Request) HashKey() string {
	by, key := x.Route.HashBy, ""
	switch by.from {
	case fromQuery:
		key = valueIn(x.Req.RawQuery, '&', by.name)
	case fromHeader:
		for i := range x.Req.Fields {
			if f := &x.Req.Fields[i]; key == "" && strings.EqualFold(f.Name, by.name) {
				key = f.Value
			}
		}
	case fromCookie:
		for i := range x.Req.Fields {
			if f := &x.Req.Fields[i]; key == "" && f.ID == http1.Cookie {
				key = valueIn(f.Value, ';', by.name)
			}
		}
	}
	if key == "" {
		return x.Origin().IP
	}
	return key
}

// valueIn returns the first value of that name that is not empty, in a list of name=value.
func valueIn(list string, separator byte, name string) string {
	for list != "" {
		var pair string
		pair, list = cutFirst(list, separator)
		if n, value, _ := strings.Cut(strings.Trim(pair, " \t"), "="); n == name && value != "" {
			return value
		}
	}
	return ""
}

func cutFirst(s string, separator byte) (first, rest string) {
	if i := strings.IndexByte(s, separator); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
