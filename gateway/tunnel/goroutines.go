package tunnel

import (
	"context"
	"sync"
	"time"
)

// Goroutines is an engine that gives each tunnel two goroutines. They wait until their connection is readable and only then
// borrow a buffer. It takes any net.Conn and is safe for concurrent use.
type Goroutines struct {
	buffers *buffers

	mu      sync.Mutex
	tunnels map[*tunnel]struct{}
	phase   phase
	empty   chan struct{} // made by the first Shutdown, closed when no tunnel is left
}

// phase is how far an engine's shutdown has come.
type phase uint8

const (
	open   phase = iota // tunnels live
	ending              // the last wave is out: new tunnels are told to end as well
	closed              // nothing is left, or what was left has been cut: new tunnels are refused
)

// NewGoroutines returns an engine without tunnels.
func NewGoroutines() *Goroutines {
	return &Goroutines{buffers: newBuffers(), tunnels: make(map[*tunnel]struct{})}
}

// Start takes both connections over and returns at once. After Shutdown has ended it closes them and calls Done before it
// returns.
func (g *Goroutines) Start(o Options) {
	t := newTunnel(g, o)
	g.mu.Lock()
	p := g.phase
	if p != closed {
		g.tunnels[t] = struct{}{}
	}
	g.mu.Unlock()

	if p == closed {
		t.cut(Shutdown)
		t.report()
		return
	}
	if p == ending {
		t.stop()
	}
	go t.up.run(o.ToNode)
	go t.down.run(o.ToClient)
}

// Len returns the number of tunnels whose Done has not returned yet.
func (g *Goroutines) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.tunnels)
}

// Shutdown ends all tunnels in waves of equal size that are spread over the given time, in no particular order. A tunnel ends
// by a FIN to its client, behind the bytes that are already on their way; what the client still sends reaches the node, for
// Linger at most. When ctx ends, what is left is closed at once. Shutdown returns when no tunnel is left and each Done has
// returned: nil if all ended in their wave, else the cause of ctx's end.
func (g *Goroutines) Shutdown(ctx context.Context, waves int, over time.Duration) error {
	waves = max(waves, 1)
	empty := g.emptied()
	for left := waves; left > 0; left-- {
		for _, t := range g.wave(left) {
			t.stop()
		}
		var next <-chan time.Time // never, after the last wave
		if left > 1 {
			next = time.After(over / time.Duration(waves))
		}
		select {
		case <-next:
		case <-empty:
			return nil
		case <-ctx.Done():
			for _, t := range g.rest() {
				t.cut(Shutdown)
			}
			<-empty
			return context.Cause(ctx)
		}
	}
	return nil
}

// emptied returns the channel that is closed when no tunnel is left.
func (g *Goroutines) emptied() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty == nil {
		g.empty = make(chan struct{})
		g.closeIfEmpty()
	}
	return g.empty
}

// closeIfEmpty ends the shutdown, if there is one and no tunnel is left. Its caller holds mu.
func (g *Goroutines) closeIfEmpty() {
	if g.empty == nil || len(g.tunnels) > 0 {
		return
	}
	g.phase = closed
	select {
	case <-g.empty:
	default:
		close(g.empty)
	}
}

// wave picks the tunnels to be ended next, when so many waves are left, and marks them.
func (g *Goroutines) wave(left int) []*tunnel {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left == 1 && g.phase == open {
		g.phase = ending
	}
	var live []*tunnel
	for t := range g.tunnels {
		if !t.told {
			live = append(live, t)
		}
	}
	live = live[:(len(live)+left-1)/left]
	for _, t := range live {
		t.told = true
	}
	return live
}

// rest returns all tunnels that are left, and lets no new ones in.
func (g *Goroutines) rest() []*tunnel {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phase = closed
	all := make([]*tunnel, 0, len(g.tunnels))
	for t := range g.tunnels {
		all = append(all, t)
	}
	return all
}

func (g *Goroutines) remove(t *tunnel) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.tunnels, t)
	g.closeIfEmpty()
}
