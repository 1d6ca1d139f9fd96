package affinity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// opTimeout bounds one operation with all it may need: a turn in the pool, a dial, a greeting, the round trip.
	opTimeout = 100 * time.Millisecond
	// poolTimeout is shorter, so that waiting for our own connections is told from waiting for Redis.
	poolTimeout = 50 * time.Millisecond
)

var _ Back = (*Redis)(nil)

// errUnanswered is a command that came back without error and without answer.
var errUnanswered = errors.New("no answer")

// errBroken is a value that this version cannot read. It counts as not found, and the next Bind overwrites it.
var errBroken = fmt.Errorf("%w: its value cannot be read", ErrNotFound)

// Redis is a Store in Redis, shared by all replicas. Each operation is one round trip, which operations that come at the
// same time share, is never tried twice, and ends after about 100 ms. It is safe for concurrent use and does not close its client. An ACL must allow it GET, SET, DEL,
// PTTL, INCRBY, PEXPIRE and INFO, and for a Cluster CLUSTER SLOTS.
type Redis struct {
	client redis.UniversalClient
	prefix string
	trust  trust

	batches batches
}

// NewRedis returns a Store that keeps sid under the key prefix+sid, for example "sidway:chat:". Clusters that share one
// Redis need prefixes of their own. The client comes from Open or has its settings: no retries, context timeouts on.
func NewRedis(c redis.UniversalClient, prefix string) *Redis {
	return &Redis{client: c, prefix: prefix, trust: newTrust(c, prefix), batches: batches{client: c}}
}

// Bind implements Store with one SET.
func (r *Redis) Bind(ctx context.Context, sid string, b Binding) error {
	key, value := r.prefix+sid, encode(b)
	var set *redis.StatusCmd
	if err := r.batches.do(ctx, func(p redis.Pipeliner) {
		set = p.Set(context.Background(), key, value, b.TTL())
	}); err != nil {
		return failure(ctx, "bind", err)
	}
	return failure(ctx, "bind", acknowledged(set))
}

// acknowledged returns nil where Redis answered OK. A command whose connection was refused in its greeting comes back
// with neither error nor answer, so the absence of an error proves nothing.
func acknowledged(set *redis.StatusCmd) error {
	if set.Err() == nil && set.Val() != "OK" {
		return errUnanswered
	}
	return set.Err()
}

// BindAll implements Back with one SET each in one round trip.
func (r *Redis) BindAll(ctx context.Context, batch []Entry) error {
	limited, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	sets := make([]*redis.StatusCmd, len(batch))
	_, err := r.client.Pipelined(limited, func(p redis.Pipeliner) error {
		for i, e := range batch {
			sets[i] = p.Set(limited, r.prefix+e.SID, encode(e.Binding), e.Binding.TTL())
		}
		return nil
	})
	for i := 0; i < len(sets) && err == nil; i++ {
		err = acknowledged(sets[i])
	}
	return failure(ctx, "bind batch", err)
}

// Lookup implements Store. It asks for the value and for the time it has left in one round trip, so that Expires
// depends on no other machine's clock. A value that this version cannot read counts as not found.
func (r *Redis) Lookup(ctx context.Context, sid string) (Binding, error) {
	key, asked := r.prefix+sid, time.Now()
	var get *redis.StringCmd
	var ttl *redis.DurationCmd
	if err := r.batches.do(ctx, func(p redis.Pipeliner) {
		get, ttl = p.Get(context.Background(), key), p.PTTL(context.Background(), key)
	}); err != nil {
		return Binding{}, failure(ctx, "look up", err)
	}
	left := ttl.Val()
	switch err := errors.Join(get.Err(), ttl.Err()); {
	case errors.Is(get.Err(), redis.Nil):
		return Binding{}, ErrNotFound
	case wrongType(get.Err()):
		return Binding{}, errBroken
	case err != nil:
		return Binding{}, failure(ctx, "look up", err)
	case left == 0 && get.Val() == "":
		return Binding{}, failure(ctx, "look up", errUnanswered) // see acknowledged
	case left <= 0:
		return Binding{}, ErrNotFound
	}
	b, err := decode(get.Val())
	if err != nil {
		return Binding{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	b.Expires = asked.Add(left)
	return b, nil
}

// Unbind implements Store with one DEL.
func (r *Redis) Unbind(ctx context.Context, sid string) error {
	key := r.prefix + sid
	var del *redis.IntCmd
	if err := r.batches.do(ctx, func(p redis.Pipeliner) {
		del = p.Del(context.Background(), key)
	}); err != nil {
		return failure(ctx, "unbind", err)
	}
	return failure(ctx, "unbind", del.Err())
}

// failure turns a client's error into this package's. ctx is the caller's own context, without our time limit. The
// cause is told but not wrapped: our time limit must not look like the caller's.
func failure(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrBusy), errors.Is(err, redis.ErrPoolTimeout):
		return fmt.Errorf("affinity: %s: %w", what, ErrBusy)
	case refusesWrites(err):
		return fmt.Errorf("affinity: %s: %w: %v", what, ErrReadOnly, err)
	}
	return fmt.Errorf("affinity: %s: %w: %v", what, ErrUnavailable, err)
}

// wrongType reports whether err is Redis's answer about a key that holds no string: about that key and nothing else.
func wrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// refusesWrites reports whether err is Redis's answer to a write while it would still answer a read.
func refusesWrites(err error) bool {
	for _, code := range [...]string{"READONLY", "OOM", "MISCONF", "NOREPLICAS"} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return false
}
