package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// follower follows a session's packets through its tunnel: so that the session can go on at another node (see move), that its node gets none
// that would harm it, and that a node which stands still for a while does not lose it.
type follower struct {
	packet.Session
	d       *driver
	route   *route
	sid     string // "": it is not known
	listed  bool   // Sessions has it with its sid
	home    *home
	line    tunnel.Line
	request []byte   // of a direct connect, for another node
	key     [16]byte // that it has
	began   int64    // in ms since 1970
	learns  bool     // or has done so
	moves   bool     // the session can be moved, as far as its cluster is concerned
	move    *move    // under way; nil: none
	client  string   // its address
	watches []*watch
	gate    *packet.Gate // until the client is known; nil: it is

	beat   loop.Timer
	every  time.Duration // the client is pinged from here; 0: by its node
	pinged time.Duration // when it was last

	ordered atomic.Bool  // a move has been ordered that has not ended
	failed  atomic.Int32 // moves that have
}

// newFollower returns one for the request's tunnel; nil where its packets are not read, this is no session's, or the node has sent half a frame
// already: an unproven session cannot go on then.
func (x *exchange) newFollower(d *driver, h *home, sid string) *follower {
	if !x.ReadsFrames() || x.Query.Version == 0 {
		return nil
	}
	f := &follower{d: d, route: x.route, home: h, sid: sid, began: d.loop.Clock().UnixMilli(), client: strings.Clone(x.Origin().IP)}
	f.Guard(f, &d.scratch)
	if x.Query.Version == 4 && x.route.Heartbeat {
		if f.every = x.PingInterval(); f.every > 0 {
			f.Shield()
		}
	}
	if f.moves = x.Query.Version == 4 && x.route.Recovery != nil; f.moves {
		_, _ = rand.Read(f.key[:])
		d.out = x.AppendReconnect(d.out[:0], f.nonce())
		f.request = bytes.Clone(d.out)
	}
	if out := f.Session.Pass(packet.Node, bytes.Clone(x.Early)); len(out) < len(x.Early) {
		return nil // it has been sent already, half a frame's header
	}
	if x.Unproven {
		f.gate = packet.NewGate(x.Early)
	}
	if x.Kind == request.Upgrade {
		f.listed = true
		f.Upgrades()
	}
	return f
}

// nonce is the Sec-WebSocket-Key of the request (RFC 6455, 4.1).
func (f *follower) nonce() string { return base64.StdEncoding.EncodeToString(f.key[:]) }

// recovery is what the cluster's sessions are looked for in by its present settings.
func (f *follower) recovery() *recovery.Store {
	for _, r := range f.d.g.topology.Load().all {
		if r.Cluster == f.route.Cluster && r.Recovery != nil {
			return r.Recovery
		}
	}
	return f.route.Recovery
}

// Begin implements tunnel.Follower.
func (f *follower) Begin(l tunnel.Line) {
	f.line = l
	if f.every > 0 {
		f.beat.Init(f)
		first := f.every
		if f.Polls() {
			first = upgradedTime
		}
		f.beatWithin(first)
	}
}

// upgradedTime is how often is looked whether a client has upgraded. It is pinged then, since nobody knows here when its node did so.
const upgradedTime = time.Second

func (f *follower) beatWithin(d time.Duration) { f.d.loop.SetTimer(&f.beat, f.d.loop.Now()+d) }

// Expire implements loop.Expirer: the client is to be pinged.
func (f *follower) Expire() {
	if f.Polls() {
		f.beatWithin(upgradedTime)
		return
	}
	f.pinged = f.d.loop.Now()
	f.beatWithin(f.every)
	f.line.Send(0, f.Ping())
}

// Fail implements loop.Failer.
func (f *follower) Fail() { f.line.EndSoon(tunnel.Failed) }

// Moves implements tunnel.Follower.
func (f *follower) Moves() bool { return f.moves }

// Inspect implements packet.Inspector.
func (f *follower) Inspect(found *engineio.Payload) bool {
	broken, refused := f.route.Judge(found)
	if broken != 0 && (refused || found.Seen()) {
		f.d.g.tellHarm(f.route, harm{broken, found.Attachments, f.client, "packet"})
	}
	if refused {
		f.line.EndSoon(tunnel.Refused)
	}
	return !refused
}

// Pass implements tunnel.Follower.
func (f *follower) Pass(side int, b []byte) []byte {
	if f.gate != nil && side == int(packet.Client) {
		b = f.admit(b)
	}
	out := f.Session.Pass(packet.Side(side), b)
	if f.gate != nil && side == int(packet.Node) {
		out = f.gate.Follow(out)
		f.dropGate()
	}
	if f.Owes() {
		f.line.Send(1, f.Answer(newMask()))
	}
	if f.every > 0 && f.TakePong() && f.pinged > 0 {
		f.route.metrics.pong(f.d.loop.Now() - f.pinged)
	}
	if f.move != nil {
		f.d.loop.Yield(&f.move.Timer) // when these are on their way
	}
	if f.moves && f.Upgraded() && !f.learns {
		f.learn()
	}
	return out
}

// learn finds out to which namespaces the session has connected by polling, maybe through another replica.
func (f *follower) learn() {
	f.learns = true
	var found map[string]string
	var err error
	f.d.work(func(ctx context.Context) {
		if found, err = f.recovery().Notes(ctx, f.sid); err == nil {
			_ = f.recovery().ForgetNotes(ctx, f.sid)
		}
	}, func() {
		if err == nil {
			f.Learn(found)
		}
	})
}

// polled returns what notes what an exchange by polling says of the session's namespaces, or forgets that with its end, nil where it says nothing.
// answer is the beginning of its answer, which is whole where it is short.
func (x *exchange) polled(answer []byte) func() {
	if x.route.Recovery == nil || x.Query.Version != 4 || x.Resp.Status != 200 {
		return nil
	}
	sid := x.Query.SID
	if x.route.ended.Has(sid) {
		return func() { _ = x.route.Recovery.ForgetNotes(context.Background(), sid) }
	}
	notes := map[string]string{}
	note := func(name, text string) { notes[name] = text }
	switch {
	case x.Kind == request.Post && x.Upload.Complete:
		packet.Polled(packet.Client, x.Upload.Body, note)
	case x.Kind == request.Poll && x.Body.Done():
		if packet.Polled(packet.Node, answer, note); len(notes) > 0 {
			notes[recovery.Began] = strconv.FormatInt(time.Now().UnixMilli(), 10)
		}
	}
	if len(notes) == 0 {
		return nil
	}
	return func() { _ = x.route.Recovery.Note(context.Background(), sid, notes) } // then the session does not move
}

// NodeEnded implements tunnel.Follower. A node that ends a WebSocket without a Close has crashed, or something between has cut it.
func (f *follower) NodeEnded() bool {
	if f.move != nil {
		return f.move.nodeEnded()
	}
	if !f.survives() {
		return false
	}
	f.newMove(true).pick()
	return f.move != nil
}

// survives reports whether the session can go on without the node that it has just lost.
func (f *follower) survives() bool {
	return f.moves && !f.d.closed && f.Recovers() && !f.Closed(packet.Node) && !f.Closed(packet.Client) && !f.line.ClientEnded() && f.Left()
}

// ended lets go of what the tunnel has ended with.
func (f *follower) ended() {
	f.d.loop.StopTimer(&f.beat)
	for len(f.watches) > 0 {
		f.unwatch(f.watches[0])
	}
	if f.move != nil {
		f.move.end(moveLeft)
	}
}
