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

// Redis is a Store in Redis, shared by all replicas. Each operation is one round trip, is never tried twice, and ends
// after about 100 ms. It is safe for concurrent use and does not close its client. An ACL must allow it GET, SET, DEL,
// PTTL, INCRBY, PEXPIRE and INFO, and for a Cluster CLUSTER SLOTS.
type Redis struct {
	client redis.UniversalClient
	prefix string
	trust  trust
}

// NewRedis returns a Store that keeps sid under the key prefix+sid, for example "sidway:chat:". Clusters that share one
// Redis need prefixes of their own. The client comes from Open or has its settings: no retries, context timeouts on.
func NewRedis(c redis.UniversalClient, prefix string) *Redis {
	return &Redis{client: c, prefix: prefix, trust: newTrust(c, prefix)}
}

// Bind implements Store with one SET.
func (r *Redis) Bind(ctx context.Context, sid string, b Binding) error {
	limited, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	err := r.client.Set(limited, r.prefix+sid, encode(b), b.TTL()).Err()
	return failure(ctx, "bind", err)
}

// BindAll implements Back with one SET each in one round trip.
func (r *Redis) BindAll(ctx context.Context, batch []Entry) error {
	limited, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	_, err := r.client.Pipelined(limited, func(p redis.Pipeliner) error {
		for _, e := range batch {
			p.Set(limited, r.prefix+e.SID, encode(e.Binding), e.Binding.TTL())
		}
		return nil
	})
	return failure(ctx, "bind batch", err)
}

// Lookup implements Store. It asks for the value and for the time it has left in one round trip, so that Expires
// depends on no other machine's clock. A value that this version cannot read counts as not found.
func (r *Redis) Lookup(ctx context.Context, sid string) (Binding, error) {
	limited, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	asked := time.Now()
	p := r.client.Pipeline()
	get, ttl := p.Get(limited, r.prefix+sid), p.PTTL(limited, r.prefix+sid)
	_, err := p.Exec(limited)
	if err != nil && !errors.Is(err, redis.Nil) {
		return Binding{}, failure(ctx, "look up", err)
	}
	left := ttl.Val()
	if errors.Is(get.Err(), redis.Nil) || left <= 0 {
		return Binding{}, ErrNotFound
	}
	b, err := decode(get.Val())
	if err != nil {
		return Binding{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	b.Expires = asked.Add(left)
	return b, nil
}

// Unbind implements Store with one DEL.
func (r *Redis) Unbind(ctx context.Context, sid string) error {
	limited, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	return failure(ctx, "unbind", r.client.Del(limited, r.prefix+sid).Err())
}

// failure turns a client's error into this package's. ctx is the caller's own context, without our time limit. The
// cause is told but not wrapped: our time limit must not look like the caller's.
func failure(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, redis.ErrPoolTimeout):
		return fmt.Errorf("affinity: %s: %w", what, ErrBusy)
	case refusesWrites(err):
		return fmt.Errorf("affinity: %s: %w: %v", what, ErrReadOnly, err)
	}
	return fmt.Errorf("affinity: %s: %w: %v", what, ErrUnavailable, err)
}

// refusesWrites reports whether err is Redis's answer to a write while it would still answer a read.
func refusesWrites(err error) bool {
	for _, code := range [...]string{"READONLY", "OOM", "MISCONF", "NOREPLICAS"} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return false
}
