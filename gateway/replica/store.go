package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/affinity"
)

// tellState returns what logs an outage of the store once, however often it seems to be over, and once that somebody has to mend
// it.
func (r *Replica) tellState(cluster string) func(affinity.State, error) {
	var down, denied, late, away atomic.Bool
	return func(s affinity.State, cause error) {
		if isAway := s == affinity.Down; away.Swap(isAway) != isAway && isAway {
			r.outages.note(time.Now(), trouble(cause))
		}
		switch {
		case s == affinity.Up && down.Swap(false):
			denied.Store(false)
			late.Store(false)
			r.log.Info("redis is used again", "cluster", cluster)
			r.event("store", cluster, "", "redis is used again")
		case errors.Is(cause, affinity.ErrDenied) && !denied.Swap(true): // whatever the outage began with
			down.Store(true)
			const text = "redis refuses this replica, so new bindings are kept here until that is mended"
			r.log.Error(text, "cluster", cluster, "error", cause)
			r.event("store", cluster, "", text)
		case isLate(cause) && !late.Swap(true), // which is found out a moment after the outage has begun
			cause != nil && !down.Swap(true):
			down.Store(true)
			text := trouble(cause) + ", so new bindings are kept here"
			r.log.Warn(text, "cluster", cluster, "state", s.String(), "error", cause)
			r.event("store", cluster, "", text)
		default:
			r.log.Debug("the store of bindings changed its state", "cluster", cluster, "state", s.String(), "error", cause)
		}
	}
}

// outages are when the store could not be used any more within recentTime, and what was last wrong with it.
type outages struct {
	mu  sync.Mutex
	at  []time.Time
	why string
}

func (o *outages) note(now time.Time, why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at, o.why = o.lately(now), why; len(o.at) == 0 || now.Sub(o.at[len(o.at)-1]) > time.Second { // all clusters may have the same
		o.at = append(o.at, now)
	}
}

// lately needs mu.
func (o *outages) lately(now time.Time) []time.Time {
	return slices.DeleteFunc(o.at, func(t time.Time) bool { return now.Sub(t) > recentTime })
}

// count returns how many there were, and what was wrong.
func (o *outages) count(now time.Time) (n int, why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = o.lately(now)
	return len(o.at), o.why
}

// isLate reports whether it is known what is the matter with a Redis that is late.
func isLate(cause error) bool {
	return errors.Is(cause, affinity.ErrSlow) || errors.Is(cause, affinity.ErrHangs)
}

// trouble says in a word what is wrong with Redis.
func trouble(cause error) string {
	switch {
	case errors.Is(cause, affinity.ErrSlow):
		return "redis is slow"
	case errors.Is(cause, affinity.ErrHangs):
		return "redis hangs"
	case errors.Is(cause, affinity.ErrLate):
		return "redis does not answer in time"
	case errors.Is(cause, affinity.ErrReadOnly):
		return "redis refuses writes"
	}
	return "redis is down"
}

func (r *Replica) storeName() string {
	if r.cfg.Load().Affinity.Redis == "" {
		return "memory"
	}
	return "redis"
}

// askStores asks each cluster's store, and returns what is wrong with them.
// storeWords says in a sentence why the store cannot be used, once where that is the same for all clusters; "" where it can.
func (r *Replica) storeWords() string {
	var all []string
	for _, p := range r.parts() {
		if p.store == nil {
			continue
		}
		err := p.store.Fault()
		if op, ok := errors.AsType[*affinity.OpError](err); ok {
			err = op.Err
		}
		if err != nil && !slices.Contains(all, err.Error()) {
			all = append(all, err.Error())
		}
	}
	return strings.Join(all, "; ")
}

func (r *Replica) askStores(ask func(*affinity.Cached) error) error {
	var all []error
	for _, p := range r.parts() {
		if p.store == nil {
			continue
		}
		if err := ask(p.store); err != nil {
			all = append(all, fmt.Errorf("affinity.redis: cluster %s: %w", p.cfg.Name, err))
		}
	}
	return errors.Join(all...)
}
