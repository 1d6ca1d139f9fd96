package tunnel_test

import (
	"context"
	"time"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/tunnel"
)

// looping is an engine whose loops end with it.
type looping struct {
	*tunnel.Loops
	loops []*loop.Loop
}

func (l looping) Shutdown(ctx context.Context, waves int, over time.Duration) error {
	err := l.Loops.Shutdown(ctx, waves, over)
	for _, one := range l.loops {
		one.End()
	}
	return err
}

var loopEngines = []made{{"loops", func() engine {
	loops, err := loop.Start(2)
	if err != nil {
		panic(err)
	}
	return looping{tunnel.NewLoops(loops), loops}
}}}
