package adapter

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Limits of the adapter's own connections. A stopped Redis answers late, and a connection given up early would leave it
// unknown what arrived; a broken one is seen at once by its reset.
const (
	dialLimit    = 2 * time.Second
	commandLimit = 10 * time.Second
)

// dedicated returns a client to the same Redis as rdb, with connections of its own that never send a command twice: with
// go-redis' defaults a lost answer means that a message is published again. owned is false where the kind of client is
// not known and rdb itself has to do.
func dedicated(rdb redis.UniversalClient) (c redis.UniversalClient, owned bool) {
	switch r := rdb.(type) {
	case *redis.Client:
		o := *r.Options()
		o.MaxRetries, o.DialerRetries, o.PoolSize, o.MinIdleConns = -1, 1, 2, 0
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialLimit, commandLimit, commandLimit
		o.ContextTimeoutEnabled = true
		o.PipelinePoolSize = -1
		o.PushNotificationProcessor = nil // belongs to the connections of rdb
		o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		own := redis.NewClient(&o)
		own.AddHook(dialHook{})
		return own, true
	case *redis.ClusterClient:
		o := *r.Options()
		o.MaxRetries, o.PoolSize, o.MinIdleConns = -1, 2, 0
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialLimit, commandLimit, commandLimit
		o.ContextTimeoutEnabled = true
		o.PipelinePoolSize = -1
		o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		own := redis.NewClusterClient(&o)
		own.OnNewNode(func(node *redis.Client) { node.AddHook(dialHook{}) })
		return own, true
	}
	return rdb, false
}

// dialError marks the failure to reach Redis at all: the command was certainly not sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return "adapter: dial: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

type dialHook struct{}

func (dialHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, &dialError{err}
		}
		return c, nil
	}
}

func (dialHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (dialHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// outcome is what is known of a command after it failed.
type outcome uint8

const (
	done    outcome = iota
	again           // certainly not carried out: it may be sent again
	refused         // Redis said no for good
	unknown         // the connection broke before the answer
)

func outcomeOf(err error) outcome {
	var dial *dialError
	var reply redis.Error
	switch {
	case err == nil:
		return done
	case errors.As(err, &dial), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return again
	case errors.As(err, &reply):
		return replyOutcome(reply.Error())
	}
	return unknown
}

// replyOutcome tells a state that passes (loading after a restart, a replica on its way to become the master, a cluster
// without a majority) from a refusal. Redis has no codes but the first word of the text.
func replyOutcome(text string) outcome {
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "NOREPLICAS":
		return again
	}
	return refused
}

// backoff is the wait before the next attempt to reach Redis: from 25 ms, doubling to 250 ms, so that a Redis that is
// back is used within a second and one that is away costs nothing.
type backoff struct{ last time.Duration }

func (b *backoff) reset() { b.last = 0 }

// wait returns false when ctx ends first.
func (b *backoff) wait(ctx context.Context) bool {
	b.last = min(max(2*b.last, 25*time.Millisecond), 250*time.Millisecond)
	t := time.NewTimer(b.last)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
