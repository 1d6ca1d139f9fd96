package request

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// AppendRequest writes the head that the node gets: the client's, without what concerns only the client's connection,
// with where it came from, and with the route's own changes. address stands in for the Host that an HTTP/1.0 client may leave out.
func (x *Request) AppendRequest(dst []byte, address string) []byte {
	q := &x.Req
	dst = x.appendLine(dst)
	start := len(dst)
	host := q.Host
	if host == "" {
		host = address
	}
	dst = http1.AppendField(dst, "Host", host)
	for i := range q.Fields {
		switch f := &q.Fields[i]; {
		case !x.passes(f):
		case f.ID == http1.SecWebSocketProtocol && x.stripsProtocol():
			dst = x.appendProtocol(dst, f)
		default:
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	switch {
	case x.Kind.WantsTunnel():
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case x.Route.DisableKeepAlive:
		dst = append(dst, "Connection: close\r\n"...)
	}
	switch {
	case q.Chunked && !x.Upload.Complete:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case q.Chunked: // read whole: nodes that bound a body by its announced length alone can bound this one
		dst = http1.AppendLength(dst, int64(len(x.Upload.Body)))
	case q.Has(http1.ContentLength):
		dst = http1.AppendLength(dst, q.ContentLength)
	}
	if !x.passesID() {
		dst = http1.AppendField(dst, "X-Request-ID", x.ID())
	}
	if x.Traceparent != "" {
		dst = http1.AppendField(dst, "traceparent", x.Traceparent)
		if x.Tracestate != "" {
			dst = http1.AppendField(dst, "tracestate", x.Tracestate)
		}
	}
	for _, f := range x.Granted.Fields {
		dst = http1.AppendField(dst, f.Name, f.Value)
	}
	dst = append(dst, "CDN-Loop: "+loopMark+"\r\n"...)
	dst = x.appendForwarded(dst)
	if h := x.Route.Headers; h != nil {
		dst = h.apply(dst, start)
	}
	return append(dst, "\r\n"...)
}

// Fields that are written anew, and all that say where a request comes from.
var (
	rewritten = whence | http1.SetOf(http1.Host, http1.ContentLength, http1.TransferEncoding, http1.Expect)
	whence    = http1.SetOf(http1.Forwarded, http1.XForwardedFor, http1.XForwardedProto, http1.XForwardedHost, http1.XForwardedPort, http1.XRealIP)
)

// passes reports whether a field of the request goes on to the node as it is.
func (x *Request) passes(f *http1.Field) bool {
	switch {
	case f.Hop || rewritten.Has(f.ID) || x.Route.Auth.owns(f):
		return false
	case f.ID == http1.SecWebSocketExtensions && x.ReadsFrames():
		return false // packets have to be read
	case f.ID == http1.XRequestID:
		return x.passesID()
	case x.Traceparent != "" && (is(f, traceparent) || is(f, tracestate)):
		return false
	case saysWhence(f):
		return x.Client.Trusted
	}
	return f.ID != http1.AcceptEncoding || x.Kind != Handshake && (x.Kind != Poll || x.Route.Recovery == nil) // which have to be read
}

// saysWhence recognises the fields that only a trusted proxy may set: those that are written anew, and the rest of the family, X-Forwarded-Prefix and the
// like.
func saysWhence(f *http1.Field) bool {
	const prefix = "X-Forwarded-"
	return whence.Has(f.ID) || len(f.Name) > len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix)
}

// appendForwarded tells the node where the request came from (RFC 7239 and the older X- fields), so that all of them say
// the same. What a stranger said of it was dropped; what a trusted proxy said is kept, and the proxy itself is appended.
func (x *Request) appendForwarded(dst []byte) []byte {
	c, o := x.Client, x.Origin()
	dst = append(dst, "X-Forwarded-For: "...)
	list := len(dst)
	if o.IP != c.IP && !x.Req.Has(http1.XForwardedFor) {
		dst = append(append(dst, o.IP...), ", "...)
	}
	dst = x.appendEarlier(dst, http1.XForwardedFor)
	if c.IP == unknown && len(dst) > list { // it is no hop of a network
		dst = append(dst[:len(dst)-len(", ")], "\r\n"...)
	} else {
		dst = append(append(dst, c.IP...), "\r\n"...)
	}
	host := x.publicHost()
	dst = x.appendForwardedElements(dst, o, host)
	dst = http1.AppendField(dst, "X-Real-IP", o.IP)
	dst = x.appendFirst(dst, http1.XForwardedProto, "X-Forwarded-Proto", cmp.Or(o.Proto, c.scheme()))
	if x.Req.Host != "" {
		dst = x.appendFirst(dst, http1.XForwardedHost, "X-Forwarded-Host", x.Req.Host)
	}
	if earlier := x.Req.Get(http1.XForwardedPort); c.Trusted && earlier != "" {
		return http1.AppendField(dst, "X-Forwarded-Port", earlier)
	}
	dst = append(dst, "X-Forwarded-Port: "...)
	if port := publicPort(o.Proto, host); c.Trusted && port != "" {
		return append(append(dst, port...), "\r\n"...)
	}
	return append(strconv.AppendUint(dst, uint64(c.Port), 10), "\r\n"...)
}

// appendForwardedElements writes Forwarded. Its first element says what the X- fields say.
func (x *Request) appendForwardedElements(dst []byte, o Origin, host string) []byte {
	dst = append(dst, "Forwarded: "...)
	proto, behind := cmp.Or(o.Proto, x.Client.scheme()), !o.kept && o.IP != x.Client.IP
	switch {
	case o.kept:
		dst = x.appendEarlier(dst, http1.Forwarded)
		proto, host = x.Client.scheme(), x.Req.Host
		fallthrough
	case !behind:
		dst = append(dst, x.Client.ForwardedFor...)
	case strings.IndexByte(o.IP, ':') >= 0:
		dst = append(append(append(dst, `for="[`...), o.IP...), `]"`...)
	default:
		dst = append(append(dst, "for="...), o.IP...)
	}
	if host != "" {
		dst = append(append(append(dst, `;host="`...), host...), '"')
	}
	dst = append(append(dst, ";proto="...), proto...)
	if behind {
		dst = append(append(dst, ", "...), x.Client.ForwardedFor...)
	}
	return append(dst, "\r\n"...)
}

// publicHost is the host that the client asked for, as a trusted proxy tells it.
func (x *Request) publicHost() string {
	if h := x.Req.Get(http1.XForwardedHost); x.Client.Trusted && h != "" && !strings.ContainsAny(h, `"\`) {
		return h
	}
	return x.Req.Host
}

// publicPort is the port that the client asked, as far as a trusted proxy tells it: "" where it does not.
func publicPort(proto, host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" && i+1 < len(host) {
		return host[i+1:]
	}
	switch proto {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}

// appendFirst writes a field in which the first proxy that a client met has the say.
func (x *Request) appendFirst(dst []byte, id http1.FieldID, name, own string) []byte {
	if x.Client.Trusted {
		if earlier := x.Req.Get(id); earlier != "" {
			own = earlier
		}
	}
	return http1.AppendField(dst, name, own)
}

// appendEarlier writes all that trusted proxies said in a list field, ready for one more element.
func (x *Request) appendEarlier(dst []byte, id http1.FieldID) []byte {
	if !x.Client.Trusted {
		return dst
	}
	for i := range x.Req.Fields {
		if f := &x.Req.Fields[i]; f.ID == id && f.Value != "" {
			dst = append(append(dst, f.Value...), ", "...)
		}
	}
	return dst
}
