package adapter

import (
	"log/slog"
	"time"
)

// Options tunes an adapter. The zero value agrees with the defaults of Node's adapters, so that Go and Node nodes find
// each other without any setting.
type Options struct {
	// Prefix of the channels (key or channelPrefix in Node). Default "socket.io". All nodes of a cluster share it.
	Prefix string
	// RequestTimeout bounds the wait for the answers of other nodes. Default 5 s.
	RequestTimeout time.Duration
	// Queue is how many messages are kept for Redis while it is away; beyond it the oldest is dropped and counted.
	// Default 10,000.
	Queue int
	// MaxMessage is the size in bytes above which a received message is dropped unread. Default 64 MiB.
	MaxMessage int
	// Metrics counts what the adapter does. It may be shared by several adapters. Default: nothing is counted.
	Metrics *Metrics
	// Logger hears of outages and of what they cost. Default: slog.Default().
	Logger *slog.Logger

	// Subscription says which rooms of a sharded adapter have a channel of their own. It must be the same on all nodes.
	Subscription Subscription

	// Stream is the name of the stream. Default "socket.io".
	Stream string
	// MaxLen is the length to which the stream is trimmed, and so bounds what a client that comes back can be sent.
	// Default 10,000 entries.
	MaxLen int64
	// SessionPrefix is the prefix of the keys that hold sessions for recovery. Default "sio:session:".
	SessionPrefix string
}

// Subscription is the subscriptionMode of Node's sharded adapter.
type Subscription uint8

const (
	// Dynamic gives each public room a channel of its own, so that only nodes with members of it receive its messages.
	Dynamic Subscription = iota
	// DynamicPrivate gives private rooms (one per socket) a channel as well.
	DynamicPrivate
	// Static uses one channel per namespace.
	Static
)

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "socket.io"
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = 5 * time.Second
	}
	if o.Queue <= 0 {
		o.Queue = 10_000
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = 64 << 20
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Stream == "" {
		o.Stream = "socket.io"
	}
	if o.MaxLen <= 0 {
		o.MaxLen = 10_000
	}
	if o.SessionPrefix == "" {
		o.SessionPrefix = "sio:session:"
	}
	return o
}
