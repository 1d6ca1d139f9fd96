package affinity

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// The most that a Redis may send us.
const (
	// All replies to what was written at once, in bytes. The longest that we ask for is CLUSTER SLOTS.
	maxReplies = 4 << 20
	// Elements of one array or map. CLUSTER SLOTS has one for each range of slots at most.
	maxElements = 1 << 14
	// Arrays and maps within one another. HELLO and CLUSTER SLOTS have up to four.
	maxDepth = 8
	// The line that announces the length of a string or an array.
	maxHeader = 32
)

// tlsAlert is the first byte of what a TLS server says of a client that does not speak it.
const tlsAlert = 21

var errReply = errors.New("a reply is too large or is not Redis's")

// boundedConn is a connection to Redis that breaks when a reply exceeds the bounds. The client library allocates what a
// reply announces before any of it has come, and descends into nested arrays, which may overflow the stack. It speaks
// RESP 3 with Sentinels and RESP 2 otherwise.
type boundedConn struct {
	net.Conn
	size    atomic.Int64 // of what has come since the last Write, with what was announced
	header  []byte       // the beginning of the line that is being read
	rest    int          // bytes to come of a string
	arrays  []int        // elements to come, of each array or map that is being read
	heard   bool         // anything has come
	refused bool         // it said that there are too many clients
	broken  bool

	answered *atomic.Bool      // set with the first byte; nil: nobody asks
	silent   func(error) error // explains an end before any connection's first byte
}

// Write implements net.Conn.
func (c *boundedConn) Write(p []byte) (int, error) {
	c.size.Store(0)
	n, err := c.Conn.Write(p)
	if err != nil && !c.heard { // a refusal may wait to be read
		_ = c.Conn.SetReadDeadline(time.Now().Add(greetTime))
		b := make([]byte, 256)
		n, _ := c.Conn.Read(b)
		c.hear(b[:n])
	}
	return n, c.why(err)
}

// tooMany is what Redis says before it hangs up on a client too many. The client library takes it for an answer to its greeting, which
// it does without, and fails when it goes on.
const tooMany = "-ERR max number of clients reached"

// hear notes the first bytes that come.
func (c *boundedConn) hear(p []byte) {
	c.refused = c.refused || !c.heard && bytes.HasPrefix(p, []byte(tooMany))
	c.heard = c.heard || len(p) > 0
}

// why returns the cause of an error that ended the connection.
func (c *boundedConn) why(err error) error {
	if err != nil && c.refused {
		return serverError(tooMany[1:])
	}
	return err
}

// serverError is an answer of Redis by which it refuses.
type serverError string

func (e serverError) Error() string { return string(e) }

// RedisError makes it a redis.Error.
func (e serverError) RedisError() {}

// Read implements net.Conn. It returns nothing of what exceeds the bounds, and nothing after that: the client library
// forgets some errors.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.broken {
		return 0, errReply
	}
	n, err := c.Conn.Read(p)
	c.hear(p[:n])
	if err != nil && c.refused {
		return n, c.why(err)
	}
	if c.answered != nil && !c.answered.Load() {
		switch {
		case n == 0 && err != nil:
			return 0, c.silent(err)
		case n > 0 && p[0] == tlsAlert:
			return 0, errTLS
		case n > 0:
			c.answered.Store(true)
		}
	}
	if c.broken = !c.accept(p[:n]); c.broken {
		return 0, errReply
	}
	return n, err
}

func (c *boundedConn) accept(p []byte) bool {
	for len(p) > 0 {
		if c.rest > 0 {
			n := min(c.rest, len(p))
			p = p[n:]
			if c.rest -= n; c.rest == 0 {
				c.element()
			}
			continue
		}
		n := bytes.IndexByte(p, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(p)
		}
		c.header = append(c.header, p[:min(n, maxHeader-len(c.header))]...)
		if c.size.Add(int64(n)) > maxReplies || whole && !c.line() {
			return false
		}
		p = p[n:]
	}
	return true
}

// line takes the line in header, of which the end is cut off where it is long.
func (c *boundedConn) line() bool {
	line := c.header
	c.header = c.header[:0]
	switch line[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		c.element()
		return true
	}
	number, ended := bytes.CutSuffix(line[1:], []byte("\r\n"))
	n, err := strconv.Atoi(string(number))
	if !ended || err != nil || n < -1 {
		return false
	}
	switch line[0] {
	case '$', '=', '!':
		if n < 0 {
			break
		}
		c.rest = n + len("\r\n")
		return n <= maxReplies && c.size.Add(int64(c.rest)) <= maxReplies
	case '*', '~', '>', '%':
		if n <= 0 {
			break
		}
		if line[0] == '%' && n <= maxElements {
			n *= 2
		}
		c.arrays = append(c.arrays, n)
		return n <= maxElements && len(c.arrays) <= maxDepth
	default:
		return false // attributes, which Redis does not send, and what is not RESP
	}
	c.element()
	return true
}

// element notes that an element of the innermost array is whole, and with it perhaps that array, and so on outwards.
func (c *boundedConn) element() {
	for last := len(c.arrays) - 1; last >= 0; last-- {
		if c.arrays[last]--; c.arrays[last] > 0 {
			return
		}
		c.arrays = c.arrays[:last]
	}
}
