package planted

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Balancer stands before one node and passes all on, but can be told to cut connections at the worst moment: when the node has handled
// a POST, and nothing of its answer has come through. A gateway that knows only its own end of the connection takes that for a reset
// of a connection that was idle.
type Balancer struct {
	Idle time.Duration // for which it keeps idle connections; 0 for ever. To be set before the first one.

	node     string
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]bool
	posts int
	cut   int
}

// StartBalancer starts a balancer on an address, which may have port 0.
func StartBalancer(listen, node string) (*Balancer, error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("planted: %w", err)
	}
	b := &Balancer{node: node, listener: listener, open: map[net.Conn]bool{}}
	b.serving.Go(b.accept)
	return b, nil
}

// Address is host:port.
func (b *Balancer) Address() string { return b.listener.Addr().String() }

// Port is the port of its address.
func (b *Balancer) Port() int { return b.listener.Addr().(*net.TCPAddr).Port }

// CutPosts has so many more of the next POSTs end by a reset after the node has answered.
func (b *Balancer) CutPosts(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.posts += n
}

// Cuts is how many connections were cut so.
func (b *Balancer) Cuts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cut
}

// Close ends all connections, and returns when nothing runs any more.
func (b *Balancer) Close() error {
	err := b.listener.Close()
	b.mu.Lock()
	for c := range b.open {
		_ = c.Close()
	}
	b.mu.Unlock()
	b.serving.Wait()
	return err
}

func (b *Balancer) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.serving.Go(func() { b.carry(c.(*net.TCPConn)) })
	}
}

// note keeps connections so that Close can end them; what it returns closes them.
func (b *Balancer) note(conns ...net.Conn) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		b.open[c] = true
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range conns {
			delete(b.open, c)
			_ = c.Close()
		}
	}
}

// carry passes one request after the other, and then, where one was an upgrade, bytes.
func (b *Balancer) carry(client *net.TCPConn) {
	node, err := net.Dial("tcp", b.node)
	if err != nil {
		_ = client.Close()
		return
	}
	defer b.note(client, node)()
	requests, answers := bufio.NewReader(client), bufio.NewReader(node)
	for {
		if b.Idle > 0 {
			_ = client.SetReadDeadline(time.Now().Add(b.Idle))
		}
		q, err := http.ReadRequest(requests)
		if err != nil || q.Write(node) != nil {
			return
		}
		a, err := http.ReadResponse(answers, q)
		if err != nil {
			return
		}
		if q.Method == http.MethodPost && b.cuts() {
			_ = client.SetLinger(0)
			return
		}
		if a.Write(client) != nil {
			return
		}
		if a.StatusCode == http.StatusSwitchingProtocols {
			_ = client.SetReadDeadline(time.Time{})
			b.serving.Go(func() { _, _ = io.Copy(node, requests); _ = node.Close() })
			_, _ = io.Copy(client, answers)
			return
		}
		if a.Close {
			return
		}
	}
}

func (b *Balancer) cuts() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.posts == 0 {
		return false
	}
	b.posts--
	b.cut++
	return true
}
