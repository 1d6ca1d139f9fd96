package affinity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redis/go-redis/v9"
)

// answerTime is how long a Redis that was late is given to answer at all.
const answerTime = time.Second

// late is an ErrLate of which more is known.
type late string

func (l late) Error() string { return string(l) }

// Is makes it an ErrLate and an ErrUnavailable.
func (l late) Is(target error) bool { return target == ErrLate || target == ErrUnavailable }

// tellsMore reports whether more than that an answer was late is known of err, and other than of before: that the store is slow or
// hangs, or that it does so no more but is gone.
func tellsMore(err, before error) bool {
	for _, kind := range []error{ErrSlow, ErrHangs} {
		if errors.Is(err, kind) {
			return !errors.Is(before, kind)
		}
	}
	return !errors.Is(err, ErrLate) && (errors.Is(before, ErrSlow) || errors.Is(before, ErrHangs))
}

// explainer is a Back that can find out what is the matter where it is late.
type explainer interface {
	// Explain returns an ErrSlow or ErrHangs, or err where neither is known to be so. It takes up to answerTime.
	Explain(ctx context.Context, err error) error
}

var _ explainer = (*Redis)(nil)

// explain has it found out, once in an outage, what is the matter with a store that is down because it was late.
func (r *runner) explain(ctx context.Context, p *phase, err error) {
	if !errors.Is(err, ErrLate) {
		r.explained = false
		return
	}
	e, ok := r.back.(explainer)
	if !ok || r.explained {
		return
	}
	why := e.Explain(ctx, err)
	r.explained = tellsMore(why, err)
	_ = r.fail(p, why) // which nobody waits for
}

// Explain implements explainer, by a connection of its own and the one command that is answered in any case.
func (r *Redis) Explain(ctx context.Context, late error) error {
	ctx, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	began := time.Now()
	var err error
	switch c := r.client.(type) {
	case *redis.ClusterClient:
		err = c.ForEachMaster(ctx, greet)
	case *redis.Client:
		err = greet(ctx, c)
	}
	switch took := time.Since(began); {
	case err == nil && took > opTimeout:
		return fmt.Errorf("affinity: probe: %w: a PING took %v", ErrSlow, took.Round(time.Millisecond))
	case errors.Is(err, ErrHangs):
		return fmt.Errorf("affinity: probe: %w", ErrHangs)
	}
	return late
}

// greet has one server answer, whatever it says. The error is ErrHangs where there is a connection but no answer.
func greet(ctx context.Context, c *redis.Client) error {
	o := c.Options()
	conn, err := o.Dialer(ctx, o.Network, o.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err = io.WriteString(conn, "PING\r\n"); err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	if ctx.Err() != nil {
		return ErrHangs
	}
	return err
}
