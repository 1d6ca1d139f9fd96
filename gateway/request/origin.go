package request

import (
	"net/netip"
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// Origin is where a request comes from. Its strings are the request's or the client's.
type Origin struct {
	IP    string // the client's, without port and brackets
	Proto string // http or https, by which the client asked; "" where no proxy told
	kept  bool   // what proxies said in Forwarded agrees with that
}

// Origin finds out where the request comes from. X-Forwarded-For has the say, and Forwarded where that is missing: a proxy
// that writes one of them passes the other on as a stranger may have written it.
func (x *Request) Origin() Origin {
	o := Origin{IP: x.Client.IP}
	if !x.Client.Trusted {
		return o
	}
	ip, proto, ok := x.forwardedBy()
	if o.IP = ip; x.Req.Has(http1.XForwardedFor) {
		o.IP = x.forwardedFor()
	}
	first, _, _ := strings.Cut(x.Req.Get(http1.XForwardedProto), ",")
	o.Proto = scheme(first)
	o.kept = ok && ip == o.IP && (o.Proto == "" || proto == "" || proto == o.Proto)
	if o.kept && o.Proto == "" {
		o.Proto = proto
	}
	return o
}

// longestOrigin bounds what is told of an Origin.
const longestOrigin = 256

// RefusedPage returns the origin of the page that has asked, where it is another than the request's and the node's answer does not
// allow it: browsers keep such an answer from the page (Fetch, "CORS check"). Otherwise it returns "".
func (x *Request) RefusedPage() string {
	origin := x.Req.Get(http1.Origin)
	_, host, _ := strings.Cut(origin, "://")
	if x.setsCORS() && x.Route.CORS.Origins.Has(origin) {
		return ""
	}
	if allowed := x.Resp.Get(http1.AccessControlAllowOrigin); allowed == "*" || allowed == origin || strings.EqualFold(host, x.publicHost()) {
		return ""
	}
	return Shortened(origin, longestOrigin)
}

// forwardedFor returns the client's address by X-Forwarded-For: the rightmost one that is not a trusted proxy's, since each
// proxy appends whom it heard. What is no address hides all that stands before it.
func (x *Request) forwardedFor() string {
	ip, fields := x.Client.IP, x.Req.Fields
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].ID != http1.XForwardedFor {
			continue
		}
		for list := fields[i].Value; list != ""; {
			var e string
			list, e = cutLast(list, ',')
			text, addr, ok := nodeAddress(e)
			if !ok {
				return ip
			}
			if ip = text; !x.Client.trusts(addr) {
				return ip
			}
		}
	}
	return ip
}

// forwardedBy returns the client's address by Forwarded (RFC 7239), likewise, with the protocol that stands beside it. ok
// reports whether the field is there and well formed.
func (x *Request) forwardedBy() (ip, proto string, ok bool) {
	ip = x.Client.IP
	balanced, fields := true, x.Req.Fields
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].ID != http1.Forwarded {
			continue
		}
		balanced = balanced && strings.Count(fields[i].Value, `"`)%2 == 0
		for list := fields[i].Value; list != ""; {
			var e string
			list, e = cutLast(list, ',')
			by := parameter(e, "for")
			if by == "" {
				return ip, proto, false
			}
			proto, ok = scheme(parameter(e, "proto")), balanced
			text, addr, known := nodeAddress(by)
			if !known {
				return ip, proto, ok
			}
			if ip = text; !x.Client.trusts(addr) {
				return ip, proto, ok
			}
		}
	}
	return ip, proto, ok
}

// cutLast cuts what stands behind the last separator that is in no quotes off a list.
func cutLast(list string, sep byte) (before, last string) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == sep && !quoted:
			return list[:i], strings.Trim(list[i+1:], " \t")
		}
	}
	return "", strings.Trim(list, " \t")
}

// parameter returns the value of a parameter of one element of Forwarded, without quotes, "" where there is none.
func parameter(element, name string) string {
	for element != "" {
		var pair string
		element, pair = cutLast(element, ';')
		if key, value, _ := strings.Cut(pair, "="); strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(value, `" `)
		}
	}
	return ""
}

// nodeAddress reads an address that may have a port and brackets; text is the part of s without them.
func nodeAddress(s string) (text string, addr netip.Addr, ok bool) {
	if text, ok = strings.CutPrefix(s, "["); ok {
		text, _, _ = strings.Cut(text, "]")
	} else if text = s; strings.Count(s, ":") == 1 {
		text, _, _ = strings.Cut(s, ":")
	}
	if strings.IndexByte(text, '%') >= 0 { // a zone, which means nothing elsewhere
		return "", addr, false
	}
	addr, err := netip.ParseAddr(text)
	return text, addr.Unmap(), err == nil
}

// scheme returns the one of http and https that a proxy means, "" where it names another or none.
func scheme(s string) string {
	switch s = strings.TrimSpace(s); {
	case strings.EqualFold(s, "https"), strings.EqualFold(s, "wss"):
		return "https"
	case strings.EqualFold(s, "http"), strings.EqualFold(s, "ws"):
		return "http"
	}
	return ""
}
