package http1

import "bytes"

// Scan finds where a head ends in bytes that arrive in pieces, and looks at no byte twice. What it says depends on the bytes
// alone, not on how they were cut into pieces. The zero value is ready for the first byte of a head.
type Scan struct {
	next, line int  // where to look for the next LF, where its line began
	skipped    bool // the one empty line before a request line was there
}

// SkipEmptyLine returns how many bytes of b belong to the one empty line that may stand before a request line (RFC 9112
// section 2.2): 2 or 0. The caller drops them before it calls Request.
func (s *Scan) SkipEmptyLine(b []byte) int {
	if s.skipped || len(b) < 2 || b[0] != '\r' || b[1] != '\n' {
		return 0
	}
	*s = Scan{skipped: true}
	return 2
}

// Request returns the length of the request's head that b begins with, 0 where its end has not come. b is all that has come
// of it, with no empty line before it. The error is an *Error.
func (s *Scan) Request(b []byte) (int, error) {
	if len(b) > 0 && class[b[0]]&classToken == 0 && b[0] != '\r' {
		return 0, errMethod // what is not HTTP at all, a TLS hello say, is not waited for
	}
	if n, e := s.find(b); n > 0 || e != nil {
		return n, e.asError()
	}
	return 0, nil
}

// Response is Request for the head of a response.
func (s *Scan) Response(b []byte) (int, error) {
	if len(b) > 0 && b[0] != 'H' {
		return 0, errStatusLine
	}
	n, e := s.find(b)
	if e != nil {
		return 0, e.fromNode()
	}
	return n, nil
}

// find looks for the empty line. It checks each LF as it arrives: what counts is the first LF without CR, or the limit,
// whichever comes first.
func (s *Scan) find(b []byte) (int, *Error) {
	for {
		i := bytes.IndexByte(b[s.next:], '\n')
		if i < 0 {
			s.next = len(b)
			if len(b) >= MaxHead {
				return 0, errHeadSize
			}
			return 0, nil
		}
		i += s.next
		switch {
		case i >= MaxHead:
			return 0, errHeadSize
		case i == 0 || b[i-1] != '\r':
			return 0, errBareLF
		case i-1 == s.line && i == 1:
			return 0, errRequestLine
		case i-1 == s.line:
			return i + 1, nil
		}
		s.next, s.line = i+1, i+1
	}
}
