package tunnel

import (
	"context"
	"sync"
	"time"
)

// roster holds the tunnels of an engine, from Adopt until their Done has returned.
type roster struct {
	mu    sync.Mutex
	all   map[*tunnel]bool // whether it has been told to end
	nodes map[any]map[*tunnel]struct{}
	phase phase
	empty chan struct{} // made by the first shutdown, closed when no tunnel is left
}

// phase is how far the shutdown has come.
type phase uint8

const (
	open   phase = iota // tunnels live
	ending              // the last wave is out: new tunnels are told to end as well
	closed              // nothing is left, or what was left has been cut: new tunnels are refused
)

func newRoster() *roster {
	return &roster{all: map[*tunnel]bool{}, nodes: map[any]map[*tunnel]struct{}{}}
}

// add enters t, unless the phase it returns is closed.
func (r *roster) add(t *tunnel) phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase == closed {
		return closed
	}
	r.all[t] = false
	r.list(t)
	return r.phase
}

func (r *roster) remove(t *tunnel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, t)
	r.unlist(t)
	r.closeIfEmpty()
}

// rehome notes that t's node is another one.
func (r *roster) rehome(t *tunnel, node any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unlist(t)
	t.node = node
	r.list(t)
}

// list enters t with its node. It needs mu, as unlist does.
func (r *roster) list(t *tunnel) {
	of := r.nodes[t.node]
	if of == nil {
		of = map[*tunnel]struct{}{}
		r.nodes[t.node] = of
	}
	of[t] = struct{}{}
}

func (r *roster) unlist(t *tunnel) {
	if of := r.nodes[t.node]; of != nil {
		if delete(of, t); len(of) == 0 {
			delete(r.nodes, t.node)
		}
	}
}

// Followers returns those of a node's tunnels that EndSome leaves to them and that have not been told to end.
func (r *roster) Followers(node any) (all []Follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.nodes[node] {
		if t.follow != nil && t.follow.Moves() && !r.all[t] {
			all = append(all, t.follow)
		}
	}
	return all
}

// Follower looks for a tunnel by its ID, and returns its Follower, nil where it has none.
func (r *roster) Follower(id string) (f Follower, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.find(id); t != nil {
		return t.follow, true
	}
	return nil, false
}

// Len returns the number of tunnels whose Done has not returned yet.
func (r *roster) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// LenOf returns the number of tunnels to a node whose Done has not returned yet.
func (r *roster) LenOf(node any) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.nodes[node])
}

// Find looks for a tunnel by its ID among all that there are, and returns its node and when it began.
func (r *roster) Find(id string) (node any, began time.Time, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.find(id); t != nil {
		return t.node, time.UnixMilli(t.began), true
	}
	return nil, time.Time{}, false
}

// find needs mu.
func (r *roster) find(id string) *tunnel {
	for t := range r.all {
		if t.id == id && id != "" {
			return t
		}
	}
	return nil
}

// EndSome ends up to n tunnels to a node that are not left to a Follower as Shutdown does, in no particular order, and returns how many it has told to
// end. It does not wait for them.
func (r *roster) EndSome(node any, n int, why Cause) int {
	r.mu.Lock()
	var some []*tunnel
	for t := range r.nodes[node] {
		if len(some) == n {
			break
		}
		if !r.all[t] && (t.follow == nil || !t.follow.Moves()) {
			r.all[t] = true
			some = append(some, t)
		}
	}
	r.mu.Unlock()
	for _, t := range some {
		t.stop(why)
	}
	return len(some)
}

// Shutdown ends all tunnels in waves of equal size that are spread over the given time, in no particular order. A tunnel ends
// by a FIN to its client, behind the bytes that are already on their way; what the client still sends reaches the node, for
// Linger at most. Tunnels that come after the last wave end at once. When ctx ends, what is left is closed. Shutdown returns
// when no tunnel is left and each Done has returned: nil if all ended in their wave, else the cause of ctx's end. The engine
// takes no tunnel any more then.
func (r *roster) Shutdown(ctx context.Context, waves int, over time.Duration) error {
	waves = max(waves, 1)
	empty := r.emptied()
	for left := waves; left > 0; left-- {
		for _, t := range r.wave(left) {
			t.stop(Shutdown)
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
				t.cut()
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
	if r.empty == nil || len(r.all) > 0 {
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
func (r *roster) wave(left int) []*tunnel {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left == 1 && r.phase == open {
		r.phase = ending
	}
	var live []*tunnel
	for t, told := range r.all {
		if !told {
			live = append(live, t)
		}
	}
	live = live[:(len(live)+left-1)/left]
	for _, t := range live {
		r.all[t] = true
	}
	return live
}

// rest returns all tunnels that are left, and lets no new ones in.
func (r *roster) rest() []*tunnel {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = closed
	all := make([]*tunnel, 0, len(r.all))
	for t := range r.all {
		all = append(all, t)
	}
	return all
}
