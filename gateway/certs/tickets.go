package certs

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile"
)

const (
	// ticketsKey is behind the prefix: a hash of keys by their periods. "!" is in no cluster's name.
	ticketsKey = "!tickets"
	// ticketPeriod is how long new tickets are made by the same key, and oldTickets for how many periods more it opens them.
	ticketPeriod = 12 * time.Hour
	oldTickets   = 2
	// ticketsAfter is the pause between two questions for keys, ticketsAgain that after one without an answer, and ticketsTime how long
	// an answer may take.
	ticketsAfter = time.Minute
	ticketsAgain = 5 * time.Second
	ticketsTime  = time.Second
)

// ticketKey makes session tickets, and opens them.
type ticketKey = [32]byte

// ring is the keys of session tickets that replicas share in Redis: of each period one, which is whichever replica's comes first there.
// The next period's is made ahead, so that all replicas know it when the first of them makes tickets by it, however their clocks differ.
type ring struct {
	Store
	keys map[int64]ticketKey
	next time.Time // when Redis is asked
	down bool
}

// follow returns the keys that hold now, that which makes tickets first. It asks Redis where it is time to. What Redis does not know, as
// one that was emptied, it is told.
func (r *ring) follow(ctx context.Context, now time.Time) (keys []ticketKey, err error) {
	period := now.UnixNano() / int64(ticketPeriod)
	for _, p := range []int64{period, period + 1} {
		if _, known := r.keys[p]; !known {
			var k ticketKey
			rand.Read(k[:])
			r.keys[p] = k
		}
	}
	for p := range r.keys {
		if p < period-oldTickets || p > period+1 {
			delete(r.keys, p)
		}
	}
	if wait := r.next.Sub(now); wait <= 0 || wait > ticketsAfter { // or the clock was set back
		r.next = now.Add(ticketsAfter)
		err = r.ask(ctx)
		if r.down = err != nil; r.down {
			r.next = now.Add(ticketsAgain)
		}
	}
	for p := period; p >= period-oldTickets; p-- {
		if k, known := r.keys[p]; known {
			keys = append(keys, k)
		}
	}
	return append(keys, r.keys[period+1]), err
}

// ask has Redis and r know the same keys.
func (r *ring) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ticketsTime)
	defer cancel()
	key, first := r.Prefix+ticketsKey, int64(0)
	var all *redis.MapStringStringCmd
	_, err := r.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for period, k := range r.keys {
			p.HSetNX(ctx, key, strconv.FormatInt(period, 10), k[:])
			if first == 0 || period < first {
				first = period
			}
		}
		p.Expire(ctx, key, (oldTickets+2)*ticketPeriod)
		all = p.HGetAll(ctx, key)
		return nil
	})
	if err != nil {
		return err
	}
	if old := r.learn(all.Val(), first); len(old) > 0 {
		r.Redis.HDel(ctx, key, old...)
	}
	return nil
}

// learn takes the keys that Redis has, and returns the fields that nobody needs: what is no key, and those of before the first period.
func (r *ring) learn(fields map[string]string, first int64) (old []string) {
	for field, value := range fields {
		period, err := strconv.ParseInt(field, 10, 64)
		if _, wanted := r.keys[period]; err == nil && (wanted || period > first) && len(value) == len(ticketKey{}) {
			r.keys[period] = ticketKey([]byte(value))
		} else if err != nil || wanted || period < first {
			old = append(old, field)
		}
	}
	return old
}

// followTickets has clients get the keys of now, where they are in Redis.
func (c *Certificates) followTickets(ctx context.Context) {
	c.mu.Lock()
	r := c.ring
	c.mu.Unlock()
	if r == nil {
		return
	}
	was := r.down
	keys, err := r.follow(ctx, c.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case ctx.Err() != nil || c.ring != r:
		return
	case r.down && !was:
		c.say(slog.LevelWarn, "session tickets are known to this replica alone while redis does not answer", "error", err)
	case was && !r.down:
		c.say(slog.LevelInfo, "session tickets are shared by redis again")
	}
	c.setTickets(keys)
}

// newTicketFiles are files of keys, of which nil is none.
func newTicketFiles(files []string) *source[[]ticketKey] {
	if len(files) == 0 || files[0] == config.TicketsOfRedis || files[0] == config.TicketsOff {
		return nil
	}
	return &source[[]ticketKey]{files: files, parse: func(data [][]byte) (keys []ticketKey, err error) {
		for i, d := range data {
			k, err := keyfile.Ticket(d)
			if err != nil {
				return nil, inFile(files[i], err)
			}
			keys = append(keys, k)
		}
		return keys, nil
	}}
}
