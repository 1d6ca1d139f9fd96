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
}

func (r *ring) add(e event) {
	if len(r.events) < ringSize {
		r.events = append(r.events, e)
		return
	}
	r.events[r.next] = e
	r.next = (r.next + 1) % ringSize
}

// newest returns the greatest offset that the ring holds, and oldest the smallest where others may have been pushed out.
func (r *ring) newest() (o Offset) {
	for _, e := range r.events {
		if e.text == 0 && o.Before(e.offset) {
			o = e.offset
		}
	}
	return o
}

func (r *ring) oldest() (o Offset) {
	if len(r.events) < ringSize {
		return o
	}
	for _, e := range r.events {
		if e.text == 0 && (o.IsZero() || e.offset.Before(o)) {
			o = e.offset
		}
	}
	return o
}

// has reports whether the client has got the event with that offset.
func (r *ring) has(o Offset) bool { return slices.Contains(r.events, event{offset: o}) }

// texts returns those without an offset.
func (r *ring) texts() (all []uint64) {
	for _, e := range r.events {
		if e.text != 0 {
			all = append(all, e.text)
		}
	}
	return all
}
