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
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		if entry != "" {
			p.RPush(ctx, heardKey(sid), entry)
			p.LTrim(ctx, heardKey(sid), -mostHeard, -1)
			p.PExpire(ctx, heardKey(sid), noteTime)
		}
		owe(ctx, p, sid, asked, given)
		return nil
	})
	return err
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
	taken := make([]*redis.IntCmd, len(acks))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range acks {
			taken[i] = p.HDel(ctx, acksKey(sid), outdated+name)
		}
		return nil
	})
	var old []string
	for i, name := range acks {
		if taken[i].Val() > 0 {
			old = append(old, name)
		}
	}
	return old, err
}

// owe notes acknowledgements that have been asked for, and given.
func owe(ctx context.Context, p redis.Pipeliner, sid string, asked, given []string) {
	if len(asked)+len(given) == 0 {
		return
	}
	for _, name := range asked {
		p.HSet(ctx, acksKey(sid), name, time.Now().UnixMilli())
		p.HDel(ctx, acksKey(sid), outdated+name)
	}
	if len(given) > 0 {
		p.HDel(ctx, acksKey(sid), given...)
	}
	p.PExpire(ctx, acksKey(sid), noteTime)
}
