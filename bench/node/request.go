//go:build linux

package node

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// maxHead is how long a request's head may be, maxBody its body.
const (
	maxHead = 16 << 10
	maxBody = 128 << 10
)

// errRequest is a request that this node does not serve.
var errRequest = errors.New("node: bad request")

var (
	headEnd = []byte("\r\n\r\n")
	path    = []byte("/socket.io/")
	page    = []byte("/page")
	version = []byte(" HTTP/1.1")
)

// request is what matters of a request's head. Its slices are valid as long as the head's.
type request struct {
	get, post bool
	options   bool
	page      bool   // not Socket.IO's
	websocket bool   // asked for by the query
	upgrade   bool   // asked for by the field
	sid       []byte // nil: none
	key       []byte
	body      int
	sized     bool // body was told
	last      bool // Connection: close
}

// parse reads head, without the empty line that ends it.
func parse(head []byte) (request, error) {
	var r request
	line, rest, _ := bytes.Cut(head, headEnd[:2])
	if !r.line(line) {
		return r, errRequest
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, headEnd[:2])
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !r.field(name, bytes.TrimSpace(value)) {
			return r, errRequest
		}
	}
	return r, nil
}

func (r *request) line(line []byte) bool {
	method, target, _ := bytes.Cut(line, []byte(" "))
	target, ok := bytes.CutSuffix(target, version)
	if !ok {
		return false
	}
	r.get, r.post, r.options = string(method) == "GET", string(method) == "POST", string(method) == "OPTIONS"
	at, query, _ := bytes.Cut(target, []byte("?"))
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		name, value, _ := bytes.Cut(pair, []byte("="))
		switch string(name) {
		case "sid":
			r.sid = value
		case "transport":
			r.websocket = string(value) == "websocket"
		}
	}
	r.page = r.get && bytes.Equal(at, page)
	return r.page || (r.get || r.post || r.options) && bytes.HasPrefix(at, path)
}

// field takes one field in. The length of a name is told apart first: most fields do not matter.
func (r *request) field(name, value []byte) bool {
	switch len(name) {
	case len("upgrade"):
		if is(name, "upgrade") {
			r.upgrade = is(value, "websocket")
		}
	case len("connection"):
		if is(name, "connection") {
			r.last = is(value, "close")
		}
	case len("content-length"):
		if is(name, "content-length") {
			return r.length(value)
		}
	case len("sec-websocket-key"):
		if is(name, "sec-websocket-key") {
			r.key = value
		}
		return !is(name, "transfer-encoding")
	}
	return true
}

func (r *request) length(value []byte) bool {
	n, err := strconv.ParseUint(string(value), 10, 31)
	again := r.sized
	r.body, r.sized = int(n), true
	return err == nil && n <= maxBody && !again
}

// is tells whether b is lower in any case.
func is(b []byte, lower string) bool {
	return len(b) == len(lower) && strings.EqualFold(string(b), lower)
}

// request answers the request at the beginning of b and returns its length, 0 if it is not complete.
func (n *Node) request(c *conn, b []byte) (int, error) {
	end := bytes.Index(b[:min(len(b), maxHead)], headEnd)
	if end < 0 {
		if len(b) >= maxHead {
			return 0, errTooLong
		}
		return 0, nil
	}
	r, err := parse(b[:end])
	if err != nil {
		return 0, n.refuse(c)
	}
	used := end + len(headEnd) + r.body
	if len(b) < used {
		return 0, nil
	}
	c.last = r.last
	return used, n.reply(c, &r, b[used-r.body:used])
}
