package engineio

import (
	"net/http"
	"strconv"
	"time"
)

// CORS is what a browser says of the page that makes a request: the values of the headers Origin,
// Access-Control-Request-Method and Access-Control-Request-Headers, "" for one that is not there.
type CORS struct {
	Origin  string
	Method  string
	Headers string
	Strict  bool          // the page may not send credentials
	MaxAge  time.Duration // for which a preflight need not be repeated; 0: the browser decides
}

// Append appends the answer to dst as HTTP/1.1: with its length, with Connection: close if the connection ends after
// it, and with the CORS headers without which a browser would hide it from the page: the Origin echoed and credentials
// allowed (Fetch, "HTTP responses"), so that the answer reads as one of a node that lets the page in. A 204 to a
// preflight, which is one that asks for a method, allows the method and the headers that it asks for. A value of c that
// is no field value (RFC 9110, 5.5) is left out.
//
// Append allocates nothing but what dst needs to grow. There is no Date: a recipient with a clock adds it (RFC 9110,
// 6.6.1).
func (a Answer) Append(dst []byte, c CORS, close bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(a.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(a.Status)...)
	dst = append(dst, "\r\n"...)
	dst = appendField(dst, "Content-Type", a.ContentType)
	if a.Status != 204 {
		// A 204 must not have one (RFC 9110, 8.6).
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(a.Body)), 10)
		dst = append(dst, "\r\nCache-Control: no-store\r\n"...)
	}
	if a.RetryAfter > 0 {
		dst = append(dst, "Retry-After: "...)
		dst = strconv.AppendInt(dst, int64(a.RetryAfter), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = appendField(dst, "Location", a.Location)
	dst = appendField(dst, "Strict-Transport-Security", a.Strict)
	dst = c.append(dst, a.Status == 204)
	if close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, a.Body...)
}

// append appends the CORS headers. Vary is there without an Origin too, lest a cache give that answer to a page.
func (c CORS) append(dst []byte, preflight bool) []byte {
	if c.Origin != "" && fieldValue(c.Origin) {
		dst = appendField(dst, "Access-Control-Allow-Origin", c.Origin)
		if !c.Strict {
			dst = append(dst, "Access-Control-Allow-Credentials: true\r\n"...)
		}
	}
	if !preflight || c.Method == "" {
		return append(dst, "Vary: Origin\r\n"...)
	}
	if c.MaxAge > 0 {
		dst = append(dst, "Access-Control-Max-Age: "...)
		dst = append(strconv.AppendInt(dst, int64(c.MaxAge/time.Second), 10), "\r\n"...)
	}
	if fieldValue(c.Method) {
		dst = appendField(dst, "Access-Control-Allow-Methods", c.Method)
	}
	if fieldValue(c.Headers) {
		dst = appendField(dst, "Access-Control-Allow-Headers", c.Headers)
	}
	return append(dst, "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"...)
}

// appendField appends a header line, nothing for an empty value.
func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// fieldValue reports whether s can be echoed in a header without beginning another.
func fieldValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
