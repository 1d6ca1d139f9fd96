package tunnel

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

// roster holds the tunnels of an engine, from Adopt until their Owner's Ended has returned, in a list for each node.
type roster struct {
	mu    sync.Mutex
	nodes map[any]*residents
	n     int // of tunnels
	phase phase
	empty chan struct{} // made by the first shutdown, closed when no tunnel is left
}

// residents are the tunnels to one node.
type residents struct {
	node  any
	first *tunnel
	n     int
}

// place is a tunnel's in its list. The roster's mu guards it.
type place struct {
	of         *residents
	prev, next *tunnel
}

// phase is how far the shutdown has come.
type phase uint8

const (
	open   phase = iota // tunnels live
	ending              // the last wave is out: new tunnels are told to end as well
	closed              // nothing is left, or what was left has been cut: new tunnels are refused
)

func newRoster() *roster { return &roster{nodes: map[any]*residents{}} }

// add enters t, unless the phase it returns is closed.
func (r *roster) add(t *tunnel, node any) phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase == closed {
		return closed
	}
	r.n++
	r.list(t, node)
	return r.phase
}

// remove takes t out, if it was entered.
func (r *roster) remove(t *tunnel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.place.of != nil {
		r.n--
		r.unlist(t)
	}
	r.closeIfEmpty()
}

// rehome notes that t's node is another one.
func (r *roster) rehome(t *tunnel, node any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.place.of != nil {
		r.unlist(t)
		r.list(t, node)
	}
}

// list enters t with its node. It needs mu, as unlist does.
func (r *roster) list(t *tunnel, node any) {
	of := r.nodes[node]
	if of == nil {
		of = &residents{node: node}
		r.nodes[node] = of
	}
	p := &t.place
	p.of, p.prev, p.next = of, nil, of.first
	if p.next != nil {
		p.next.place.prev = t
	}
	of.first = t
	of.n++
}

func (r *roster) unlist(t *tunnel) {
	p := &t.place
	of := p.of
	if p.prev != nil {
		p.prev.place.next = p.next
	} else {
		of.first = p.next
	}
	if p.next != nil {
		p.next.place.prev = p.prev
	}
	p.of, p.prev, p.next = nil, nil, nil
	if of.n--; of.n == 0 {
		delete(r.nodes, of.node)
	}
}

// all yields every tunnel. It needs mu.
func (r *roster) all() iter.Seq[*tunnel] {
	return func(yield func(*tunnel) bool) {
		for _, of := range r.nodes {
			for t := of.first; t != nil; t = t.place.next {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// of yields the tunnels to a node. It needs mu.
func (r *roster) of(node any) iter.Seq[*tunnel] {
	return func(yield func(*tunnel) bool) {
		of := r.nodes[node]
		if of == nil {
			return
		}
		for t := of.first; t != nil && yield(t); t = t.place.next {
		}
	}
}

// Followers returns those of a node's tunnels that EndSome leaves to them and that have not been told to end.
func (r *roster) Followers(node any) (all []Follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.of(node) {
		if t.follow != nil && t.follow.Moves() && !t.told {
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

// Len returns the number of tunnels whose Owner's Ended has not returned yet.
func (r *roster) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// LenOf returns the number of tunnels to a node whose Owner's Ended has not returned yet.
func (r *roster) LenOf(node any) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if of := r.nodes[node]; of != nil {
		return of.n
	}
	return 0
}

// Find looks for a tunnel by its ID among all that there are, and returns its node and when it began.
func (r *roster) Find(id string) (node any, began time.Time, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.find(id); t != nil {
		return t.place.of.node, time.UnixMilli(t.began), true
	}
	return nil, time.Time{}, false
}

// find needs mu.
func (r *roster) find(id string) *tunnel {
	for t := range r.all() {
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
	for t := range r.of(node) {
		if len(some) == n {
			break
		}
		if !t.told && (t.follow == nil || !t.follow.Moves()) {
			t.told = true
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
// when no tunnel is left and each Ended has returned: nil if all ended in their wave, else the cause of ctx's end. The engine
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
	if r.empty == nil || r.n > 0 {
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
	var now []*tunnel
	i := 0
	for t := range r.all() { // those of one node stand together, and shall not end together
		if t.told {
			continue
		}
		if i%left == 0 {
			t.told = true
			now = append(now, t)
		}
		i++
	}
	return now
}

// rest returns all tunnels that are left, and lets no new ones in.
func (r *roster) rest() []*tunnel {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = closed
	return slices.AppendSeq(make([]*tunnel, 0, r.n), r.all())
}
