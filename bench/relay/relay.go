//go:build linux

// Package relay copies bytes between clients and nodes and knows nothing of them: what it spends is the floor that no
// proxy with one loop over the same sockets can go below.
//
//	bench relay relay.json
//
// with {"listen": "127.0.0.1:8080", "nodes": ["127.0.0.1:3001", "127.0.0.1:3002"]}. Each connection from a client gets one
// to the next node, for as long as it lasts. So a session that is made and polled on one connection stays on its node, as
// the load does it; that is all the affinity it has. When one side ends, so does the other.
package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/sidway/sidway/bench/socket"
)

// Config is where a relay listens and what it stands in front of: host:port.
type Config struct {
	Listen string   `json:"listen"`
	Nodes  []string `json:"nodes"`
}

// Main relays by the configuration in a file until the process is killed.
func Main(args []string) error {
	if len(args) != 1 {
		return errors.New("relay: one argument is needed, the file of the configuration")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	var c Config
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("relay: %s: %w", args[0], err)
	}
	r, err := open(c)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	for {
		for _, e := range r.poller.Wait(-1) {
			if err := r.handle(e); err != nil {
				return err
			}
		}
	}
}

// relay is one loop. A connection's two ends stand in neighbouring slots, the client's in the even one.
type relay struct {
	poller   *socket.Poller
	listener int
	nodes    []socket.Address
	next     int // node
	ends     []end
	free     []int32 // even slots that nobody uses
	buffer   []byte  // for all, since nothing stays in it
}

// end is one of the two sockets of a connection.
type end struct {
	fd      int
	turn    int32  // counts the slot's owners
	waiting []byte // what it did not take yet; as long as there is any, the other end is not read
}

const listening = -1 // the listener's slot

func open(c Config) (*relay, error) {
	r := &relay{buffer: make([]byte, 64<<10)}
	for _, n := range c.Nodes {
		a, err := socket.Resolve(n)
		if err != nil {
			return nil, err
		}
		r.nodes = append(r.nodes, a)
	}
	if len(r.nodes) == 0 {
		return nil, errors.New("relay: no nodes")
	}
	a, err := socket.Resolve(c.Listen)
	if err != nil {
		return nil, err
	}
	if r.listener, err = socket.Listen(a); err != nil {
		return nil, err
	}
	if r.poller, err = socket.NewPoller(); err != nil {
		return nil, err
	}
	return r, r.poller.Add(r.listener, socket.Accepting, socket.Token{Slot: listening})
}

func (r *relay) handle(e socket.Event) error {
	if e.Fd == listening {
		return r.accept()
	}
	if r.ends[e.Fd].turn != e.Pad {
		return nil // of an earlier owner
	}
	// Writable says little, as a wait tells it with each change; but then something may have waited for it.
	ok := r.flush(e.Fd) && (e.Events&socket.Readable == 0 || r.copy(e.Fd, e.Events&socket.Ended != 0))
	if !ok {
		r.close(e.Fd)
	}
	return nil
}

// accept takes all connections that wait. Without descriptors the relay ends, since then it measures nothing.
func (r *relay) accept() error {
	for {
		client, err := socket.Accept(r.listener)
		if err != nil || client < 0 {
			return err
		}
		r.next = (r.next + 1) % len(r.nodes)
		node, err := socket.Dial(r.nodes[r.next], nil)
		if err != nil {
			return err
		}
		if err := r.join(client, node); err != nil {
			return err
		}
	}
}

func (r *relay) join(client, node int) error {
	if len(r.free) == 0 {
		r.free = append(r.free, int32(len(r.ends)))
		r.ends = append(r.ends, end{}, end{})
	}
	slot := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	for i, fd := range []int{client, node} {
		at := slot + int32(i)
		r.ends[at].fd = fd
		if err := r.poller.Add(fd, socket.Both, socket.Token{Slot: at, Turn: r.ends[at].turn}); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what waited for a socket, and when all is gone goes on reading the other one. It reports false at an end.
func (r *relay) flush(at int32) bool {
	e := &r.ends[at]
	if len(e.waiting) == 0 {
		return true
	}
	n, err := socket.Write(e.fd, e.waiting)
	if e.waiting = e.waiting[n:]; len(e.waiting) > 0 || err != nil {
		return err == nil
	}
	e.waiting = nil
	return r.copy(at^1, true)
}

// copy reads from a socket and writes to the other end, until there was less than there was room for: then there is no
// more, and the next bytes make an event. all reads until nothing comes, because an end makes none.
func (r *relay) copy(from int32, all bool) bool {
	to := &r.ends[from^1]
	for len(to.waiting) == 0 {
		n, err := socket.Read(r.ends[from].fd, r.buffer)
		if err != nil {
			return false
		}
		if n == 0 {
			return true
		}
		sent, err := socket.Write(to.fd, r.buffer[:n])
		if err != nil {
			return false
		}
		if sent < n {
			to.waiting = slices.Clone(r.buffer[sent:n])
		}
		if n < len(r.buffer) && !all {
			return true
		}
	}
	return true
}

// close ends both sides. Their slot is used again with another turn.
func (r *relay) close(at int32) {
	at &^= 1
	for i := at; i <= at+1; i++ {
		socket.Close(r.ends[i].fd)
		r.ends[i] = end{turn: r.ends[i].turn + 1}
	}
	r.free = append(r.free, at)
}
