//go:build linux

package client

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
)

// The kinds of clients, as they are named in histories and by the reference library's processes.
const (
	polling    = "polling"
	upgrade    = "upgrade"
	websockets = "websocket"
)

// client is one raw client through all its sessions.
type client struct {
	r     *Running
	name  string
	mode  string
	rng   *rand.Rand // of the client's own goroutine and, while a session lives, its sender's
	links *links

	mu       sync.Mutex
	dice     *rand.Rand // how requests are sent, which follows the timing
	session  *session
	stopping context.Context // nil until the crowd stops; its end is the end of patience
}

func newClient(r *Running, name, mode string) *client {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	c := &client{r: r, name: name, mode: mode, rng: rand.New(rand.NewPCG(r.crowd.Seed, h.Sum64()))}
	c.dice = rand.New(rand.NewPCG(c.rng.Uint64(), 0))
	c.links = newLinks(r.route, c.rng.IntN(1<<10))
	return c
}

// write adds to the crowd's history.
func (c *client) write(e history.Event) {
	e.Tap, e.By = history.Client, c.name
	c.r.log.Write(e)
}

// run has one session after another until it is stopped.
func (c *client) run() {
	defer c.links.close()
	for failed := 0; ; failed++ {
		s, err := c.begin()
		if err == nil {
			s.live()
			failed = 0
			if c.over(s.why) {
				return
			}
		}
		if !c.rest(failed) {
			return
		}
	}
}

// over tells whether a session that ended so was the last one.
func (c *client) over(why string) bool {
	switch why {
	case history.Vanished:
		select { // with its connections open until then
		case <-c.r.stopped:
		case <-c.r.life.Done():
		}
		return true
	case history.Stopped:
		return true
	}
	return false
}

// begin makes a session, or writes down why there is none.
func (c *client) begin() (*session, error) {
	ctx, cancel := context.WithTimeout(c.r.life, connectTimeout)
	defer cancel()
	s := newSession(c)
	front, status, err := s.handshake(ctx)
	if err != nil {
		if c.r.life.Err() == nil {
			c.write(history.Event{Kind: history.Refused, Status: status, Why: err.Error(), Fronts: []string{front}})
		}
		c.links.close()
		return nil, err
	}
	c.write(history.Event{Kind: history.Open, SID: s.sid, Why: c.mode})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	if c.stopping != nil {
		s.settle(c.stopping)
	}
	return s, nil
}

// connectTimeout is the reference client's.
const connectTimeout = 20 * time.Second

// rest waits as the reference client does before it tries again: 1 s, growing by half with each failure to 5 s, give or take a half.
// It returns false when there is no use in it any more.
func (c *client) rest(failed int) bool {
	d := time.Second
	for range failed {
		d = min(d*3/2, 5*time.Second)
	}
	d = d/2 + time.Duration(c.rng.Int64N(int64(d)))
	c.mu.Lock()
	c.session = nil
	stopping := c.stopping
	c.mu.Unlock()
	if stopping == nil {
		stopping = context.Background()
	}
	select {
	case <-time.After(d):
		return stopping.Err() == nil
	case <-stopping.Done():
	case <-c.r.life.Done():
	}
	return false
}

func (c *client) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != nil && c.session.isConnected()
}

func (c *client) chance(share float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dice.Float64() < share
}

// leave ends the session by the client's own doing.
func (c *client) leave(why string) {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s != nil {
		s.end(why)
	}
}

// stop has this session, or the next one that lives, settle and end. Patience ends with the context.
func (c *client) stop(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = ctx
	if c.session != nil {
		c.session.settle(ctx)
	}
}

// target is a request's, of the session sid or, without one, of a handshake.
func (c *client) target(transport, sid string) string {
	t := fmt.Sprintf("/socket.io/?EIO=4&transport=%s&t=%x", transport, c.r.stamp.Add(1))
	if sid != "" {
		t += "&sid=" + sid
	}
	return t
}
