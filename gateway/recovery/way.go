package recovery

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// This file keeps what the replicas tell each other of a session that polls while its node is drained. Any of them may have its POST, and one
// moves it: not while a POST or an upgrade is on its way, nor while an acknowledgement is pending.

// Way is what may be on its way to the session's node.
type Way string

// The ways.
const (
	Post    Way = "post"
	Upgrade Way = "upgrade"
	moves   Way = "move"
)

// wayTime is for how long a replica is believed that said what is on its way: it may have died meanwhile.
const wayTime = 10 * time.Second

func wayKey(sid string, w Way) string { return "sidway-way:{" + sid + "}:" + string(w) }

func acksKey(sid string) string { return wayKey(sid, "acks") }

// Enter says that a POST or an upgrade is on its way, and for a POST which acknowledgements it asks for and gives. While the session is being
// moved it reports false, and has said nothing.
func (s *Store) Enter(ctx context.Context, sid string, w Way, asked, given []string) (entered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	var moving *redis.IntCmd
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, wayKey(sid, w), 1, wayTime)
		moving = p.Exists(ctx, wayKey(sid, moves))
		return nil
	})
	switch {
	case err != nil:
		return false, err
	case moving.Val() > 0:
		return false, s.Leave(ctx, sid, w)
	}
	return true, s.Owe(ctx, sid, asked, given)
}

// Leave says that it has arrived.
func (s *Store) Leave(ctx context.Context, sid string, w Way) error {
	return s.client.Del(ctx, wayKey(sid, w)).Err()
}

// Owe says which acknowledgements have been asked for, and which given.
func (s *Store) Owe(ctx context.Context, sid string, asked, given []string) error {
	if len(asked)+len(given) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	var owed *redis.IntCmd
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		owed = owe(ctx, p, sid, asked, given)
		return nil
	})
	if err != nil {
		return err
	}
	return s.bound(ctx, sid, owed)
}

// Claim begins to move the session, which ends with Release, and returns which acknowledgements are owed that were asked for since then: of older
// ones nobody has told whether they were given. It reports false while something is on its way, or somebody else moves it.
func (s *Store) Claim(ctx context.Context, sid string, since time.Time) (owed []string, claimed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	claimed, err = s.client.SetNX(ctx, wayKey(sid, moves), 1, wayTime).Result()
	if err != nil || !claimed {
		return nil, false, err
	}
	var posts, upgrades *redis.IntCmd
	var acks *redis.MapStringStringCmd
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		posts, upgrades = p.Exists(ctx, wayKey(sid, Post)), p.Exists(ctx, wayKey(sid, Upgrade))
		acks = p.HGetAll(ctx, acksKey(sid))
		return nil
	})
	if err != nil || posts.Val()+upgrades.Val() > 0 {
		_ = s.Release(ctx, sid)
		return nil, false, err
	}
	for name, text := range acks.Val() {
		if at, err := strconv.ParseInt(text, 10, 64); err == nil && at >= since.UnixMilli() {
			owed = append(owed, name)
		}
	}
	return owed, true, nil
}

// Release ends what Claim has begun.
func (s *Store) Release(ctx context.Context, sid string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTime)
	defer cancel()
	return s.client.Del(ctx, wayKey(sid, moves)).Err()
}
