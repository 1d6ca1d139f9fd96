package request

import (
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// Origins are the origins of pages, as RFC 6454 writes them, or patterns of them: without a scheme any of http and https, `*.` before a
// host any name below it, and `*` alone any page. The port belongs to the host, and is left out where it is the scheme's.
type Origins []string

// Has reports whether one of the patterns fits an origin.
func (all Origins) Has(origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	for _, p := range all {
		if p == "*" || strings.EqualFold(p, origin) {
			return true
		}
		its, name, named := strings.Cut(p, "://")
		if !named {
			name, named = p, ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
		} else {
			named = ok && strings.EqualFold(its, scheme)
		}
		if named && fits(name, host) {
			return true
		}
	}
	return false
}

// fits reports whether a host is that of a pattern, or below it.
func fits(pattern, host string) bool {
	below, ok := strings.CutPrefix(pattern, "*")
	if !ok {
		return strings.EqualFold(pattern, host)
	}
	return len(host) > len(below) && strings.EqualFold(host[len(host)-len(below):], below)
}

// CORS is what pages of other origins are told on the nodes' behalf (Fetch, "HTTP CORS protocol").
type CORS struct {
	Origins     Origins
	Credentials bool
	MaxAge      time.Duration // for which a browser need not ask again; 0: it decides
}

// ForeignPage reports whether the request comes from a page that the route keeps out. Who is no page, and a page's GET of its own origin,
// says nothing of an origin and passes.
func (x *Request) ForeignPage() bool {
	if x.Route.Origins == nil || x.Kind == Preflight || !x.Kind.SocketIO() && !x.Kind.WantsTunnel() {
		return false
	}
	origin := x.Req.Get(http1.Origin)
	return origin != "" && !x.Route.Origins.Has(origin) || x.Req.Repeated(http1.Origin)
}

// setsCORS reports whether the answer's CORS fields are the route's and not the node's.
func (x *Request) setsCORS() bool { return x.Route.CORS != nil && x.Kind.SocketIO() }

// Preflights reports whether the request is a preflight that is answered here.
func (x *Request) Preflights() bool { return x.Kind == Preflight && x.setsCORS() }

// CORS is what an answer made here says to the page that has asked: a refusal lets it be read.
func (x *Request) CORS() engineio.CORS {
	c := engineio.CORS{Origin: x.Req.Get(http1.Origin)}
	if x.Kind == Preflight {
		c.Method, c.Headers = x.Req.Get(http1.AccessControlRequestMethod), x.Req.Get(http1.AccessControlRequestHeaders)
	}
	if x.Route != nil && x.Preflights() {
		if rule := x.Route.CORS; rule.Origins.Has(c.Origin) {
			c.Strict, c.MaxAge = !rule.Credentials, rule.MaxAge
		} else {
			c.Origin = ""
		}
	}
	return c
}

// appendCORS writes the CORS fields of a node's answer.
func (x *Request) appendCORS(dst []byte) []byte {
	rule, origin := x.Route.CORS, x.Req.Get(http1.Origin)
	if origin != "" && rule.Origins.Has(origin) {
		dst = http1.AppendField(dst, "Access-Control-Allow-Origin", origin)
		if rule.Credentials {
			dst = append(dst, "Access-Control-Allow-Credentials: true\r\n"...)
		}
	}
	return append(dst, "Vary: Origin\r\n"...)
}

// corsFields are the fields of a node's answer that CORS stands in for, with those that are framed anew.
var corsFields = http1.SetOf(http1.ContentLength, http1.TransferEncoding, http1.AccessControlAllowOrigin, http1.AccessControlAllowCredentials)
