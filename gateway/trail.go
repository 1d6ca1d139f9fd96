package gateway

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

const (
	// trailSlots is how many sessions of a cluster are remembered at most, a power of two. One takes another's place where their
	// hashes want it, so that memory is fixed and a session that is in use comes back with its next request.
	trailSlots = 1 << 13
	// trailLength is how many requests are remembered of each.
	trailLength = 8
	// longestSID is how much of a sid is kept, to find it by its beginning. Those that engine.io makes have 20 characters.
	longestSID = 32
	// tunnelCauses is what causes of tunnels are counted from where they stand beside those of answers.
	tunnelCauses = 128
)

// trail remembers the last requests of sessions, and how sessions ended. Its methods may be called concurrently, wait for a few
// words at most, and allocate nothing but for those who read.
type trail struct {
	seed  maphash.Seed
	slots [trailSlots]place
}

// place is where one session is remembered.
type place struct {
	mu sync.Mutex
	footprint
}

// footprint is what is remembered of one session.
type footprint struct {
	hash    uint64
	sid     [longestSID]byte
	length  uint8 // of the sid; 0: none is remembered
	tunnels int8
	node    string
	ttl     time.Duration // of its binding
	made    int64         // in ms since 1970, as all that follow; 0 where another replica did, or before this was remembered
	tunnel  int64         // when the last one began
	ended   int64
	end     string
	moved   *moved // nil: it was not
	count   uint32 // of requests
	last    [trailLength]step
}

// moved is the last move of a session here.
type moved struct {
	at       int64
	from, to string
}

// step is a request that has been answered, or a tunnel that has ended.
type step struct {
	at     int64
	took   uint32 // ms
	status uint16
	kind   request.Kind // Kinds: a tunnel
	cause  uint8        // 0: none; engineio.Cause + 1; tunnelCauses + tunnel.Cause
}

func newTrail() *trail { return &trail{seed: maphash.MakeSeed()} }

// lock returns where sid is remembered, with its mutex locked. Where it is not, it returns nil unless it may begin now.
func (t *trail) lock(sid string, begin bool) *place {
	hash := maphash.String(t.seed, sid)
	p := &t.slots[hash%trailSlots]
	p.mu.Lock()
	if p.length > 0 && p.hash == hash {
		return p
	}
	if !begin {
		p.mu.Unlock()
		return nil
	}
	p.footprint = footprint{hash: hash}
	p.length = uint8(copy(p.sid[:], sid))
	return p
}

// read returns what is remembered of sid.
func (t *trail) read(sid string) (footprint, bool) {
	p := t.lock(sid, false)
	if p == nil {
		return footprint{}, false
	}
	defer p.mu.Unlock()
	return p.footprint, true
}

// end notes why a session has ended.
func (t *trail) end(sid, why string) {
	now := time.Now().UnixMilli()
	p := t.lock(sid, true)
	p.ended, p.end = now, why
	p.mu.Unlock()
}

// move notes that a session has gone on at another node.
func (t *trail) move(sid, from, to string) {
	p := t.lock(sid, true)
	p.moved, p.node = &moved{time.Now().UnixMilli(), from, to}, to
	p.mu.Unlock()
}

func (p *footprint) add(s step) {
	p.last[p.count%trailLength] = s
	p.count++
}

// remember notes the request in hand, if it is of a session. A sid that nobody knows is not remembered, so that clients that guess
// push nothing out.
func (c *clientConn) remember() {
	x := c.x
	sid := cmp.Or(x.Query.SID, x.Open.SID)
	if sid == "" || x.route == nil || !x.Kind.SocketIO() {
		return
	}
	now := c.d.loop.Clock()
	s := step{at: now.UnixMilli(), took: millis(now.Sub(x.Began)), status: uint16(cmp.Or(x.status, statusLeft)), kind: x.Kind}
	if x.Refused {
		s.cause = uint8(x.Cause) + 1
	}
	p := x.route.trail.lock(sid, x.Node != nil || x.Binding.Node != "")
	if p == nil {
		return
	}
	defer p.mu.Unlock()
	p.add(s)
	if x.Node != nil {
		p.node = x.Node.Name
	}
	if p.ttl == 0 {
		p.ttl = x.Binding.TTL()
	}
	if x.Open.SID != "" {
		p.made, p.ttl = x.Began.UnixMilli(), x.NewBinding(x.Open).TTL()
	}
	if s.status == 101 {
		p.tunnels++
		p.tunnel = s.at
	}
}

func millis(d time.Duration) uint32 { return uint32(min(max(d.Milliseconds(), 0), 1<<32-1)) }

// endForgotten is why a session has ended that its node does not know.
const endForgotten = "its node did not know it any more"

// over ends a session here and notes why. It reports whether the session ended soon after it began.
func (x *exchange) over(sid, why string) (short bool) {
	lasted, counted := x.route.Cluster.Sessions.End(sid)
	x.route.trail.end(sid, why)
	return counted && lasted < shortLife
}

// trail notes the end of the tunnel.
func (h *home) trail(r tunnel.Result) {
	if h.sid == "" {
		return
	}
	now := time.Now()
	p := h.route.trail.lock(h.sid, true)
	defer p.mu.Unlock()
	p.add(step{at: now.UnixMilli(), took: millis(now.Sub(h.at)), kind: request.Kinds, cause: tunnelCauses + uint8(r.Cause)})
	p.tunnels, p.node = max(p.tunnels-1, 0), h.node.Name
	if p.tunnels == 0 && (h.direct || r.FromClient > probeBytes) {
		p.ended, p.end = now.UnixMilli(), tunnelEnds[r.Cause]
	}
}

// tunnelEnds are why a session ended with its tunnel.
var tunnelEnds = [...]string{
	tunnel.ClientClosed: "its client closed the WebSocket, or vanished",
	tunnel.NodeClosed:   "its node closed the WebSocket",
	tunnel.ClientIdle:   "nothing came from its client for too long",
	tunnel.Blocked:      "its client or its node took nothing for too long",
	tunnel.Shutdown:     "this replica was stopped",
	tunnel.Drained:      "its node was drained",
	tunnel.NodeSilent:   "its node did not answer any more",
	tunnel.Expired:      "the token that let it in has ended",
	tunnel.Failed:       "its WebSocket failed",
}

// Trail is what a Gateway remembers of a session: of the last ones that were in use, most.
type Trail struct {
	Node     string
	TTL      time.Duration // of its binding
	Made     time.Time     // zero: not here, or it is not remembered
	Tunnel   time.Time     // when its WebSocket here began; zero: it has none
	Ended    time.Time     // zero: its end was not seen here
	End      string        // why
	Requests []TrailRequest
}

// TrailRequest is a request that was answered, or a WebSocket that ended, of kind "websocket" and without a status, or the session's last move, of
// kind "move", which comes behind them all.
type TrailRequest struct {
	At     time.Time // when it ended
	Kind   string
	Status int
	Took   time.Duration
	Cause  string // why it was answered here, what ended the WebSocket, or between which nodes the session moved; else empty
}

// Trail returns what is remembered of a session of the cluster of that name.
func (g *Gateway) Trail(of, sid string) (Trail, bool) {
	for _, r := range g.topology.Load().all {
		if r.Cluster.Name != of {
			continue
		}
		if p, known := r.trail.read(sid); known {
			return p.trail(), true
		}
		if node, began, found := g.tunnels.Find(sid); found { // others have taken its place
			if i := slices.IndexFunc(r.Cluster.Nodes(), func(n *cluster.Node) bool { return n.Key() == node }); i >= 0 {
				return Trail{Node: r.Cluster.Nodes()[i].Name, Tunnel: began}, true
			}
		}
	}
	return Trail{}, false
}

// TrailsOf returns the sids that begin so of the sessions that are remembered, of all clusters.
func (g *Gateway) TrailsOf(beginning string) (sids []string) {
	for _, r := range g.topology.Load().all {
		for i := range r.trail.slots {
			s := &r.trail.slots[i]
			s.mu.Lock()
			if sid := s.sid[:s.length]; len(sid) < longestSID && strings.HasPrefix(string(sid), beginning) { // a longer one is not known whole
				sids = append(sids, string(sid))
			}
			s.mu.Unlock()
		}
	}
	return sids
}

func (p *footprint) trail() Trail {
	t := Trail{Node: p.node, TTL: p.ttl, Made: moment(p.made), Ended: moment(p.ended), End: p.end}
	if p.tunnels > 0 {
		t.Tunnel = moment(p.tunnel)
	}
	for i := range min(p.count, trailLength) {
		s := p.last[(p.count-min(p.count, trailLength)+i)%trailLength]
		r := TrailRequest{At: moment(s.at), Kind: "websocket", Status: int(s.status), Took: time.Duration(s.took) * time.Millisecond}
		if s.kind < request.Kinds {
			r.Kind = s.kind.String()
		}
		switch {
		case s.cause >= tunnelCauses:
			r.Cause = tunnel.Cause(s.cause - tunnelCauses).String()
		case s.cause > 0:
			r.Cause = engineio.Cause(s.cause - 1).String()
		}
		t.Requests = append(t.Requests, r)
	}
	if m := p.moved; m != nil {
		t.Requests = append(t.Requests, TrailRequest{At: moment(m.at), Kind: "move", Cause: m.from + "→" + m.to})
	}
	return t
}

// moment is a time of a footprint.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
