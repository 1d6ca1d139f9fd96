package tunnel

import (
	"context"
	"sync"
	"time"
)

// roster holds the tunnels of an engine, from Start until their Done has returned.
type roster struct {
	mu      sync.Mutex
	tunnels map[member]bool // whether a wave has picked it
	phase   phase
	empty   chan struct{} // made by the first Shutdown, closed when no tunnel is left
}

// member is a tunnel as its engine's shutdown sees it. Both methods return at once and may be called at any time.
type member interface {
	stop()       // ends the direction to the client, as if the node had closed
	cut(c Cause) // closes both connections
}

// phase is how far an engine's shutdown has come.
type phase uint8

const (
	open   phase = iota // tunnels live
	ending              // the last wave is out: new tunnels are told to end as well
	closed              // nothing is left, or what was left has been cut: new tunnels are refused
)

func newRoster() *roster { return &roster{tunnels: make(map[member]bool)} }

// add enters m, unless the phase it returns is closed.
func (r *roster) add(m member) phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase != closed {
		r.tunnels[m] = false
	}
	return r.phase
}

func (r *roster) remove(m member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tunnels, m)
	r.closeIfEmpty()
}

// Len returns the number of tunnels whose Done has not returned yet.
func (r *roster) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tunnels)
}

// Shutdown ends all tunnels in waves of equal size that are spread over the given time, in no particular order. A tunnel ends
// by a FIN to its client, behind the bytes that are already on their way; what the client still sends reaches the node, for
// Linger at most. When ctx ends, what is left is closed at once. Shutdown returns when no tunnel is left and each Done has
// returned: nil if all ended in their wave, else the cause of ctx's end.
func (r *roster) Shutdown(ctx context.Context, waves int, over time.Duration) error {
	waves = max(waves, 1)
	empty := r.emptied()
	for left := waves; left > 0; left-- {
		for _, t := range r.wave(left) {
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
			for _, t := range r.rest() {
				t.cut(Shutdown)
			}
			<-empty
			return context.Cause(ctx)
		}
	}
	return nil
}

// emptied returns the channel that is closed when no tunnel is left.
func (r *roster) emptied() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.empty == nil {
		r.empty = make(chan struct{})
		r.closeIfEmpty()
	}
	return r.empty
}

// closeIfEmpty ends the shutdown, if there is one and no tunnel is left. Its caller holds mu.
func (r *roster) closeIfEmpty() {
	if r.empty == nil || len(r.tunnels) > 0 {
		return
	}
	r.phase = closed
	select {
	case <-r.empty:
	default:
		close(r.empty)
	}
}

// wave picks the tunnels to be ended next, when so many waves are left, and marks them.
func (r *roster) wave(left int) []member {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left == 1 && r.phase == open {
		r.phase = ending
	}
	var live []member
	for m, told := range r.tunnels {
		if !told {
			live = append(live, m)
		}
	}
	live = live[:(len(live)+left-1)/left]
	for _, m := range live {
		r.tunnels[m] = true
	}
	return live
}

// rest returns all tunnels that are left, and lets no new ones in.
func (r *roster) rest() []member {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = closed
	all := make([]member, 0, len(r.tunnels))
	for t := range r.tunnels {
		all = append(all, t)
	}
	return all
}
