package adapter

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

const (
	dataEvery  = 2 * time.Second       // looks for changed data, and writes what an outage held up
	gatherTime = 20 * time.Millisecond // for changes of a socket that come together, as at its connection
	restoreMax = 100                   // reads of readMissed entries, as in Node: a stream may grow faster than it is read
	readMissed = 1000
)

var (
	errSession = errors.New("adapter: session is not known any more")
	errOffset  = errors.New("adapter: offset is not known any more")
)

// session is what a client finds again.
type session struct {
	sid   socket.SocketId
	pid   socket.PrivateSessionId
	rooms []socket.Room
	data  any
}

// encode writes a session as Node's adapter does: base64 of msgpack.
func (s session) encode() (string, error) {
	data, err := wire.Normalize(s.data)
	if err != nil {
		return "", err
	}
	if data == nil {
		data = wire.Object{}
	}
	b, err := wire.EncodeMsgpack(wire.Object{
		"sid": string(s.sid), "pid": string(s.pid), "rooms": wire.RoomList(s.rooms), "data": data,
	})
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

func readSession(text string) (session, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return session{}, err
	}
	o, err := wire.DecodeObject(b)
	if err != nil {
		return session{}, err
	}
	return session{
		sid: socket.SocketId(o.Text("sid")), pid: socket.PrivateSessionId(o.Text("pid")),
		rooms: wire.ReadRooms(o.List("rooms")), data: wire.AsArrived(o["data"]),
	}, nil
}

// sessions keeps the sessions of one namespace's clients in Redis.
type sessions struct {
	bus *streams

	mu      sync.Mutex
	dirty   map[socket.SocketId]struct{}
	kept    map[socket.SocketId]kept
	ended   map[socket.SocketId]struct{} // persisted for the last time, and still in their rooms
	writes  map[socket.PrivateSessionId]write
	wake    chan struct{}
	gone    chan struct{} // a client is gone, and may be back at another node at once
	returns map[socket.SocketId]*returning
}

// kept is the session of a connected client as Redis has it.
type kept struct {
	pid  socket.PrivateSessionId
	text string
	at   time.Time
}

// write is a session that Redis is to hold, or to forget if its text is empty.
type write struct {
	text string
	ttl  time.Duration
}

func newSessions(b *streams) *sessions {
	return &sessions{
		bus: b, dirty: map[socket.SocketId]struct{}{}, kept: map[socket.SocketId]kept{},
		ended: map[socket.SocketId]struct{}{}, writes: map[socket.PrivateSessionId]write{}, wake: make(chan struct{}, 1),
		gone:    make(chan struct{}, 1),
		returns: map[socket.SocketId]*returning{},
	}
}

// changed notes that a socket has joined or left a room.
func (k *sessions) changed(id socket.SocketId) {
	k.mu.Lock()
	k.dirty[id] = struct{}{}
	k.mu.Unlock()
	k.arrived(id)
	poke(k.wake)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes what has changed until the node is closed, and then what is left.
func (k *sessions) run() {
	t := time.NewTicker(dataEvery)
	defer t.Stop()
	for {
		select {
		case <-k.bus.node.ctx.Done():
			ctx, cancel := context.WithTimeout(context.Background(), farewell)
			k.store(ctx)
			cancel()
			return
		case <-t.C:
			k.look()
		case <-k.gone:
		case <-k.wake:
			g := time.NewTimer(gatherTime)
			select {
			case <-g.C:
			case <-k.gone:
			case <-k.bus.node.ctx.Done():
			}
			g.Stop()
			k.gather()
		}
		ctx, cancel := context.WithTimeout(k.bus.node.ctx, time.Second)
		k.store(ctx)
		cancel()
	}
}

// gather queues the sessions of the sockets whose rooms have changed.
func (k *sessions) gather() {
	k.mu.Lock()
	ids := k.dirty
	k.dirty = map[socket.SocketId]struct{}{}
	k.mu.Unlock()
	for id := range ids {
		if s, ok := k.bus.node.Nsp().Sockets().Load(id); ok {
			k.keep(s)
		}
	}
}

// look queues the sessions whose data has changed and those that Redis would soon forget.
func (k *sessions) look() {
	k.bus.node.Nsp().Sockets().Range(func(_ socket.SocketId, s *socket.Socket) bool {
		k.keep(s)
		return true
	})
}

func (k *sessions) keep(s *socket.Socket) {
	pid := library.PID(s)
	if pid == "" || !s.Connected() {
		return
	}
	text, err := session{s.Id(), pid, s.Rooms().Keys(), s.Data()}.encode()
	if k.note(s.Id(), kept{pid, text, time.Now()}) && err != nil {
		k.bus.node.lose(lostEncode, fmt.Errorf("session of %s: %w", s.Id(), err))
	}
}

// note queues the session of a connected client unless Redis has it already; without a text there is nothing to queue.
// It reports whether the session is news.
func (k *sessions) note(id socket.SocketId, now kept) bool {
	renew := k.bus.lasts / 3
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, ok := k.kept[id]; ok && sameSession(old.text, now.text) && (now.text == "" || time.Since(old.at) < renew) {
		return false
	}
	_, in := k.bus.node.Sids().Load(id)
	if _, ended := k.ended[id]; ended || !in {
		return false // it has left meanwhile
	}
	k.kept[id] = now
	if now.text != "" {
		// The client may be away for as long from a crash that comes just before the next renewal. What is written at the end always lives for a shorter
		// time than this has left, by which a gateway that moves the session knows that it was written.
		k.writes[now.pid] = write{now.text, k.bus.lasts + renew + 2*dataEvery}
	}
	return true
}

// sameSession compares without regard to the order of rooms and keys, which differs from one encoding to the next.
func sameSession(a, b string) bool {
	if a == b {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	x, errX := readSession(a)
	y, errY := readSession(b)
	if errX != nil || errY != nil || len(x.rooms) != len(y.rooms) || !reflect.DeepEqual(x.data, y.data) {
		return false
	}
	in := make(map[socket.Room]bool, len(x.rooms))
	for _, r := range x.rooms {
		in[r] = true
	}
	for _, r := range y.rooms {
		if !in[r] {
			return false
		}
	}
	return true
}

// persist keeps the session of a client that is gone for a while.
func (k *sessions) persist(s session) {
	text, err := s.encode()
	if err != nil {
		k.bus.node.lose(lostEncode, err)
		return
	}
	k.mu.Lock()
	delete(k.kept, s.sid)
	k.ended[s.sid] = struct{}{}
	k.writes[s.pid] = write{text, k.bus.lasts}
	k.mu.Unlock()
	poke(k.gone)
}

// left forgets the session of a client that took its leave.
func (k *sessions) left(id socket.SocketId) {
	k.mu.Lock()
	delete(k.ended, id)
	if old, ok := k.kept[id]; ok {
		delete(k.kept, id)
		k.writes[old.pid] = write{}
	}
	k.mu.Unlock()
	poke(k.wake)
}

// release leaves the session of a client in Redis to the node where it goes on.
func (k *sessions) release(id socket.SocketId) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.kept, id)
}

// store carries the writes out; those that fail stay, unless there is a newer one for the same session.
func (k *sessions) store(ctx context.Context) {
	k.mu.Lock()
	todo := k.writes
	k.writes = map[socket.PrivateSessionId]write{}
	k.mu.Unlock()
	if len(todo) == 0 {
		return
	}
	pipe := k.bus.hub.client.Pipeline()
	pids := make([]socket.PrivateSessionId, 0, len(todo))
	for pid, w := range todo {
		pids = append(pids, pid)
		if w.text == "" {
			pipe.Del(ctx, k.key(pid))
		} else {
			pipe.Set(ctx, k.key(pid), w.text, w.ttl)
		}
	}
	cmds, _ := pipe.Exec(ctx) // each command has its own error
	for i, pid := range pids {
		if i < len(cmds) && cmds[i].Err() == nil {
			continue
		}
		k.mu.Lock()
		if _, newer := k.writes[pid]; !newer && len(k.writes) < k.bus.hub.opts.Queue {
			k.writes[pid] = todo[pid]
		}
		k.mu.Unlock()
	}
}

func (k *sessions) key(pid socket.PrivateSessionId) string {
	return k.bus.hub.opts.SessionPrefix + string(pid)
}

// restore takes the session of pid out of Redis, with the events that its client has missed since offset.
func (k *sessions) restore(pid socket.PrivateSessionId, offset string) (session, []any, error) {
	if ms, _ := splitID(offset); ms == 0 {
		return session{}, nil, errOffset
	}
	ctx, cancel := context.WithTimeout(k.bus.node.ctx, k.bus.hub.opts.RequestTimeout)
	defer cancel()
	c, stream := k.bus.hub.client, k.bus.hub.opts.Stream
	if list, err := c.XRange(ctx, stream, offset, offset).Result(); err != nil || len(list) == 0 {
		return session{}, nil, errors.Join(errOffset, err)
	}
	text, err := c.GetDel(ctx, k.key(pid)).Result()
	if err != nil {
		return session{}, nil, errors.Join(errSession, err)
	}
	s, err := readSession(text)
	if err != nil || s.pid != pid {
		return session{}, nil, errors.Join(errSession, err)
	}
	r := k.expect(s)
	missed := []any{}
	for range restoreMax {
		list, err := c.XRangeN(ctx, stream, "("+offset, "+", readMissed).Result()
		if err != nil {
			k.forget(s.sid)
			return session{}, nil, err
		}
		for _, x := range list {
			offset = x.ID
			if m, ok := k.missedBy(s, x); ok {
				missed = append(missed, append(m.Packet.Data, x.ID))
			}
		}
		if len(list) < readMissed {
			break
		}
	}
	r.from(offset)
	return s, missed, nil
}

// missedBy tells whether an entry is an event that the session's client would have received.
func (k *sessions) missedBy(s session, x redis.XMessage) (*wire.Message, bool) {
	if x.Values["nsp"] != k.bus.node.Nsp().Name() || x.Values["type"] != "3" {
		return nil, false
	}
	m, _, err := wire.DecodeStream(x.Values)
	if err != nil || m.Kind != wire.KindBroadcast || m.Packet.ID != nil || m.Opts.Volatile {
		return nil, false
	}
	return m, s.receives(m.Opts)
}

// receives tells whether a target includes the session's client.
func (s session) receives(t wire.Target) bool {
	in := make(map[socket.Room]bool, len(s.rooms))
	for _, r := range s.rooms {
		in[r] = true
	}
	for _, r := range t.Except {
		if in[r] {
			return false
		}
	}
	for _, r := range t.Rooms {
		if in[r] {
			return true
		}
	}
	return len(t.Rooms) == 0
}
