package cluster

import (
	"slices"
	"sync/atomic"
)

// End is how a session was carried when it ended.
type End uint8

// The ways to end.
const (
	EndPolling   End = iota // by a close packet, or with its node
	EndWebSocket            // with its WebSocket
	EndUnknown              // its binding expired: its client has vanished, or it went on as a WebSocket at another replica
	Ends
)

// String returns the end as a label of metrics.
func (e End) String() string { return [...]string{"polling", "websocket", "unknown"}[e] }

// LengthBounds are the seconds by which Lengths sorts sessions.
var LengthBounds = [...]int32{1, 10, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600}

// Lengths are sessions by how long they lasted, in whole seconds, from their handshake, or where another replica made it from their
// upgrade here: Counts[i] those of up to LengthBounds[i] and more than the one before, the last one the rest.
type Lengths struct {
	Counts [len(LengthBounds) + 1]uint64
	Sum    uint64
}

// lengths counts them. It may be used concurrently.
type lengths struct {
	counts [len(LengthBounds) + 1]atomic.Uint64
	sum    atomic.Uint64
}

func (l *lengths) add(seconds int32) {
	i, _ := slices.BinarySearch(LengthBounds[:], seconds)
	l.counts[i].Add(1)
	l.sum.Add(uint64(max(seconds, 0)))
}

// Lengths returns how long the sessions lasted that ended so.
func (s *Sessions) Lengths(e End) (all Lengths) {
	for i := range all.Counts {
		all.Counts[i] = s.lengths[e].counts[i].Load()
	}
	all.Sum = s.lengths[e].sum.Load()
	return all
}

// lasted counts a session that began in that second, and returns how many seconds that is ago.
func (s *Sessions) lasted(e End, began int32) int32 {
	seconds := s.now() - began
	s.lengths[e].add(seconds)
	return seconds
}
