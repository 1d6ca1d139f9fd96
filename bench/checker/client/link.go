//go:build linux

package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// link is a connection to a front that carries one request at a time. It never sends anything twice, unlike net/http, which sends
// what came to nothing on a kept connection again: that would hide a fault of the gateway, or be one.
type link struct {
	net.Conn
	in    *bufio.Reader
	front string
}

// dialTimeout is after what a balancer takes a front for dead.
const dialTimeout = 2 * time.Second

// most is how many connections of a client are kept without a request.
const most = 3

// links is a client's connections.
type links struct {
	route func(n int) []string // the fronts in the order in which the n-th connection tries them

	mu   sync.Mutex
	n    int
	idle []*link
	all  map[net.Conn]bool
}

func newLinks(route func(n int) []string, n int) *links {
	return &links{route: route, n: n, all: map[net.Conn]bool{}}
}

// dial connects to the next front in turn that accepts. It tries each twice, as balancers do: where packets are lost, two of a connection's first can be.
func (l *links) dial(ctx context.Context) (net.Conn, string, error) {
	l.mu.Lock()
	l.n++
	order := l.route(l.n)
	l.mu.Unlock()
	d := net.Dialer{Timeout: dialTimeout}
	err := errors.New("no front")
	for _, front := range slices.Concat(order, order) {
		var c net.Conn
		if c, err = d.DialContext(ctx, "tcp", front); err == nil {
			l.mu.Lock()
			l.all[c] = true
			l.mu.Unlock()
			return c, front, nil
		}
	}
	return nil, "", err
}

// take returns a kept connection that is open, unless a fresh one is asked for, or else a new one.
func (l *links) take(ctx context.Context, fresh bool) (*link, error) {
	for k := l.kept(); k != nil && !fresh; k = l.kept() {
		if !k.ended() {
			return k, nil
		}
		l.drop(k)
	}
	c, front, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &link{Conn: c, in: bufio.NewReaderSize(c, 4096), front: front}, nil
}

func (l *links) kept() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.idle) == 0 {
		return nil
	}
	k := l.idle[0]
	l.idle = l.idle[1:]
	return k
}

// keep keeps a connection for another request, and few of them, as browsers do.
func (l *links) keep(k *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle = append(l.idle, k); len(l.idle) > most {
		delete(l.all, l.idle[0].Conn)
		_ = l.idle[0].Close()
		l.idle = l.idle[1:]
	}
}

func (l *links) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, c)
	_ = c.Close()
}

// close ends all connections.
func (l *links) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.all {
		_ = c.Close()
	}
	clear(l.all)
	l.idle = nil
}

// ended tells whether the other end has closed the connection, or has sent what nobody asked for.
func (k *link) ended() bool {
	if k.in.Buffered() > 0 {
		return true
	}
	tcp, ok := k.Conn.(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	open := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err != nil || !open
}

// request is one request of polling.
type request struct {
	method, target, body string
	split                bool // the body comes in a segment of its own
}

// answer is what came back, whole.
type answer struct {
	status int
	body   string
	last   bool // the connection ends with it
}

// exchange sends a request and reads its answer.
func (k *link) exchange(r request) (answer, error) {
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, k.front)
	if r.method == http.MethodPost {
		fmt.Fprintf(&head, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(r.body))
	}
	head.WriteString("\r\n")
	parts := []string{head.String() + r.body}
	if r.split {
		parts = []string{head.String(), r.body}
	}
	for _, p := range parts {
		if _, err := io.WriteString(k, p); err != nil {
			return answer{}, err
		}
	}
	in, err := http.ReadResponse(k.in, &http.Request{Method: r.method})
	if err != nil {
		return answer{}, err
	}
	defer in.Body.Close()
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{in.StatusCode, string(body), in.Close}, nil
}
