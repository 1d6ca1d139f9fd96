package launch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// front hands each TCP connection to the next replica in turn, as the plainest balancer does. It knows nothing of
// sessions: that is the gateways' work.
type front struct {
	listener net.Listener
	targets  []string // set before run
	turn     atomic.Uint32
	work     sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// usual is the address where none is asked for.
const usual = "127.0.0.1:8080"

// newFront takes the address.
func newFront(address string) (*front, error) {
	l, err := net.Listen("tcp", cmp.Or(address, usual))
	if err != nil && address == "" {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return &front{listener: l, open: map[net.Conn]struct{}{}}, nil
}

// address is what to write into a browser of this machine.
func (f *front) address() string {
	host, port, _ := net.SplitHostPort(f.listener.Addr().String())
	if ip := net.ParseIP(host); ip.IsUnspecified() || ip.IsLoopback() {
		host = "localhost"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func (f *front) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, f.close)
	defer stop()
	defer f.work.Wait()
	for {
		c, err := f.listener.Accept()
		switch {
		case err == nil:
			f.work.Go(func() { f.carry(ctx, c.(*net.TCPConn)) })
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // want of descriptors, say, passes
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (f *front) close() {
	f.listener.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.Close()
	}
}

// carry connects a client with the replica whose turn it is, or the next one that takes it.
func (f *front) carry(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	turn := int(f.turn.Add(1))
	for i := range f.targets {
		dialer := net.Dialer{Timeout: 2 * time.Second}
		c, err := dialer.DialContext(ctx, "tcp", f.targets[(turn+i)%len(f.targets)])
		if err != nil {
			continue
		}
		replica := c.(*net.TCPConn)
		defer replica.Close()
		f.keep(client, replica)
		defer f.forget(client, replica)
		if ctx.Err() != nil { // close may have come before keep
			return
		}
		var both sync.WaitGroup
		both.Go(func() { pass(replica, client) })
		both.Go(func() { pass(client, replica) })
		both.Wait()
		return
	}
}

// pass copies one direction and passes its end on: a reset as a reset, an orderly one as such.
func pass(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.SetLinger(0)
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite()
}

func (f *front) keep(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		f.open[c] = struct{}{}
	}
}

func (f *front) forget(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.open, c)
	}
}
