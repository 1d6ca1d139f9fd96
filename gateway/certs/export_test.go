package certs

import (
	"context"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/sidway/sidway/gateway/config"
)

// WithEvery has files looked at so often.
func (o Options) WithEvery(d time.Duration) Options {
	o.every = d
	return o
}

// Follows reports whether WithEvery has said so.
func (o Options) Follows() bool { return o.every > 0 }

// FollowTickets asks Redis for keys, if it is time to. It is not for use beside Run.
func (c *Certificates) FollowTickets(ctx context.Context) { c.followTickets(ctx) }

// Look looks at the files once, beside Run.
func (c *Certificates) Look() { c.look() }

// WithClock has the keys of tickets go by another clock.
func (o Options) WithClock(now func() time.Time) Options {
	o.now = now
	return o
}

// Update has what cfg says hold from now on.
func (c *Certificates) Update(cfg config.TLS, s Store) error {
	use, err := c.Prepare(cfg, s)
	if err == nil {
		use()
	}
	return err
}

// NewStorage returns where ACME keeps what it has in Redis.
func NewStorage(s Store) certmagic.Storage { return newStorage(s) }

// Tickets are the keys that hold at a time, as a replica has them that has kept others before it reads these fields in Redis, and which
// fields it takes away there.
func Tickets(now time.Time, fields map[string]string) (keys [][32]byte, old []string, err error) {
	r := &ring{keys: map[int64]ticketKey{}, next: now.Add(time.Second)}
	if _, err := r.follow(context.Background(), now); err != nil {
		return nil, nil, err
	}
	old = r.learn(fields, now.UnixNano()/int64(ticketPeriod))
	keys, err = r.follow(context.Background(), now)
	return keys, old, err
}

// TicketPeriod is how long new tickets are made by the same key.
const TicketPeriod = ticketPeriod
