package engineio

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// maxDepth is how deeply values may be nested in an open packet's unknown members.
const maxDepth = 16

// maxMillis is the longest that a timer of JavaScript can wait; a node that says more can only mean "never".
const maxMillis = math.MaxInt32

// jsonReader reads one JSON object (RFC 8259) that may be cut anywhere or followed by something else. err stays at the
// first fault: ErrShort at the end of the bytes, ErrNoOpen at a byte that no JSON has there.
//
// encoding/json's Decoder tells the two apart as well. For an open packet it takes five times as long and 12 allocations
// in place of one, and matches names without regard to case; into a map, which keeps them, 8 times as long and 29.
type jsonReader struct {
	b   []byte
	i   int
	err error
}

// open reads the open packet's object. Members are told by their exact names and the last of several counts, as for
// JSON.parse, with which clients read it.
func (r *jsonReader) open() (Open, error) {
	var o Open
	r.members(func(name []byte) {
		switch string(name) {
		case "sid":
			if r.peek() != '"' {
				r.fail()
				return
			}
			o.SID = string(r.text())
		case "pingInterval":
			o.PingInterval = millis(r.number())
		case "pingTimeout":
			o.PingTimeout = millis(r.number())
		case "upgrades":
			from := r.i
			r.skip(1)
			o.WebSocket = r.err == nil && bytes.Contains(r.b[from:r.i], []byte(`"websocket"`))
		case "maxPayload":
			o.MaxPayload = int64(max(0, min(r.number(), math.MaxInt32)))
		default:
			r.skip(1)
		}
	})
	return o, r.err
}

func millis(n float64) time.Duration {
	return time.Duration(max(0, min(n, maxMillis))) * time.Millisecond
}

// members reads an object and calls value at each member's value, which it must read.
func (r *jsonReader) members(value func(name []byte)) {
	r.take('{')
	r.space()
	if r.peek() == '}' {
		r.i++
		return
	}
	for r.err == nil {
		name := r.text()
		r.space()
		r.take(':')
		r.space()
		if r.err != nil {
			return
		}
		value(name)
		r.space()
		if r.peek() == '}' {
			r.i++
			return
		}
		r.take(',')
		r.space()
	}
}

// number reads a value and returns it if it is a number, else 0.
func (r *jsonReader) number() float64 {
	start := r.i
	c := r.peek()
	r.skip(1)
	if r.err != nil || c != '-' && (c < '0' || c > '9') {
		return 0
	}
	n, err := strconv.ParseFloat(string(r.b[start:r.i]), 64)
	if err != nil && !math.IsInf(n, 0) {
		return 0
	}
	return n
}

// skip reads a value of any kind.
func (r *jsonReader) skip(depth int) {
	if depth > maxDepth {
		r.fail()
		return
	}
	switch c := r.peek(); {
	case r.err != nil:
	case c == '"':
		r.rawText()
	case c == '{':
		r.members(func([]byte) { r.skip(depth + 1) })
	case c == '[':
		r.skipArray(depth)
	case c == 't':
		r.word("true")
	case c == 'f':
		r.word("false")
	case c == 'n':
		r.word("null")
	default:
		r.skipNumber()
	}
}

func (r *jsonReader) skipArray(depth int) {
	r.take('[')
	r.space()
	if r.peek() == ']' {
		r.i++
		return
	}
	for r.err == nil {
		r.skip(depth + 1)
		r.space()
		if r.peek() == ']' {
			r.i++
			return
		}
		r.take(',')
		r.space()
	}
}

func (r *jsonReader) skipNumber() {
	if r.peek() == '-' {
		r.i++
	}
	if r.peek() == '0' {
		r.i++
	} else {
		r.digits()
	}
	if r.peek() == '.' {
		r.i++
		r.digits()
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.i++
		if c := r.peek(); c == '+' || c == '-' {
			r.i++
		}
		r.digits()
	}
}

// digits reads at least one digit.
func (r *jsonReader) digits() {
	start := r.i
	for c := r.peek(); '0' <= c && c <= '9'; c = r.peek() {
		r.i++
	}
	if r.i == start {
		r.fail()
	}
}

// text reads a string and returns its content, which aliases b where nothing in it is escaped.
func (r *jsonReader) text() []byte {
	raw, escaped := r.rawText()
	if r.err != nil || !escaped {
		return raw
	}
	var s string
	if json.Unmarshal(r.b[r.i-len(raw)-2:r.i], &s) != nil {
		r.fail()
	}
	return []byte(s)
}

// rawText reads a string and returns the bytes between its quotes and whether one of them is a backslash.
func (r *jsonReader) rawText() (raw []byte, escaped bool) {
	r.take('"')
	start := r.i
	for r.err == nil {
		c := r.peek()
		switch {
		case r.err != nil:
		case c == '"':
			r.i++
			return r.b[start : r.i-1], escaped
		case c == '\\':
			escaped = true
			r.i++
			r.escape()
		case c < ' ':
			r.fail()
		default:
			r.i++
		}
	}
	return nil, false
}

// escape reads what follows a backslash.
func (r *jsonReader) escape() {
	c := r.peek()
	r.i++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
	case 'u':
		for range 4 {
			if unhex(r.peek()) < 0 {
				r.fail()
			}
			r.i++
		}
	default:
		r.fail()
	}
}

func (r *jsonReader) word(w string) {
	for i := 0; i < len(w); i++ {
		r.take(w[i])
	}
}

func (r *jsonReader) take(c byte) {
	if r.peek() != c {
		r.fail()
	}
	r.i++
}

func (r *jsonReader) space() {
	for jsonSpace(r.peek()) {
		r.i++
	}
}

func jsonSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// peek returns the next byte; at the end of the bytes, which no object may reach, it sets ErrShort and returns 0, which
// stands nowhere in JSON.
func (r *jsonReader) peek() byte {
	if r.i >= len(r.b) {
		if r.err == nil {
			r.err = ErrShort
		}
		return 0
	}
	return r.b[r.i]
}

func (r *jsonReader) fail() {
	if r.err == nil {
		r.err = ErrNoOpen
	}
}
