package http1

import (
	"cmp"
	"strings"
	"time"
)

// Response is the head of a response. Parse fills it; the zero value is ready to be filled.
type Response struct {
	Head
	Status int    // 100 to 999
	Reason string // may be ""
	// KeepAlive is how long the node said that it keeps an idle connection, 0 where it did not say.
	KeepAlive time.Duration
	// NoBody says that no body follows, whatever the fields announce: the method was HEAD, or the status is 1xx, 204
	// or 304 (RFC 9112 section 6.3).
	NoBody bool
}

// Reset empties p, so that it refers to nothing. Memory of an ordinary size is kept for the next head.
func (p *Response) Reset() {
	p.reset()
	*p = Response{Head: p.Head}
}

// Parse reads a head that Scan.Response has found the end of, 1xx included. b is copied. method is the request's and decides,
// with the status, whether a body follows. The error is an *Error, of status 502.
func (p *Response) Parse(b []byte, method string) error {
	p.Reset()
	if e := p.parse(b, method); e != nil {
		return e.fromNode()
	}
	return nil
}

func (p *Response) parse(b []byte, method string) *Error {
	s := p.load(b)
	end := strings.IndexByte(s, '\n') + 1
	if e := p.parseLine(s[:end-2]); e != nil {
		return e
	}
	if e := p.parseFields(s[end:]); e != nil {
		return e
	}
	if e := p.parseFraming(); e != nil {
		return e
	}
	p.parseKeepAlive()
	return p.parseBody(method)
}

// parseLine reads version, status and reason (RFC 9112 section 4).
func (p *Response) parseLine(line string) *Error {
	const n = len("HTTP/1.1 200")
	if len(line) < n || line[n-4] != ' ' || !all(line[n-3:n], classDigit) || line[n-3] == '0' {
		return errStatusLine
	}
	var e *Error
	if p.Minor, e = parseVersion(line[:n-4]); e != nil {
		return e
	}
	p.Status = int(line[n-3]-'0')*100 + int(line[n-2]-'0')*10 + int(line[n-1]-'0')
	if line = line[n:]; line != "" {
		if line[0] != ' ' {
			return errStatusLine
		}
		p.Reason = line[1:]
	}
	if !all(p.Reason, classValue) {
		return errStatusLine
	}
	return nil
}

// parseBody decides on the body by RFC 9112 section 6.3. A 1xx or 204 that announces one (RFC 9110 section 8.6 and RFC
// 9112 section 6.1 forbid it) may have it behind its head, where it would be read as the next answer.
func (p *Response) parseBody(method string) *Error {
	empty := p.Status < 200 || p.Status == 204
	if empty && (p.Chunked || p.ContentLength > 0) {
		return errNoBody
	}
	p.NoBody = empty || p.Status == 304 || method == "HEAD"
	switch {
	case empty:
		p.hide(ContentLength)
	case p.NoBody:
		p.Chunked, p.ContentLength = false, 0
	case !p.Chunked && !p.Has(ContentLength):
		p.ContentLength = -1
		p.Close = true
	}
	return nil
}

func (p *Response) hide(id FieldID) {
	for i := range p.Fields {
		if p.Fields[i].ID == id {
			p.Fields[i].Hop = true
		}
	}
}

// parseKeepAlive reads the timeout that Node's servers announce, in seconds. A connection that is announced to be kept
// for no time is one that closes.
func (p *Response) parseKeepAlive() {
	const longest = int64(time.Hour / time.Second)
	for list := p.Get(KeepAlive); list != ""; {
		var parameter string
		parameter, list = element(list)
		name, value, _ := strings.Cut(parameter, "=")
		if !equalFold(trim(name), "timeout") {
			continue
		}
		if n, ok := parseLength(trim(value)); ok {
			p.KeepAlive = time.Duration(min(n, longest)) * time.Second
			p.Close = p.Close || n == 0
		}
	}
}

const (
	// silentKept is for how long a node that announces nothing, as Go's and Python's servers, is taken to keep idle connections: the shortest
	// default in the field, gunicorn's.
	silentKept = 2 * time.Second
	idleMargin = time.Second // what the node closes must not cross what we send
)

// Kept returns how long the node keeps an idle connection, as far as is known.
func (p *Response) Kept() time.Duration { return cmp.Or(p.KeepAlive, silentKept) }

// KeepFor returns how long the connection may be idle and still be used again.
func (p *Response) KeepFor() time.Duration { return p.Kept() - idleMargin }
