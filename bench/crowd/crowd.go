package crowd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sidway/sidway/bench/busy"
	"github.com/sidway/sidway/bench/load"
)

// Main reads a Job, a line of JSON, from stdin and writes the Result to stdout.
func Main(stdin io.Reader, stdout io.Writer) error {
	var j Job
	if err := json.NewDecoder(stdin).Decode(&j); err != nil {
		return fmt.Errorf("crowd: read the job: %w", err)
	}
	r, err := Run(context.Background(), j)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(r)
}

// crowd is a running job.
type crowd struct {
	job   Job
	began time.Time

	mu      sync.Mutex
	result  Result
	last    time.Time     // of the newest session
	all     chan struct{} // closed when all clients are back for the first time
	flooded bool          // the flood has begun
	latency load.Histogram
}

// Run does a job and returns when all its connections are closed.
func Run(ctx context.Context, j Job) (Result, error) {
	if err := j.check(); err != nil {
		return Result{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	now := time.Now()
	c := &crowd{job: j, began: now, last: now, all: make(chan struct{})}
	c.result = Result{Clients: j.Clients, Errors: map[string]int{}}
	var wg sync.WaitGroup
	for i := range j.Clients {
		wg.Go(func() { newMember(c, i).run(ctx) })
	}
	err := c.wait(ctx)
	if err == nil && j.Kind != Storm {
		err = c.flood(ctx, &wg)
	}
	stop()
	wg.Wait()
	c.end()
	if err != nil {
		return c.result, err
	}
	nodes, err := busy.Ask(context.Background(), j.Control)
	for _, n := range nodes {
		c.result.Handshakes = append(c.result.Handshakes, n.Handshakes)
	}
	return c.result, err
}

// wait returns when all clients are back. A storm may end without that, a flood cannot begin.
func (c *crowd) wait(ctx context.Context) error {
	limit := time.Minute
	if c.job.Kind == Storm {
		limit = time.Duration(c.job.Seconds * float64(time.Second))
	}
	select {
	case <-c.all:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(limit):
		if c.job.Kind != Storm {
			return fmt.Errorf("crowd: not all clients have a session after %s: %v", limit, c.result.Errors)
		}
	}
	return nil
}

// end completes the result of a storm that has left clients outside, and sums up the messages.
func (c *crowd) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.result.Elapsed == 0 {
		c.result.Elapsed = now.Sub(c.began).Seconds()
		c.gap(now)
	}
	c.result.Latency = c.latency.Quantiles()
}

// gap takes the time since the newest session into account.
func (c *crowd) gap(now time.Time) {
	c.result.Gap = max(c.result.Gap, now.Sub(c.last).Seconds())
	c.last = now
}

// opened counts a session.
func (c *crowd) opened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gap(time.Now())
}

// joined counts a client that is back, or no longer (-1).
func (c *crowd) joined(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Back += n
	if c.result.Back == c.job.Clients && c.result.Elapsed == 0 {
		c.result.Elapsed = time.Since(c.began).Seconds()
		close(c.all)
	}
}

// waited counts a message that has waited for its echo, and that came back (1) or did not (0).
func (c *crowd) waited(after time.Duration, back int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flooded {
		c.result.Messages += back
		c.latency.Record(int64(after))
	}
}

// failed counts what ended a client's attempt or session.
func (c *crowd) failed(m *member, err error) {
	was, first := m.left()
	if was {
		c.joined(-1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Errors[kind(err)]++
	switch {
	case !c.flooded || !first:
	case m.polls.fresh:
		c.result.LostFresh++
	default:
		c.result.LostKept++
	}
}
