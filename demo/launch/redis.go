package launch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidway/sidway/demo/chat"
)

// away is how long Redis is stopped on purpose.
const away = 10 * time.Second

// embedded is a Redis inside this process. Stopped and started again, it has its data still.
type embedded struct {
	server *miniredis.Miniredis
	stop   chan struct{}
	note   func(chat.Event)

	mu       sync.Mutex
	on       bool
	restarts int
}

func startEmbedded() (*embedded, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	e := &embedded{server: miniredis.NewMiniRedis(), stop: make(chan struct{}), on: true}
	e.server.ClockTTL(true) // otherwise nothing ever expires
	if err := e.server.StartAddr(ports[0]); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	return e, nil
}

func (e *embedded) url() string { return "redis://" + e.server.Addr() + "/0" }

func (e *embedded) state() chat.Process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return chat.Process{Name: "redis", Kind: "embedded", Up: e.on, Restarts: e.restarts}
}

// pause stops it for a while; it does nothing while it is stopped.
func (e *embedded) pause() {
	select {
	case e.stop <- struct{}{}:
	default:
	}
}

// run obeys pause until ctx is done.
func (e *embedded) run(ctx context.Context) error {
	for {
		select {
		case <-e.stop:
		case <-ctx.Done():
			return nil
		}
		if err := e.outage(ctx, away); err != nil {
			return err
		}
	}
}

// outage stops it for so long, or until ctx is done.
func (e *embedded) outage(ctx context.Context, lasts time.Duration) error {
	e.set(false)
	e.note(chat.Event{What: actStopRedis, Name: "redis"})
	e.server.Close()
	wait(ctx, lasts)
	if ctx.Err() != nil {
		return nil
	}
	// Close cancels the context that blocked commands wait with, and Restart makes no other one: commands that block
	// would never be answered again. No connection is left, so nobody reads the old one.
	e.server.Ctx, e.server.CtxCancel = context.WithCancel(context.Background())
	if err := e.server.Restart(); err != nil {
		return fmt.Errorf("embedded redis: %w", err)
	}
	e.set(true)
	e.note(chat.Event{What: "started", Name: "redis"})
	return nil
}

func (e *embedded) set(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.on = on; on {
		e.restarts++
	}
}

func (e *embedded) close() { e.server.Close() }
