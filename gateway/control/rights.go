package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// This file finds out which rights in Redis a replica lacks that replicas need to work together. Bindings need none of these, so that their
// store is up all the same.

// tryKey is behind the prefix, with the replica's id behind it: a key in nobody's way.
const tryKey = "!try:"

// Refusal says which commands Redis refuses to a replica.
type Refusal struct {
	Commands []string // as HSET, in order
	Deaf     bool     // so that it is not heard, or hears nobody
	Err      error    // Redis's answer to the first of them
}

// Error says what that comes to.
func (r *Refusal) Error() string {
	effect := "so that drains, counts, moves or traces may not reach the others"
	if r.Deaf {
		effect = "so that replicas do not hear each other, nor of drains and counts"
	}
	return fmt.Sprintf("Redis refuses this replica %s, %s: %s", strings.Join(r.Commands, " "), effect, strings.TrimSuffix(r.Err.Error(), "."))
}

// Unwrap returns Redis's answer.
func (r *Refusal) Unwrap() error { return r.Err }

// rights are what is known of what Redis lets this replica do.
type rights struct {
	mu      sync.Mutex
	granted bool             // all was done at the last try, and nothing has been refused since
	refused map[string]error // by command, since the last try
	lacks   *Refusal         // nil: nothing
}

// lacksRight reports whether err is Redis's answer to a command that the user may not use, or nobody.
func lacksRight(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "unknown command")
}

// note notes those of the commands that were refused.
func (r *rights) note(done ...redis.Cmder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range done {
		if err := c.Err(); lacksRight(err) {
			r.granted, r.refused[strings.ToUpper(c.Name())] = false, err
		}
	}
}

// forget forgets what another Redis has refused.
func (r *rights) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.granted, r.lacks = false, nil
	clear(r.refused)
}

// settle takes the result of a try: the commands that were refused, whether the others could be told and heard before it, and whether it met no error at all.
// A command that was refused before a try that was not may have been granted in between, so that it ends nothing and adds nothing to what is known.
func (r *rights) settle(tried map[string]error, told, clean bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(tried) == 0 && r.lacks == nil {
		tried = maps.Clone(r.refused)
	}
	if names := slices.Sorted(maps.Keys(tried)); len(names) > 0 {
		r.lacks = &Refusal{names, !told, tried[names[0]]}
	} else if clean && told && len(r.refused) == 0 {
		r.granted, r.lacks = true, nil
	}
	clear(r.refused)
}

func (r *rights) state() (granted bool, lacks *Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.granted, r.lacks
}

// Refusal returns what Redis refuses to this replica that replicas need to work together, nil where that is nothing. What was refused once
// is tried again each second.
func (b *Board) Refusal() *Refusal {
	_, lacks := b.rights.state()
	return lacks
}

// refused reports whether Redis does not let replicas hear each other. It needs mu.
func (b *Board) refused() bool {
	_, lacks := b.rights.state()
	return lacks != nil && lacks.Deaf
}

// tryRights does what a Board does in Redis, unless all of it was done before and nothing refused since, so that a right that is missing is found before a
// drain, or the end of a replica, needs it.
func (b *Board) tryRights(ctx context.Context, client redis.UniversalClient, prefix string) {
	if granted, _ := b.rights.state(); granted {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endEvery) // drains wait for it
	defer cancel()
	key := prefix + tryKey + b.id
	var del *redis.IntCmd
	done, err := client.Pipelined(ctx, func(p redis.Pipeliner) error { // a hash, a set and a list, each of which is empty in the end
		p.HSet(ctx, key, "n", 0)
		p.HIncrBy(ctx, key, "n", 1)
		p.HGetAll(ctx, key)
		p.HDel(ctx, key, "n")
		p.SAdd(ctx, key, "n")
		p.SPopN(ctx, key, 1)
		p.RPush(ctx, key, "n")
		p.LRange(ctx, key, 0, -1)
		p.PExpire(ctx, key, boardTime)
		del = p.Del(ctx, key)
		return nil
	})
	transaction, whole := client.TxPipelined(ctx, func(t redis.Pipeliner) error { return t.Del(ctx, key).Err() })
	refused := map[string]error{}
	for _, c := range append(done, transaction...) {
		if _, answered := errors.AsType[redis.Error](c.Err()); c.Err() != nil && !answered {
			return // an outage, which says nothing of rights
		}
	}
	for _, c := range done {
		if lacksRight(c.Err()) {
			refused[strings.ToUpper(c.Name())] = c.Err()
		}
	}
	if del.Err() == nil && (lacksRight(whole) || aborted(whole)) {
		refused["MULTI EXEC"] = whole
	}
	b.mu.Lock()
	told := !b.unheard
	b.mu.Unlock()
	b.rights.settle(refused, told, err == nil && whole == nil)
}

// pipelined sends commands in one round trip, notes those that are refused, and returns the first error. Where Redis refuses the user in the greeting, the client
// leaves the commands with neither error nor answer, so they get that error here.
func (b *Board) pipelined(ctx context.Context, client redis.UniversalClient, fill func(redis.Pipeliner)) error {
	done, err := client.Pipelined(ctx, func(p redis.Pipeliner) error { fill(p); return nil })
	if err != nil && !slices.ContainsFunc(done, func(c redis.Cmder) bool { return c.Err() != nil }) {
		for _, c := range done {
			c.SetErr(err)
		}
	}
	b.rights.note(done...)
	return err
}

// transact sends a transaction. Its error is what Redis says of the first command that it refuses, and not that it refuses the whole. It needs mu.
func (b *Board) transact(ctx context.Context, fill func(redis.Pipeliner)) error {
	done, err := b.redis.TxPipelined(ctx, func(t redis.Pipeliner) error { fill(t); return nil })
	b.rights.note(done...)
	for _, c := range done {
		if own := c.Err(); own != nil && !aborted(own) {
			return own
		}
	}
	return err
}

// aborted reports whether err is Redis's answer to a transaction of which it has refused a part.
func aborted(err error) bool { return redis.HasErrorPrefix(err, "EXECABORT") }
