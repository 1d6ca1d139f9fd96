// Package affinity remembers on which node an Engine.IO session lives.
//
// The node makes the sid, so a binding is written once; then it only expires. No cache has to be invalidated, and any replica may
// publish what it knows again. The one exception is a session that polls and goes on at another node: its binding is looked up by Cached.Refresh, and
// kept alive by Cached.Renew.
//
//	client, err := affinity.Open("redis://127.0.0.1:6379/0")
//	back := affinity.NewRedis(client, "sidway:chat:")
//	store := affinity.NewCached(affinity.NewMemory(1_000_000), back, affinity.CachedOptions{})
//	go store.Run(ctx)
//	err = store.Bind(ctx, sid, affinity.Binding{Node: "n1", Version: 4})
//	b, err := store.Lookup(ctx, sid)
//
// The package does not choose nodes, does not judge whether a sid is well formed, and never logs one.
package affinity

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// What a caller branches on. "Not found" and "could not ask" are two outcomes; a caller's cancelled or expired context
// is neither: then an operation returns the context's own error.
var (
	// ErrNotFound says that the store was asked and knows no live binding of the sid.
	ErrNotFound = errors.New("affinity: no binding")
	// ErrUnavailable says that the store could not be asked, or not within its time limit.
	ErrUnavailable = errors.New("Redis is down")
	// ErrReadOnly is an ErrUnavailable of a store that still answers look-ups: a Redis that is a read-only replica,
	// is out of memory or cannot save.
	ErrReadOnly error = unavailable("Redis refuses writes")
	// ErrDenied is an ErrUnavailable of a store that answers, but not us: the user, the password, a right, the database or the
	// name of Sentinel's master has to be mended. The error's text says which.
	ErrDenied error = unavailable("Redis refuses this replica")
	// ErrLate is an ErrUnavailable of a store that did not answer within its time limit, 100 ms: it is gone, or busy, or we are.
	ErrLate error = unavailable("Redis gave no answer within " + opTimeout.String())
	// ErrSlow is an ErrLate of a store that does answer, but too late.
	ErrSlow error = late("Redis is slow: it answers, but not within " + opTimeout.String())
	// ErrHangs is an ErrLate of a store that takes connections and answers nothing.
	ErrHangs error = late("Redis hangs: it takes a connection, and answers nothing within " + answerTime.String())
	// ErrBusy is an ErrUnavailable of our own making: so many operations wait that this one was not sent in time. It says
	// nothing about the store.
	ErrBusy error = unavailable("too many operations wait for Redis")
)

// errRecovering is an ErrUnavailable of a store that answers, but may lack what replicas are about to write.
const errRecovering = unavailable("Redis is recovering: what it does not know may be about to be written")

// unavailable is an ErrUnavailable with words of its own, so that an error names its cause once.
type unavailable string

func (u unavailable) Error() string { return string(u) }

// Is makes it an ErrUnavailable.
func (u unavailable) Is(target error) bool { return target == ErrUnavailable }

// TakenError is what Bind returns for a sid that lives on another node. The binding stays as it is.
type TakenError struct {
	Node string // that the sid lives on
}

func (e *TakenError) Error() string {
	return "affinity: the sid lives on node " + strconv.Quote(e.Node)
}

// What an open packet that says nothing about its timers means (Engine.IO, "Timers": the servers' defaults), and the
// limits of a binding's time to live.
const (
	defaultPingInterval = 25 * time.Second
	defaultPingTimeout  = 20 * time.Second
	minMargin           = 15 * time.Second
	maxPing             = 24 * time.Hour
)

// Binding is the fact that a session lives on a node, and what the session's open packet taught, so that a replica
// that never saw the handshake knows the session's limits too. Durations are kept in whole milliseconds.
type Binding struct {
	Node         string // the node's name, never its address
	Version      int    // EIO protocol version, 3 or 4
	PingInterval time.Duration
	PingTimeout  time.Duration
	MaxPayload   int64     // bytes; 0 where the open packet has none
	Ends         int64     // when the session has to end, in seconds since 1970; 0: whenever it does
	JSONP        bool      // the node takes its POSTs for forms, as the handshake asked for
	Unproven     bool      // the client has not shown yet that it may have the session: its node gets nothing of it
	Refusal      string    // packets of Engine.IO that an unproven session's next poll is answered with; see RefusalOf
	Alias        string    // the sid that the node knows the session by, which has come from another one; "": as clients do
	Expires      time.Time // set by Lookup; Bind reads it only to tell a renewal from a first binding
}

// TTL returns how long the binding lives after it was bound: pingInterval + pingTimeout and a margin of half of that,
// but at least 15 s. So two thirds of it outlive one silent poll.
func (b Binding) TTL() time.Duration {
	silence := b.Silence()
	return silence + max(minMargin, silence/2)
}

// Silence returns how long nothing may be heard of the session before it has ended: pingInterval + pingTimeout.
func (b Binding) Silence() time.Duration {
	return known(b.PingInterval, defaultPingInterval) + known(b.PingTimeout, defaultPingTimeout)
}

// known returns d where it is usable and otherwise what it most likely is. The upper bound keeps a node that
// announces centuries from overflowing the sum.
func known(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return min(d, maxPing)
}

// Due reports whether more than a third of the binding's TTL has gone at now, so that it should be bound again. It
// reads Expires and is meant for a binding that Lookup returned.
func (b Binding) Due(now time.Time) bool {
	return b.Expires.Sub(now) < b.TTL()/3*2
}

// sameFact reports whether b and o say the same, whenever they expire.
func (b Binding) sameFact(o Binding) bool {
	b.Expires, o.Expires = time.Time{}, time.Time{}
	return b == o
}

// Store keeps bindings. All methods may be called concurrently, none blocks for much longer than 100 ms (but see
// Cached.Lookup and Redis.Bind), and none keeps the sid's bytes after it returned or told.
type Store interface {
	// Bind records that sid lives on b.Node and restarts its TTL. Binding the same pair again keeps it alive. It
	// returns when the store has acknowledged, so that the client's next request may hit any replica. The first node
	// keeps a sid while its binding lives: for another one Bind changes nothing and returns a TakenError. Unbind comes
	// before a move, or the move is written as a renewal is (b.Expires is set): Redis has that over what is there.
	Bind(ctx context.Context, sid string, b Binding) error
	// Lookup returns the live binding of sid with Expires set, or ErrNotFound.
	Lookup(ctx context.Context, sid string) (Binding, error)
	// BindThen is Bind that does not wait: done is told what Bind would return. It is called once, by any goroutine and maybe before
	// BindThen returns, and must not block. sid must stay what it is until then.
	BindThen(sid string, b Binding, done func(error))
	// LookupThen is Lookup in the same way.
	LookupThen(sid string, done func(Binding, error))
	// Unbind forgets sid. A sid without a binding is no error.
	Unbind(ctx context.Context, sid string) error
}

// Entry is one binding of a batch.
type Entry struct {
	SID     string
	Binding Binding
}

// Back is a Store that other replicas share, as Cached needs it.
type Back interface {
	Store
	// BindAll binds a batch in one go. It returns the entries that were not bound because their sids live on other
	// nodes, with the bindings that are there. After an error some entries may have been bound: binding them again is
	// harmless.
	BindAll(ctx context.Context, batch []Entry) (taken []Entry, err error)
	// Renew has the binding of sid, whatever it is, live for ttl from now on, and returns it, or ErrNotFound.
	Renew(ctx context.Context, sid string, ttl time.Duration) (Binding, error)
	// Probe asks whether the store can be reached and written to, and whether it still holds what it acknowledged up
	// to the Probe before: intact is false when it may have come back empty or older. Only one Probe runs at a time.
	Probe(ctx context.Context) (intact bool, err error)
}
