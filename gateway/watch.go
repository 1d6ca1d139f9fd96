package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/packet"
)

// Packet is one that has passed on a session's WebSocket.
type Packet struct {
	packet.Seen
	At      time.Time
	Took    time.Duration // of an acknowledgement, since what it answers; 0: that is not known
	Payload string        // its beginning, where the route shows payloads
	Missed  int           // that came before it, and that the reader was too slow for
}

const (
	// packetsBehind is how many packets a reader may be behind before it misses some.
	packetsBehind = 256
	// longestPayload is how much of a payload is shown.
	longestPayload = 200
	// mostTimed is how many acknowledgements are timed at once.
	mostTimed = 256
)

// ErrUnread says that the packets of the session's cluster are not read.
var ErrUnread = errors.New("packets in WebSockets are not read in the session's cluster: its sessions.move, sessions.heartbeat or guard.frames has it so")

// watch is somebody who looks at a session's packets.
type watch struct {
	to     chan Packet
	missed int
	asked  map[asked]time.Time
}

// asked is what an acknowledgement answers.
type asked struct {
	by        packet.Side
	namespace string
	id        uint64
}

// WatchPackets returns the packets that pass on the WebSocket that this replica carries for a session, until ctx is done or the session ends: then
// the channel is closed. What passes by polling is not seen.
func (g *Gateway) WatchPackets(ctx context.Context, sid string) (<-chan Packet, error) {
	found, known := g.tunnels.Follower(sid)
	f, follows := found.(*follower)
	switch {
	case !known:
		return nil, ErrNoTunnel
	case !follows:
		return nil, ErrUnread
	}
	w := &watch{to: make(chan Packet, packetsBehind), asked: map[asked]time.Time{}}
	looks := make(chan struct{})
	f.d.loop.Send(task(func() {
		defer close(looks)
		if f.line.Ended() {
			close(w.to)
			return
		}
		f.watches = append(f.watches, w)
		f.Watch(f.seen)
	}))
	context.AfterFunc(ctx, func() { f.d.loop.Send(task(func() { f.unwatch(w) })) })
	select {
	case <-looks:
		return w.to, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// seen tells those who look of a packet.
func (f *follower) seen(v packet.Seen) {
	now := time.Now()
	p := Packet{Seen: v, At: now}
	if p.Data = nil; f.route.ShowPayloads {
		p.Payload = string(v.Data[:min(len(v.Data), longestPayload)])
	}
	for _, w := range f.watches {
		w.tell(p, now)
	}
}

func (w *watch) tell(p Packet, now time.Time) {
	if p.HasID {
		if strings.HasSuffix(p.Type, "event") {
			if len(w.asked) < mostTimed {
				w.asked[asked{p.From, p.Namespace, p.ID}] = now
			}
		} else if answers := (asked{1 - p.From, p.Namespace, p.ID}); !w.asked[answers].IsZero() {
			p.Took = now.Sub(w.asked[answers])
			delete(w.asked, answers)
		}
	}
	p.Missed = w.missed
	select {
	case w.to <- p:
		w.missed = 0
	default:
		w.missed++
	}
}

// unwatch ends what somebody sees.
func (f *follower) unwatch(w *watch) {
	i := slices.Index(f.watches, w)
	if i < 0 {
		return
	}
	close(w.to)
	if f.watches = slices.Delete(f.watches, i, i+1); len(f.watches) == 0 {
		f.Watch(nil)
	}
}
