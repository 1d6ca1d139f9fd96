//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxHead is how long an answer's head may be.
const maxHead = 16 << 10

var (
	newline = []byte("\r\n")
	headEnd = []byte("\r\n\r\n")

	errEnded = errors.New("connection ended")
)

// answer is an HTTP answer. Its slices are valid as long as those it was read from.
type answer struct {
	size    int // of head and body, 0 if it is not complete
	status  int
	body    []byte
	accept  []byte // Sec-WebSocket-Accept
	foreign bool   // a node that does not have the session made it
	last    bool   // the connection ends after it
}

// readAnswer reads the answer at the beginning of b. A body needs a Content-Length.
func readAnswer(b []byte) (answer, error) {
	end := bytes.Index(b[:min(len(b), maxHead)], headEnd)
	if end < 0 {
		if len(b) >= maxHead {
			return answer{}, errors.New("head of an answer too long")
		}
		return answer{}, nil
	}
	a := answer{status: statusOf(b[:end])}
	if a.status == 0 {
		return a, fmt.Errorf("no status line: %.40q", b)
	}
	length, err := a.fields(b[:end])
	if err != nil {
		return a, err
	}
	if a.status == 101 || a.status == 204 {
		length = 0
	}
	if length < 0 {
		return a, fmt.Errorf("no length: %.400q", b[:end])
	}
	if from := end + len(headEnd); len(b)-from >= length {
		a.size, a.body = from+length, b[from:from+length]
	}
	return a, nil
}

// statusOf returns the status of head, 0 if there is none.
func statusOf(head []byte) int {
	const at = len("HTTP/1.1 ")
	if len(head) < at+3 || string(head[:at]) != "HTTP/1.1 " {
		return 0
	}
	status, err := strconv.ParseUint(string(head[at:at+3]), 10, 16)
	if err != nil {
		return 0
	}
	return int(status)
}

// fields takes in what matters of head's fields and returns the body's length, -1 if it is not told.
func (a *answer) fields(head []byte) (int, error) {
	length := -1
	_, rest, _ := bytes.Cut(head, newline)
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, newline)
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return 0, fmt.Errorf("no field: %.40q", line)
		}
		name, value := line[:colon], line[colon+1:]
		switch {
		case is(name, "content-length"):
			n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
			if err != nil {
				return 0, fmt.Errorf("no length: %.40q", line)
			}
			length = int(n)
		case is(name, "connection"):
			a.last = is(bytes.TrimSpace(value), "close")
		case is(name, "x-foreign"):
			a.foreign = true
		case is(name, "sec-websocket-accept"):
			a.accept = bytes.TrimSpace(value)
		}
	}
	return length, nil
}

// is tells whether b is lower in any case.
func is(b []byte, lower string) bool {
	return len(b) == len(lower) && strings.EqualFold(string(b), lower)
}
