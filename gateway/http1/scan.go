package http1

import "bytes"

// start says of a head's first byte whether it can be one. What is not HTTP at all, a TLS hello say, is refused by it
// and not when the time for a head is over.
type start func(c byte) *Error

func requestStart(c byte) *Error {
	if class[c]&classToken == 0 && c != '\r' {
		return errMethod
	}
	return nil
}

func responseStart(c byte) *Error {
	if c != 'H' {
		return errStatusLine
	}
	return nil
}

// scan looks for the empty line that ends a head and returns the length of the head with it, 0 where it has not come.
// It checks each LF as it arrives and looks at no byte twice. What it says depends on the bytes alone, not on how
// they were cut into pieces: the first LF without CR, or the limit, whichever comes first.
func (r *Reader) scan(begins start) (int, *Error) {
	b := r.mem.b[r.lo:r.hi]
	if len(b) == 0 {
		return 0, nil
	}
	if e := begins(b[0]); e != nil {
		return 0, e
	}
	for {
		i := bytes.IndexByte(b[r.scanned:], '\n')
		if i < 0 {
			r.scanned = len(b)
			if len(b) >= MaxHead {
				return 0, errHeadSize
			}
			return 0, nil
		}
		i += r.scanned
		switch {
		case i >= MaxHead:
			return 0, errHeadSize
		case i == 0 || b[i-1] != '\r':
			return 0, errBareLF
		case i-1 == r.line && i == 1:
			return 0, errRequestLine
		case i-1 == r.line:
			return i + 1, nil
		}
		r.scanned, r.line = i+1, i+1
	}
}
