package packet

import "slices"

// ringSize is how many of the last events are remembered: those that a node sends again because their offset is behind the one that it was
// told. At ten a second that is three seconds of them.
const ringSize = 32

// event is one that the client has got: by its offset, or by its text where it has none. Nodes send those again with an offset, which they
// sent without one since they ask for an acknowledgement or are volatile.
type event struct {
	offset Offset
	text   uint64 // 0: it has an offset
}

// ring remembers the last events that the client has got.
type ring struct {
	events []event // up to ringSize; then the oldest stands at next
	next   int
	newest Offset // the greatest of all
	pushed Offset // the greatest of those that are not remembered any more
}

func (r *ring) add(e event) {
	if r.newest.Before(e.offset) {
		r.newest = e.offset
	}
	if len(r.events) < ringSize {
		r.events = append(r.events, e)
		return
	}
	if old := r.events[r.next].offset; r.pushed.Before(old) {
		r.pushed = old
	}
	r.events[r.next] = e
	r.next = (r.next + 1) % ringSize
}

// keep forgets the events whose offsets stand in no stream: what a client says at the end of an event that has none, as a volatile one, is
// taken for one. It reports false where it is not known any more what the client has got.
func (r *ring) keep(stands func(Offset) bool) bool {
	ordered := append(slices.Clone(r.events[r.next:]), r.events[:r.next]...) // the oldest first
	r.next, r.newest = 0, Offset{}
	r.events = slices.DeleteFunc(ordered, func(e event) bool { return e.text == 0 && !stands(e.offset) })
	first := Offset{}
	for _, e := range r.events {
		if e.text != 0 {
			continue
		}
		if first.IsZero() || e.offset.Before(first) {
			first = e.offset
		}
		if r.newest.Before(e.offset) {
			r.newest = e.offset
		}
	}
	if r.pushed.IsZero() || stands(r.pushed) {
		return !r.newest.IsZero() || r.pushed.IsZero()
	}
	r.pushed = first // all before it have come, too
	return !first.IsZero()
}

// has reports whether the client has got the event with that offset.
func (r *ring) has(o Offset) bool { return slices.Contains(r.events, event{offset: o}) }

// Received is what a client had got of its nodes' stream at one time. Whoever says something to the client may have made some of the offsets up: see Keep.
type Received struct{ ring }

// Received returns what the client has got.
func (s *Session) Received() Received {
	r := s.got
	r.events = slices.Clone(r.events)
	return Received{r}
}

// Newest returns the greatest offset of the events, and Oldest the one behind which all of them are remembered; zero: all are since the
// beginning.
func (r Received) Newest() Offset { return r.newest }

// Oldest: see Newest.
func (r Received) Oldest() Offset { return r.pushed }

// Got reports whether an event with that offset is among them.
func (r Received) Got(o Offset) bool { return r.has(o) }

// Offsets returns those that the others go by.
func (r Received) Offsets() (all []Offset) {
	if !r.pushed.IsZero() {
		all = append(all, r.pushed)
	}
	for _, e := range r.events {
		if e.text == 0 {
			all = append(all, e.offset)
		}
	}
	return all
}

// Keep forgets the events whose offsets stand in no stream, and reports false where it is not known any more what the client has got.
func (r *Received) Keep(stands func(Offset) bool) bool { return r.keep(stands) }
