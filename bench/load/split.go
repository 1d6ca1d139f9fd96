//go:build linux

package load

import "time"

// splitPause is what lies between the two segments of a request. A proxy that is awake has read the first by then: the reads
// that "bench -syscalls" counts tell how often.
const splitPause = time.Millisecond

// half is a request of which the second segment is to be sent.
type half struct {
	slot, turn int32
	due        int64
}

// firstSegment returns what an operation of c sends at once: all of its request, or the first of two segments.
func (r *runner) firstSegment(c *conn) []byte {
	if r.share += r.job.Split; r.share < 1 {
		return c.ask
	}
	r.share--
	cut := len(c.ask) / 2
	if r.job.Kind == Post {
		cut = len(c.ask) - r.job.Size
	}
	c.rest = c.ask[cut:]
	r.halves = append(r.halves, half{c.slot, c.turn, r.now() + int64(splitPause)})
	return c.ask[:cut]
}

// untilHalf returns how long to wait if not for longer than limit.
func (r *runner) untilHalf(limit time.Duration) time.Duration {
	if len(r.halves) == 0 {
		return limit
	}
	return max(0, min(limit, time.Duration(r.halves[0].due-r.now())))
}

// sendHalves sends the second segments that are due.
func (r *runner) sendHalves() {
	now, sent := r.now(), 0
	for ; sent < len(r.halves) && r.halves[sent].due <= now; sent++ {
		h := r.halves[sent]
		c := &r.conns[h.slot]
		if c.turn != h.turn || len(c.rest) == 0 {
			continue
		}
		b := c.rest
		c.rest = nil
		if len(c.out) > 0 { // not all of the first has gone
			c.out = c.ask[len(c.ask)-len(b)-len(c.out):]
		} else if err := c.send(b); err != nil {
			r.fail(c, err)
		}
	}
	if sent > 0 {
		r.halves = append(r.halves[:0], r.halves[sent:]...)
	}
}
