package replica

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/affinity"
)

// store is where a cluster's bindings live: in this process, or in Redis behind it. Each cluster has keys of its own,
// because two clusters may give the same sid.
func (r *Replica) store(cluster string, outcome func(affinity.Outcome), taken func(refused, node string)) affinity.Store {
	m := newMemory(r.cfg.Affinity.Cache, r.log.With("cluster", cluster, "store", r.storeName()), outcome, r.metrics.BindingsHeld(cluster))
	r.memories = append(r.memories, m)
	if r.redis == nil {
		return m.Memory
	}
	l := newLosses(r.log.With("cluster", cluster))
	r.losses = append(r.losses, l)
	back := affinity.NewRedis(r.redis, r.cfg.Affinity.Prefix+cluster+":")
	back.OnLost = func(n int) {
		for range n {
			outcome(affinity.Lost)
		}
		l.add(n)
	}
	s := affinity.NewCached(m.Memory, back, affinity.CachedOptions{
		OnOutcome: outcome,
		OnState:   r.tellState(cluster),
		OnTaken:   taken,
	})
	r.stores = append(r.stores, s)
	return s
}

// tellState returns what logs an outage of the store once, however often it seems to be over, and once that somebody has to mend
// it.
func (r *Replica) tellState(cluster string) func(affinity.State, error) {
	var down, denied atomic.Bool
	return func(s affinity.State, cause error) {
		switch {
		case s == affinity.Up && down.Swap(false):
			denied.Store(false)
			r.log.Info("redis is used again", "cluster", cluster)
		case errors.Is(cause, affinity.ErrDenied) && !denied.Swap(true): // whatever the outage began with
			down.Store(true)
			r.log.Error("redis refuses this replica, so new bindings are kept here until that is mended", "cluster", cluster, "error", cause)
		case cause != nil && !down.Swap(true):
			r.log.Warn(trouble(cause)+", so new bindings are kept here", "cluster", cluster, "state", s.String(), "error", cause)
		default:
			r.log.Debug("the store of bindings changed its state", "cluster", cluster, "state", s.String(), "error", cause)
		}
	}
}

// trouble says in a word what is wrong with Redis.
func trouble(cause error) string {
	switch {
	case errors.Is(cause, affinity.ErrLate):
		return "redis is slow or hangs"
	case errors.Is(cause, affinity.ErrReadOnly):
		return "redis refuses writes"
	}
	return "redis is down"
}

func (r *Replica) storeName() string {
	if r.redis == nil {
		return "memory"
	}
	return "redis"
}

// askStores asks each cluster's store, and returns what is wrong with them.
func (r *Replica) askStores(ask func(*affinity.Cached) error) error {
	var all []error
	for i, s := range r.stores {
		if err := ask(s); err != nil {
			all = append(all, fmt.Errorf("affinity.redis: cluster %s: %w", r.routes[i].Cluster.Name, err))
		}
	}
	return errors.Join(all...)
}

// countStores registers how the stores are. In memory mode there is none.
func (r *Replica) countStores(registry *prometheus.Registry) {
	for i, s := range r.stores {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "sidway_store_up",
			Help:        "Whether a cluster's bindings can be read and written in Redis: 1 or 0.",
			ConstLabels: prometheus.Labels{"cluster": r.routes[i].Cluster.Name},
		}, func() float64 {
			if s.Fault() != nil {
				return 0
			}
			return 1
		}))
	}
}
