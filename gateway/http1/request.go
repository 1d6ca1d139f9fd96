package http1

import (
	"strings"
	"unsafe"
)

// Request is the head of a request. Parse fills it; the zero value is ready to be filled.
type Request struct {
	Head
	Method string // any token but CONNECT
	// Target is what to write in a request line: a path with its query, or the * of OPTIONS. An absolute URI is read
	// as the path and query in it (RFC 9112 section 3.2.2).
	Target   string
	Path     string // Target up to its first '?', raw
	RawQuery string // Target behind its first '?', raw
	Host     string // as in the field; "" only in HTTP/1.0
	// Expect100 says that the client waits for a 100 before it sends the body that follows.
	Expect100 bool

	authority string // of an absolute URI
	bare      bool   // an absolute URI without a path
}

// Reset empties q, so that it refers to nothing. Memory of an ordinary size is kept for the next head.
func (q *Request) Reset() {
	q.reset()
	*q = Request{Head: q.Head}
}

// Parse reads a head that Scan.Request has found the end of. b is copied. The error is an *Error.
func (q *Request) Parse(b []byte) error {
	q.Reset()
	return q.parse(b).asError()
}

func (q *Request) parse(b []byte) *Error {
	s := q.load(b)
	end := strings.IndexByte(s, '\n') + 1
	if e := q.parseLine(s[:end-2]); e != nil {
		return e
	}
	if e := q.parseFields(s[end:]); e != nil {
		return e
	}
	q.hideUnderscores()
	if e := q.parseHost(); e != nil {
		return e
	}
	if e := q.parseFraming(); e != nil {
		return e
	}
	return q.parseExpect()
}

// parseLine reads method, target and version with one space between them (RFC 9112 section 3).
func (q *Request) parseLine(line string) *Error {
	n := span(line, classToken)
	if n == 0 || n == len(line) || line[n] != ' ' {
		return errMethod
	}
	q.Method = line[:n]
	line = line[n+1:]
	n = span(line, classTarget)
	switch {
	case n == len(line):
		return errRequestLine
	case line[n] != ' ':
		return errTarget
	}
	var e *Error
	target := line[:n]
	if q.Minor, e = parseVersion(line[n+1:]); e != nil {
		return e
	}
	if equalFold(q.Method, "CONNECT") {
		return errConnect
	}
	return q.parseTarget(target)
}

// parseTarget takes the three forms of RFC 9112 section 3.2 that are not CONNECT's.
func (q *Request) parseTarget(target string) *Error {
	switch {
	case target == "":
		return errRequestLine
	case target == "*":
		if q.Method != "OPTIONS" {
			return errTargetForm
		}
	case target[0] != '/':
		n := len("http://")
		if len(target) > n && equalFold(target[:n+1], "https://") {
			n++
		} else if len(target) < n || !equalFold(target[:n], "http://") {
			return errTargetForm
		}
		q.authority = target[n:]
		if i := strings.IndexAny(q.authority, "/?"); i >= 0 {
			q.authority = q.authority[:i]
		}
		if q.authority == "" {
			return errTargetForm
		}
		target = target[n+len(q.authority):]
		q.bare = target == "" || target[0] == '?'
	}
	q.setTarget(target)
	return nil
}

func (q *Request) setTarget(target string) {
	q.Target, q.Path, q.RawQuery = target, target, ""
	if i := strings.IndexByte(target, '?'); i >= 0 {
		q.Path, q.RawQuery = target[:i], target[i+1:]
	}
}

// parseHost checks the Host (RFC 9112 section 3.2) and that an absolute URI names the same.
func (q *Request) parseHost() *Error {
	switch {
	case q.Repeated(Host):
		return errHostRepeated
	case q.Has(Host):
		if q.Host = q.Get(Host); !validHost(q.Host) {
			return errHost
		}
	case q.Minor == 1:
		return errHostMissing
	}
	if q.authority == "" {
		return nil
	}
	// HTTP/1.0 knew no Host: a node that is asked by path alone would never see the authority, so it must be said twice.
	if !equalFold(q.authority, q.Host) {
		return errAuthority
	}
	if q.bare {
		q.addPath()
	}
	return nil
}

// addPath gives a URI without a path the path "/" (RFC 9112 section 3.2.1), or the "*" that OPTIONS means by it (3.2.4).
// It is written over the last byte of the authority in q's own memory, which nothing refers to any more.
func (q *Request) addPath() {
	target := unsafe.String(unsafe.SliceData(q.raw), len(q.raw))
	end := len(q.Method) + 1
	end += strings.IndexByte(target[end:], ' ')
	start := end - len(q.Target) - 1
	q.raw[start] = '/'
	if q.Target == "" && q.Method == "OPTIONS" {
		q.raw[start] = '*'
	}
	q.authority = ""
	q.setTarget(target[start:end])
}

// validHost takes a name of unreserved characters or an IPv6 address in brackets, each with an optional port. The other
// characters that RFC 3986 section 3.2.2 allows in a name (sub-delims, percent) are in no name that DNS can resolve, and
// a comma would join two hosts.
func validHost(s string) bool {
	var rest string
	if strings.HasPrefix(s, "[") {
		n := span(s[1:], classHex|classV6) + 1
		if n < 3 || n == len(s) || s[n] != ']' {
			return false
		}
		rest = s[n+1:]
	} else {
		n := span(s, classHost)
		if n == 0 {
			return false
		}
		rest = s[n:]
	}
	if rest == "" {
		return true
	}
	port, ok := parseLength(rest[1:])
	return rest[0] == ':' && (rest == ":" || ok && len(rest) <= len(":65535") && port <= 65535)
}

// hideUnderscores marks the names that CGI-like programs would take for others: Content_Length for Content-Length.
func (q *Request) hideUnderscores() {
	for i := range q.Fields {
		if f := &q.Fields[i]; f.ID == Other && strings.IndexByte(f.Name, '_') >= 0 {
			f.Hop = true
		}
	}
}

// parseExpect reads Expect (RFC 9110 section 10.1.1), which HTTP/1.0 does not have.
func (q *Request) parseExpect() *Error {
	if !q.Has(Expect) || q.Minor == 0 {
		return nil
	}
	if q.Repeated(Expect) || !equalFold(q.Get(Expect), "100-continue") {
		return errExpect
	}
	q.Expect100 = q.Chunked || q.ContentLength > 0
	return nil
}
