// Package busy is Engine.IO nodes in one process that do one handshake at a time and take a while for each, as Node does
// when a handshake asks a database:
//
//	bench busy -nodes 3 -work 20ms -control 127.0.0.1:3000
//
// They are nodes of engineiotest, so a session ends when one of its polls is aborted or overlaps another. Handshakes
// are done in the order in which they came; one whose client has gone takes its time all the same. Polls and POSTs do
// not wait for handshakes. The nodes choose their ports; a GET of /stats on the control address answers []Stats.
package busy

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
)

// Stats is one node.
type Stats struct {
	Addr       string `json:"addr"`
	Handshakes int    `json:"handshakes"` // since the start
	Polls      int    `json:"polls"`      // that wait for their answer now
}

// Main runs the nodes until SIGINT or SIGTERM.
func Main(args []string) error {
	flags := flag.NewFlagSet("busy", flag.ContinueOnError)
	count := flags.Int("nodes", 3, "number of nodes")
	work := flags.Duration("work", 20*time.Millisecond, "time that a handshake takes")
	control := flags.String("control", "", "address that tells the nodes' addresses and counters")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("busy: %w", err)
	}
	if *control == "" || flags.NArg() > 0 {
		return errors.New("busy: -control is needed, and no arguments")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *control)
	if err != nil {
		return fmt.Errorf("busy: %w", err)
	}
	nodes := Start(*count, *work)
	defer nodes.Close()
	server := &http.Server{Handler: nodes}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("busy: %w", err)
	}
	return nil
}

// Nodes are running nodes. As an http.Handler they answer /stats.
type Nodes struct {
	host host
	all  []*node
	stop chan struct{}
}

type node struct {
	*engineiotest.Node
	mu         sync.Mutex
	free       time.Time // when the handshakes that have come are done
	handshakes int
}

// Start starts nodes whose handshakes take work each. Close them.
func Start(count int, work time.Duration) *Nodes {
	n := &Nodes{stop: make(chan struct{})}
	for range count {
		one := &node{Node: engineiotest.Start(&n.host, engineiotest.Options{KeepAlive: time.Minute})}
		one.Script(func(_ http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("sid") {
				n.wait(one.enqueue(work))
			}
			return false
		})
		n.all = append(n.all, one)
	}
	return n
}

// enqueue counts a handshake and returns when it is done.
func (n *node) enqueue(work time.Duration) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handshakes++
	if now := time.Now(); n.free.Before(now) {
		n.free = now
	}
	n.free = n.free.Add(work)
	return n.free
}

func (n *Nodes) wait(until time.Time) {
	select {
	case <-time.After(time.Until(until)):
	case <-n.stop:
	}
}

// Stats returns what the nodes have done, in their order.
func (n *Nodes) Stats() []Stats {
	var list []Stats
	for _, one := range n.all {
		one.mu.Lock()
		s := Stats{Addr: one.Addr(), Handshakes: one.handshakes}
		one.mu.Unlock()
		for _, sid := range one.Sessions() {
			if one.Polling(sid) {
				s.Polls++
			}
		}
		list = append(list, s)
	}
	return list
}

// ServeHTTP answers Stats as JSON, whatever is asked.
func (n *Nodes) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(n.Stats())
}

// Close ends the nodes and waits for their requests.
func (n *Nodes) Close() {
	close(n.stop)
	for _, f := range n.host.cleanups {
		f()
	}
}

// host is what a node of engineiotest needs of a test.
type host struct {
	testing.TB
	cleanups []func()
}

func (h *host) Helper()           {}
func (h *host) Cleanup(f func())  { h.cleanups = append(h.cleanups, f) }
func (h *host) Error(args ...any) { fmt.Fprintln(os.Stderr, args...) }
func (h *host) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Ask returns the Stats of the nodes whose control address is given.
func Ask(ctx context.Context, control string) ([]Stats, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+control+"/stats", nil)
	if err != nil {
		return nil, fmt.Errorf("busy: %w", err)
	}
	r.Close = true
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("busy: %w", err)
	}
	defer answer.Body.Close()
	var list []Stats
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("busy: %w", err)
	}
	return list, nil
}
