//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/bench/socket"
)

// errTooLong is a request or a frame that the shared buffer cannot hold.
var errTooLong = errors.New("node: request too long")

// Node is several nodes, one for each address.
type Node struct {
	poller    *socket.Poller
	listeners []int // the nodes' and last the control port's
	control   int
	wake      int // an eventfd that ends Run

	conns []*conn // by slot; those with fd -1 are free
	free  []*conn

	buf    []byte // what was read last, of any connection
	answer []byte // the answer in the making
	burst  []byte // the frame of the latest fan-out

	random *rand.PCG
	date   [29]byte // as in Date
	second int64    // that date tells
	stats  Stats
}

// Stats counts since the start. Tunnels are those that stand.
type Stats struct {
	Handshakes int64 `json:"handshakes"`
	Polls      int64 `json:"polls"`
	Posts      int64 `json:"posts"`
	Connects   int64 `json:"connects"`
	Frames     int64 `json:"frames"`
	Foreign    int64 `json:"foreign"` // requests with the sid of another node
	Pages      int64 `json:"pages"`
	Preflights int64 `json:"preflights"`
	Unknown    int64 `json:"unknown"` // requests with a sid that no node has made
	Refused    int64 `json:"refused"` // requests that are none
	Tunnels    int64 `json:"tunnels"`
}

// wakeSlot is the eventfd's; listeners have the slots below it.
const wakeSlot = -1

// Open listens. Call Run, and then Close.
func Open(listen []string, control string) (*Node, error) {
	if len(listen) > len(alphabet) {
		return nil, fmt.Errorf("node: more than %d addresses", len(alphabet))
	}
	poller, err := socket.NewPoller()
	if err != nil {
		return nil, err
	}
	n := &Node{
		poller:  poller,
		control: len(listen),
		wake:    -1,
		buf:     make([]byte, 256<<10),
		random:  rand.NewPCG(rand.Uint64(), rand.Uint64()),
	}
	if err := n.listen(append(listen[:len(listen):len(listen)], control)); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Node) listen(addrs []string) error {
	var err error
	if n.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("node: eventfd: %w", err)
	}
	if err := n.poller.Add(n.wake, socket.Accepting, socket.Token{Slot: wakeSlot}); err != nil {
		return err
	}
	for i, addr := range addrs {
		a, err := socket.Resolve(addr)
		if err != nil {
			return err
		}
		fd, err := socket.Listen(a)
		if err != nil {
			return fmt.Errorf("node: %s: %w", addr, err)
		}
		n.listeners = append(n.listeners, fd)
		if err := n.poller.Add(fd, socket.Accepting, socket.Token{Slot: int32(wakeSlot - 1 - i)}); err != nil {
			return err
		}
	}
	return nil
}

// Addrs returns the nodes' addresses and then the control port's, on 127.0.0.1: where port 0 was asked for, the port.
func (n *Node) Addrs() ([]string, error) {
	var addrs []string
	for _, fd := range n.listeners {
		port, err := socket.Port(fd)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return addrs, nil
}

// Run serves until ctx ends. It fails if no more connections can be accepted.
func (n *Node) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(n.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		close(woken)
	})
	defer func() {
		if !stop() {
			<-woken
		}
	}()
	for {
		events := n.poller.Wait(-1)
		n.tick()
		for i := range events {
			if events[i].Fd == wakeSlot {
				return nil
			}
			if err := n.event(&events[i]); err != nil {
				return err
			}
		}
	}
}

func (n *Node) event(e *socket.Event) error {
	if e.Fd < 0 {
		return n.accept(wakeSlot - 1 - int(e.Fd))
	}
	if c := n.conns[e.Fd]; c.fd >= 0 && c.turn == e.Pad {
		n.handle(c, e.Events)
	}
	return nil
}

// tick keeps the date.
func (n *Node) tick() {
	now := time.Now()
	if s := now.Unix(); s != n.second {
		n.second = s
		now.UTC().AppendFormat(n.date[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
	}
}

// Close closes every connection and stops listening. Not before Run has returned.
func (n *Node) Close() {
	for _, c := range n.conns {
		if c.fd >= 0 {
			n.close(c)
		}
	}
	for _, fd := range n.listeners {
		socket.Close(fd)
	}
	if n.wake >= 0 {
		socket.Close(n.wake)
	}
	n.poller.Close()
}
