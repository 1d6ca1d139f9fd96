// Package rooms is what the chat's nodes share in Redis: each room's log, its images, how far each member has read, and
// who is here. The log is the truth of the chat: a message is sent when it is in the log, and the log's order is the
// order in which everybody sees it.
//
//	r := rooms.New(rdb, rooms.Options{})
//	id, err := r.Append(ctx, "lobby", rooms.Message{Key: "made by the client", Text: "hello"}, nil)
//	page, err := r.After(ctx, "lobby", lastIDOfTheClient)
//
// demo/node/rooms.mjs does the same with the same keys and script, so that nodes of both kinds share the rooms. Telling
// the clients is not done here; package chat does.
package rooms

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options bounds what is kept. The zero value has the defaults.
type Options struct {
	Messages int           // kept in a room's log; default 1000
	Images   int           // kept in a room; default 20
	Life     time.Duration // of a room in which nothing is said; default a week
	Present  time.Duration // how long a member counts as here after it was last reported; default 15 s
}

// Rooms reads and writes what the nodes share. It may be used concurrently.
type Rooms struct {
	rdb  redis.UniversalClient
	opts Options
}

// New returns the rooms that are kept in rdb, which stays the caller's to close.
func New(rdb redis.UniversalClient, o Options) *Rooms {
	if o.Messages <= 0 {
		o.Messages = 1000
	}
	if o.Images <= 0 {
		o.Images = 20
	}
	if o.Life <= 0 {
		o.Life = 7 * 24 * time.Hour
	}
	if o.Present <= 0 {
		o.Present = 15 * time.Second
	}
	return &Rooms{rdb: rdb, opts: o}
}

// The keys of all rooms, and those of one. The braces keep a room's keys on one node of a Redis Cluster.
const (
	keyRooms = "demo:rooms" // sorted set of names by the time of their last use
	keyNodes = "demo:nodes" // hash of what each node said of itself
)

func keyOf(room, what string) string { return fmt.Sprintf("demo:{%s}:%s", room, what) }
