package tunnel

import (
	"context"
	"sync"
	"time"
)

// roster holds the tunnels of an engine, from Adopt until their Done has returned.
type roster struct {
	mu    sync.Mutex
	all   *group
	nodes map[any]*group // of those that have tunnels or are shut down
}

// group is tunnels that can be shut down together. The roster's mu guards it.
type group struct {
	tunnels map[*tunnel]bool // whether a wave has picked it
	phase   phase
	empty   chan struct{} // made by the first shutdown, closed when no tunnel is left
	sweeps  int           // shutdowns that have not returned
}

// phase is how far a group's shutdown has come.
type phase uint8

const (
	open   phase = iota // tunnels live
	ending              // the last wave is out: new tunnels are told to end as well
	closed              // nothing is left, or what was left has been cut: new tunnels are refused
)

func newGroup() *group { return &group{tunnels: make(map[*tunnel]bool)} }

func newRoster() *roster { return &roster{all: newGroup(), nodes: make(map[any]*group)} }

// add enters t, unless the phase it returns is closed.
func (r *roster) add(t *tunnel) phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.of(t.node)
	p := max(r.all.phase, n.phase)
	if p != closed {
		r.all.tunnels[t] = false
		n.tunnels[t] = false
	}
	r.tidy(t.node)
	return p
}

func (r *roster) remove(t *tunnel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range [...]*group{r.all, r.of(t.node)} {
		delete(g.tunnels, t)
		g.closeIfEmpty()
	}
	r.tidy(t.node)
}

// of returns the group of a node. Its caller holds mu, and calls tidy in the end.
func (r *roster) of(node any) *group {
	g := r.nodes[node]
	if g == nil {
		g = newGroup()
		r.nodes[node] = g
	}
	return g
}

// tidy forgets the group of a node if nobody needs it. Its caller holds mu.
func (r *roster) tidy(node any) {
	if g := r.nodes[node]; len(g.tunnels) == 0 && g.sweeps == 0 {
		delete(r.nodes, node)
	}
}

// Len returns the number of tunnels whose Done has not returned yet.
func (r *roster) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all.tunnels)
}

// LenOf returns the number of tunnels to a node whose Done has not returned yet.
func (r *roster) LenOf(node any) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.nodes[node]; g != nil {
		return len(g.tunnels)
	}
	return 0
}

// Shutdown ends all tunnels in waves of equal size that are spread over the given time, in no particular order. A tunnel ends
// by a FIN to its client, behind the bytes that are already on their way; what the client still sends reaches the node, for
// Linger at most. Tunnels that come after the last wave end at once. When ctx ends, what is left is closed. Shutdown returns
// when no tunnel is left and each Done has returned: nil if all ended in their wave, else the cause of ctx's end. The engine
// takes no tunnel any more then.
func (r *roster) Shutdown(ctx context.Context, waves int, over time.Duration) error {
	return r.sweep(ctx, r.all, waves, over)
}

// ShutdownNode is Shutdown for the tunnels to one node, to which there may be tunnels again when it has returned.
func (r *roster) ShutdownNode(ctx context.Context, node any, waves int, over time.Duration) error {
	r.mu.Lock()
	g := r.of(node)
	g.sweeps++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		g.sweeps--
		r.tidy(node) // the next tunnel finds a new group
	}()
	return r.sweep(ctx, g, waves, over)
}

func (r *roster) sweep(ctx context.Context, g *group, waves int, over time.Duration) error {
	waves = max(waves, 1)
	empty := r.emptied(g)
	for left := waves; left > 0; left-- {
		for _, t := range r.wave(g, left) {
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
			for _, t := range r.rest(g) {
				t.cut()
			}
			<-empty
			return context.Cause(ctx)
		}
	}
	return nil
}

// emptied returns the channel that is closed when no tunnel is left.
func (r *roster) emptied(g *group) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.empty == nil {
		g.empty = make(chan struct{})
		g.closeIfEmpty()
	}
	return g.empty
}

// closeIfEmpty ends the shutdown, if there is one and no tunnel is left. Its caller holds mu.
func (g *group) closeIfEmpty() {
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
func (r *roster) wave(g *group, left int) []*tunnel {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left == 1 && g.phase == open {
		g.phase = ending
	}
	var live []*tunnel
	for t, told := range g.tunnels {
		if !told {
			live = append(live, t)
		}
	}
	live = live[:(len(live)+left-1)/left]
	for _, t := range live {
		g.tunnels[t] = true
	}
	return live
}

// rest returns all tunnels that are left, and lets no new ones in.
func (r *roster) rest(g *group) []*tunnel {
	r.mu.Lock()
	defer r.mu.Unlock()
	g.phase = closed
	all := make([]*tunnel, 0, len(g.tunnels))
	for t := range g.tunnels {
		all = append(all, t)
	}
	return all
}
