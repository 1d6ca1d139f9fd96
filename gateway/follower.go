package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// home is where the session of a tunnel lives.
type home struct {
	node  *cluster.Node
	began int32 // for Sessions.Disconnected
}

// follower follows a session's packets through its tunnel, so that the session can go on at another node: see move.
type follower struct {
	packet.Session
	d       *driver
	route   *route
	sid     string // in Sessions; "": it stands there without
	home    *home
	line    tunnel.Line
	request []byte // of a direct connect, for another node
	key     string // that it has
	began   time.Time
	learns  bool  // or has done so
	move    *move // under way; nil: none

	ordered atomic.Bool  // a move has been ordered that has not ended
	failed  atomic.Int32 // moves that have
}

// newFollower returns one for the request's tunnel; nil where the cluster's sessions are not moved, or this is none that could be.
func (x *exchange) newFollower(d *driver, h *home, sid string) *follower {
	if x.route.Recovery == nil || x.Query.Version != 4 {
		return nil
	}
	var key [16]byte
	_, _ = rand.Read(key[:])
	f := &follower{d: d, route: x.route, home: h, began: d.loop.Clock(), key: base64.StdEncoding.EncodeToString(key[:])}
	f.request = x.AppendReconnect(nil, f.key)
	if out := f.Session.Pass(packet.Node, bytes.Clone(x.Early)); len(out) < len(x.Early) {
		return nil // it has been sent already, half a frame's header
	}
	if x.Kind == request.Upgrade {
		f.sid = sid
		f.Upgrades()
	}
	return f
}

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
func (f *follower) Begin(l tunnel.Line) { f.line = l }

// Pass implements tunnel.Follower.
func (f *follower) Pass(side int, b []byte) []byte {
	out := f.Session.Pass(packet.Side(side), b)
	if f.move != nil {
		f.d.loop.Yield(&f.move.Timer) // when these are on their way
	}
	if f.Upgraded() && !f.learns {
		f.learn()
	}
	return out
}

// learn finds out to which namespaces the session has connected by polling, maybe through another replica.
func (f *follower) learn() {
	f.learns = true
	var found map[string]string
	var err error
	f.d.work(func(ctx context.Context) { found, err = f.recovery().Notes(ctx, f.sid) }, func() {
		if err == nil {
			f.Learn(found)
		}
	})
}

// polled returns what notes what an exchange by polling says of the session's namespaces, nil where it says nothing. answer is the beginning of
// its answer, which is whole where it is short.
func (x *exchange) polled(answer []byte) func() {
	if x.route.Recovery == nil || x.Query.Version != 4 || x.Resp.Status != 200 {
		return nil
	}
	notes := map[string]string{}
	note := func(name, text string) { notes[name] = text }
	switch {
	case x.Kind == request.Post && x.Upload.Complete:
		packet.Polled(packet.Client, x.Upload.Body, note)
	case x.Kind == request.Poll && x.Body.Done():
		packet.Polled(packet.Node, answer, note)
	}
	if len(notes) == 0 {
		return nil
	}
	sid := x.Query.SID
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
	return !f.d.closed && f.Recovers() && !f.Closed(packet.Node) && !f.Closed(packet.Client) && !f.line.ClientEnded() && f.Left()
}

// ended lets go of what the tunnel has ended with.
func (f *follower) ended() {
	if f.move != nil {
		f.move.end(moveLeft)
	}
}
