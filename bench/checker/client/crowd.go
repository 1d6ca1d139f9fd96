//go:build linux

// Package client is the clients of the checker: many raw ones in this process, which speak Engine.IO 4 and Socket.IO 5 with exact
// timing and forgive nothing, and processes of the reference library, which do as users' clients do. All send numbered messages
// with acknowledgements and write down what they see.
//
//	crowd, err := client.Start(ctx, client.Crowd{Seed: 1, Fronts: fronts, Dir: dir, Pace: 200 * time.Millisecond,
//		Raw: client.Modes{Polling: 20, Upgrade: 20, WebSocket: 20}, Real: []client.Real{{Library: 4, Modes: …}}})
//	err = crowd.Ready(ctx)       // all are connected
//	…                            // faults
//	err = crowd.Stop(ctx)        // all are connected, have what they wait for, and leave
//	events, err := history.Read(dir)
//
// Each TCP connection goes to the next front in turn, or the one after it if that refuses; that is the plainest balancer, and it
// knows nothing of sessions. A client that loses its session comes back after 0.5 to 1.5 s, as the reference client does. What
// clients send, and when, derives from the seed and their names.
package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
)

// Modes is how many clients there are of each kind.
type Modes struct {
	Polling   int `json:"polling"`   // never upgrade
	Upgrade   int `json:"upgrade"`   // begin with polling and upgrade
	WebSocket int `json:"websocket"` // connect directly
}

func (m Modes) total() int { return m.Polling + m.Upgrade + m.WebSocket }

// Real is a process of clients of the reference library.
type Real struct {
	Library int // 4 or 2
	Modes
}

// A Crowd is what clients there are. Fronts, Dir and Pace have to be given.
type Crowd struct {
	Name     string // begins the clients' names, so that crowds can be told apart
	Seed     uint64
	Fronts   []string      // host:port
	Dir      string        // for histories
	Pace     time.Duration // between two messages of a client, on average
	Raw      Modes
	Real     []Real
	Fresh    float64       // the share of a raw client's requests that get a new connection, between 0 and 1
	Patience time.Duration // for what has to come at the end; 0 for 40 s
}

// Running is a crowd that was started. Its methods may be called concurrently.
type Running struct {
	crowd   Crowd
	log     *history.Writer
	life    context.Context // ends what clients do at once
	end     context.CancelFunc
	clients []*client
	real    []*process
	all     sync.WaitGroup
	stopped chan struct{} // closed by Stop
	stamp   atomic.Uint64 // makes every request's URL another one
	acked   atomic.Int64

	mu     sync.Mutex
	fronts []string
	rng    *rand.Rand // which clients a fault takes
}

// Start starts the clients. They begin to connect at once and to send when they are connected. They end when ctx does, without
// what Stop waits for.
func Start(ctx context.Context, c Crowd) (*Running, error) {
	if c.Patience == 0 {
		c.Patience = 40 * time.Second
	}
	log, err := history.Create(filepath.Join(c.Dir, "client-"+c.Name+"-raw.jsonl"))
	if err != nil {
		return nil, err
	}
	r := &Running{crowd: c, log: log, fronts: c.Fronts, stopped: make(chan struct{}), rng: rand.New(rand.NewPCG(c.Seed, 0))}
	r.life, r.end = context.WithCancel(ctx)
	for _, kind := range []struct {
		mode string
		n    int
	}{{polling, c.Raw.Polling}, {upgrade, c.Raw.Upgrade}, {websockets, c.Raw.WebSocket}} {
		for i := range kind.n {
			r.clients = append(r.clients, newClient(r, fmt.Sprintf("%sraw-%s-%d", c.Name, kind.mode, i), kind.mode))
		}
	}
	for i, real := range c.Real {
		p, err := startReal(r, fmt.Sprintf("%sreal%d-%d", c.Name, real.Library, i), real)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.real = append(r.real, p)
	}
	for _, c := range r.clients {
		r.all.Go(c.run)
	}
	return r, nil
}

// Total is how many clients there are.
func (c Crowd) Total() int {
	n := c.Raw.total()
	for _, real := range c.Real {
		n += real.total()
	}
	return n
}

// Total is how many clients there are.
func (r *Running) Total() int { return r.crowd.Total() }

// Connected is how many clients have a session now.
func (r *Running) Connected() (int, error) {
	n := 0
	for _, c := range r.clients {
		if c.connected() {
			n++
		}
	}
	for _, p := range r.real {
		var answer struct{ Connected int }
		if err := p.ask(map[string]any{"cmd": "stats"}, &answer); err != nil {
			return 0, err
		}
		n += answer.Connected
	}
	return n, nil
}

// Acked is how many acknowledgements the raw clients have had.
func (r *Running) Acked() int { return int(r.acked.Load()) }

// Ready waits until every client has a session.
func (r *Running) Ready(ctx context.Context) error {
	for {
		n, err := r.Connected()
		if err != nil || n == r.Total() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("client: %d of %d are connected: %w", n, r.Total(), context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Route sends new connections to these fronts from now on.
func (r *Running) Route(fronts ...string) error {
	r.mu.Lock()
	r.fronts = fronts
	r.mu.Unlock()
	return r.tellAll(map[string]any{"cmd": "route", "fronts": fronts})
}

// Cut ends the connections of this share of the clients at once, without a word to the node. They come back.
func (r *Running) Cut(share float64) error {
	for _, c := range r.some(share) {
		c.leave(history.Cut)
	}
	return r.tellAll(map[string]any{"cmd": "cut", "share": share})
}

// Vanish has this share of the raw clients fall silent with their connections open: they read nothing and answer nothing until the
// crowd is stopped, and do not come back.
func (r *Running) Vanish(share float64) {
	for _, c := range r.some(share) {
		c.leave(history.Vanished)
	}
}

func (r *Running) some(share float64) []*client {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*client
	for _, n := range r.rng.Perm(len(r.clients))[:int(share*float64(len(r.clients))+0.5)] {
		list = append(list, r.clients[n])
	}
	return list
}

// Stop has to be called once. It ends the sending, waits until every session has all that is under way, at most for Patience, has the clients leave, and
// completes the histories. What did not come in time is for the judge.
func (r *Running) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.crowd.Patience)
	defer cancel()
	close(r.stopped)
	for _, c := range r.clients {
		c.stop(ctx)
	}
	var stopping sync.WaitGroup
	errs := make([]error, len(r.real))
	for i, p := range r.real {
		stopping.Go(func() { errs[i] = p.stop(r.crowd.Patience) })
	}
	stopping.Wait()
	r.all.Wait()
	return errors.Join(append(errs, r.close())...)
}

// close ends what is left and completes the history.
func (r *Running) close() error {
	r.end()
	r.all.Wait()
	for _, p := range r.real {
		p.kill()
	}
	return r.log.Close()
}

func (r *Running) tellAll(line map[string]any) error {
	var errs []error
	for _, p := range r.real {
		errs = append(errs, p.ask(line, &struct{}{}))
	}
	return errors.Join(errs...)
}

// route returns the fronts in the order in which the n-th connection tries them.
func (r *Running) route(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var order []string
	for i := range r.fronts {
		order = append(order, r.fronts[(n+i)%len(r.fronts)])
	}
	return order
}
