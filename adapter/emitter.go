package adapter

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

// emitterUID is how emitters sign their messages; no adapter takes it for its own.
const emitterUID = "emitter"

// Emitter sends to the sockets of a cluster of PubSub adapters, Go or Node, from a process that runs no server, as
// @socket.io/redis-emitter does. Its methods are chained from general to particular, each returning a new Emitter, and
// end with the one that sends. It is safe for concurrent use. It holds nothing but the client that it was given.
type Emitter struct {
	client redis.UniversalClient
	prefix string
	nsp    string
	target wire.Target
}

// NewEmitter returns an emitter for the namespace "/" of the servers whose Options have the same Prefix.
func NewEmitter(rdb redis.UniversalClient, opts Options) *Emitter {
	return &Emitter{client: rdb, prefix: opts.withDefaults().Prefix, nsp: "/"}
}

// Of returns an emitter for another namespace.
func (e *Emitter) Of(nsp string) *Emitter {
	c := *e
	c.nsp = "/" + strings.TrimPrefix(nsp, "/")
	return &c
}

// To narrows the targets to the sockets of any of these rooms and those given before.
func (e *Emitter) To(rooms ...socket.Room) *Emitter {
	c := *e
	c.target.Rooms = union(e.target.Rooms, rooms)
	return &c
}

// Except takes the sockets of these rooms out of the targets.
func (e *Emitter) Except(rooms ...socket.Room) *Emitter {
	c := *e
	c.target.Except = union(e.target.Except, rooms)
	return &c
}

// union lists each room once; a broadcast to one room has a channel of its own, so that counting matters.
func union(a, b []socket.Room) []socket.Room {
	all := make([]socket.Room, 0, len(a)+len(b))
	seen := make(map[socket.Room]bool, len(a)+len(b))
	for _, list := range [][]socket.Room{a, b} {
		for _, r := range list {
			if !seen[r] {
				seen[r] = true
				all = append(all, r)
			}
		}
	}
	return all
}

// Volatile allows clients that are not ready to miss the event.
func (e *Emitter) Volatile() *Emitter {
	c := *e
	c.target.Volatile = true
	return &c
}

// Compress asks for compression towards the clients.
func (e *Emitter) Compress(on bool) *Emitter {
	c := *e
	c.target.Compress = on
	return &c
}

// Emit sends an event to the targets. It returns when Redis has taken it, or an error; an error whose cause is a lost
// connection leaves it open whether the event arrived.
func (e *Emitter) Emit(ctx context.Context, event string, args ...any) error {
	if socket.SOCKET_RESERVED_EVENTS.Has(event) {
		return fmt.Errorf("adapter: %q is a reserved event name", event)
	}
	data, err := wire.NormalizeList(append([]any{event}, args...))
	if err != nil {
		return err
	}
	channel := e.prefix + "#" + e.nsp + "#"
	if len(e.target.Rooms) == 1 {
		channel += string(e.target.Rooms[0]) + "#"
	}
	return e.publish(ctx, channel, &wire.Message{
		Kind: wire.KindBroadcast, UID: emitterUID, Packet: &wire.Packet{Nsp: e.nsp, Data: data}, Opts: e.target,
	})
}

// SocketsJoin makes the targets join rooms.
func (e *Emitter) SocketsJoin(ctx context.Context, rooms ...socket.Room) error {
	return e.request(ctx, &wire.Message{Kind: wire.KindJoin, Opts: e.target, Rooms: rooms})
}

// SocketsLeave makes the targets leave rooms.
func (e *Emitter) SocketsLeave(ctx context.Context, rooms ...socket.Room) error {
	return e.request(ctx, &wire.Message{Kind: wire.KindLeave, Opts: e.target, Rooms: rooms})
}

// DisconnectSockets disconnects the targets, with their connections if wanted.
func (e *Emitter) DisconnectSockets(ctx context.Context, connection bool) error {
	return e.request(ctx, &wire.Message{Kind: wire.KindDisconnect, Opts: e.target, Close: connection})
}

// ServerSideEmit sends an event to the servers themselves. Acknowledgements are not possible.
func (e *Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	data, err := wire.NormalizeList(append([]any{event}, args...))
	if err != nil {
		return err
	}
	return e.request(ctx, &wire.Message{Kind: wire.KindServerSide, Data: data})
}

func (e *Emitter) request(ctx context.Context, m *wire.Message) error {
	m.UID = emitterUID
	return e.publish(ctx, e.prefix+"-request#"+e.nsp+"#", m)
}

func (e *Emitter) publish(ctx context.Context, channel string, m *wire.Message) error {
	payload, err := wire.EncodePubSub(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, emitLimit)
	defer cancel()
	if err := e.client.Publish(ctx, channel, payload).Err(); err != nil {
		return fmt.Errorf("adapter: emit: %w", err)
	}
	return nil
}

// emitLimit bounds one command of an emitter; the client's own limits and retries hold within it.
const emitLimit = 5 * time.Second
