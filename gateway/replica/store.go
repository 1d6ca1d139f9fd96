package replica

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sidway/sidway/affinity"
)

// tellState returns what logs an outage of the store once, however often it seems to be over, and once that somebody has to mend
// it.
func (r *Replica) tellState(cluster string) func(affinity.State, error) {
	var down, denied, late atomic.Bool
	return func(s affinity.State, cause error) {
		switch {
		case s == affinity.Up && down.Swap(false):
			denied.Store(false)
			late.Store(false)
			r.log.Info("redis is used again", "cluster", cluster)
		case errors.Is(cause, affinity.ErrDenied) && !denied.Swap(true): // whatever the outage began with
			down.Store(true)
			r.log.Error("redis refuses this replica, so new bindings are kept here until that is mended", "cluster", cluster, "error", cause)
		case isLate(cause) && !late.Swap(true), // which is found out a moment after the outage has begun
			cause != nil && !down.Swap(true):
			down.Store(true)
			r.log.Warn(trouble(cause)+", so new bindings are kept here", "cluster", cluster, "state", s.String(), "error", cause)
		default:
			r.log.Debug("the store of bindings changed its state", "cluster", cluster, "state", s.String(), "error", cause)
		}
	}
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
