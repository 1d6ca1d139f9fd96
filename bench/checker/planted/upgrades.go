package planted

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

func firstHandshakeRefused() func(*http.Request) bool {
	var refused atomic.Bool
	return func(q *http.Request) bool {
		return !q.URL.Query().Has("sid") && refused.CompareAndSwap(false, true)
	}
}

func upgradeRefused(q *http.Request) bool { return q.Header.Get("Upgrade") != "" }

// pooled is a connection to a node that carried an upgrade, which the node refused.
type pooled struct {
	net.Conn
	node string
}

// poolRefused asks for a WebSocket in a way that the node refuses, and keeps the connection for other requests.
func poolRefused(v visit) answer {
	c, err := net.Dial("tcp", v.s.node)
	if err != nil {
		return answer{status: http.StatusBadGateway}
	}
	q := v.q.Clone(v.g.life)
	q.Header.Set("Sec-WebSocket-Version", "99")
	a := exchange(c, q, nil)
	v.g.mu.Lock()
	defer v.g.mu.Unlock()
	v.g.pool = append(v.g.pool, pooled{c, v.s.node})
	return a
}

// usePooled sends a request on a connection of poolRefused's, where there is one to the session's node.
func usePooled(v visit) answer {
	v.g.mu.Lock()
	var c net.Conn
	for i, p := range v.g.pool {
		if p.node == v.s.node {
			c = p.Conn
			v.g.pool = append(v.g.pool[:i], v.g.pool[i+1:]...)
			break
		}
	}
	v.g.mu.Unlock()
	if c == nil {
		return v.forward(v.body)
	}
	defer c.Close()
	v.g.strikes.Add(1)
	return exchange(c, v.q, v.body)
}

// exchange sends a request as it came, and reads its answer.
func exchange(c net.Conn, q *http.Request, body []byte) answer {
	q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if err := q.Write(c); err != nil {
		return answer{status: http.StatusBadGateway}
	}
	in, err := http.ReadResponse(bufio.NewReader(c), q)
	if err != nil {
		return answer{status: http.StatusBadGateway}
	}
	defer in.Body.Close()
	got, err := io.ReadAll(in.Body)
	if err != nil {
		return answer{status: http.StatusBadGateway}
	}
	return answer{in.StatusCode, in.Header.Get("Content-Type"), got}
}
