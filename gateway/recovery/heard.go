package recovery

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// This file keeps what clients that poll have got: with that another node can go on with a session whose own has crashed.

// Heard is what is known of what a client has got.
type Heard struct {
	Offsets []string // of its last events, the oldest first
	Whole   bool     // no answer is missing between them
}

const (
	// mostHeard is of how many answers to polls it is known what they have brought: so many events, and more, that packet.Session does not remember all of
	// them, and knows that there were others before.
	mostHeard = 64
	// unread stands for an answer that nobody could read.
	unread = "?"
	// outdated stands in front of an acknowledgement that a node has asked for which is gone.
	outdated = "outdated "
)

func heardKey(sid string) string { return wayKey(sid, "heard") }

// Hear notes what the answer to a poll brings: events by their offsets, and acknowledgements, those that it asks for and those that it gives. read tells
// whether it could be read.
func (s *Store) Hear(ctx context.Context, sid string, read bool, offsets, asked, given []string) error {
	ctx, cancel := context.WithTimeout(ctx, opTime/4) // a poll waits for it
	defer cancel()
	entry := strings.Join(offsets, " ")
	if !read {
		entry = unread
	}
	var owed *redis.IntCmd
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		if entry != "" {
			p.RPush(ctx, heardKey(sid), entry)
			p.LTrim(ctx, heardKey(sid), -mostHeard, -1)
			p.PExpire(ctx, heardKey(sid), noteTime)
		}
		owed = owe(ctx, p, sid, asked, given)
		return nil
	})
	if err != nil {
		return err
	}
	return s.bound(ctx, sid, owed)
}

// Heard returns what Hear has noted.
func (s *Store) Heard(ctx context.Context, sid string) (Heard, error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	entries, err := s.client.LRange(ctx, heardKey(sid), 0, -1).Result()
	h := Heard{Whole: !slices.Contains(entries, unread)}
	for _, entry := range entries {
		if entry != unread {
			h.Offsets = append(h.Offsets, strings.Fields(entry)...)
		}
	}
	return h, err
}

// Outdate notes that the node is gone that has asked for these acknowledgements. The next one counts anew, and may ask for others of the same names.
func (s *Store) Outdate(ctx context.Context, sid string, acks []string) error {
	if len(acks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HDel(ctx, acksKey(sid), acks...)
		for _, name := range acks {
			p.HSet(ctx, acksKey(sid), outdated+name, "")
		}
		p.PExpire(ctx, acksKey(sid), noteTime)
		return nil
	})
	return err
}

// TakeOutdated returns those of the acknowledgements that are outdated, each once.
func (s *Store) TakeOutdated(ctx context.Context, sid string, acks []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	if len(acks) == 0 {
		return nil, nil
	}
	names := make([]string, len(acks))
	for i, name := range acks {
		names[i] = outdated + name
	}
	values, err := s.client.HMGet(ctx, acksKey(sid), names...).Result()
	if err != nil {
		return nil, err
	}
	var old, found []string
	for i, v := range values {
		if v != nil {
			old, found = append(old, acks[i]), append(found, names[i])
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return old, s.client.HDel(ctx, acksKey(sid), found...).Err()
}

// mostOwed is how many acknowledgements are kept of a session, outdated ones among them: no more than packet.Acks tells of one payload. TooMany
// stands for more, by a name as of one that is the client's to give.
const (
	mostOwed = 256
	TooMany  = "client, too many"
)

// owe notes acknowledgements that have been asked for, and given. bound is called next.
func owe(ctx context.Context, p redis.Pipeliner, sid string, asked, given []string) *redis.IntCmd {
	if len(asked)+len(given) == 0 {
		return nil
	}
	if len(asked) > 0 {
		now, fields, outdatedOnes := time.Now().UnixMilli(), make([]any, 0, 2*len(asked)), make([]string, len(asked))
		for i, name := range asked {
			fields = append(fields, name, now)
			outdatedOnes[i] = outdated + name
		}
		p.HSet(ctx, acksKey(sid), fields...)
		p.HDel(ctx, acksKey(sid), outdatedOnes...)
	}
	if len(given) > 0 {
		p.HDel(ctx, acksKey(sid), given...)
	}
	p.PExpire(ctx, acksKey(sid), noteTime)
	return p.HLen(ctx, acksKey(sid))
}

// bound keeps of a session that owes too many no more than that.
func (s *Store) bound(ctx context.Context, sid string, owed *redis.IntCmd) error {
	if owed == nil || owed.Val() <= mostOwed {
		return nil
	}
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, acksKey(sid))
		p.HSet(ctx, acksKey(sid), TooMany, time.Now().Add(noteTime).UnixMilli())
		p.PExpire(ctx, acksKey(sid), noteTime)
		return nil
	})
	return err
}
