package replica

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/affinity"
)

const faultCache = "cache_full"

// roomAgain is how long no live binding may have been evicted before the memory counts as no longer full.
const roomAgain = time.Minute

// memory is the bindings that a cluster has in this process.
type memory struct {
	*affinity.Memory
	log  *slog.Logger
	held func(int)         // is told how many bindings there are
	lose func(text string) // where they are nowhere else: is told that live ones are evicted

	used, unused atomic.Int64 // live bindings evicted since the memory became full
	seen         int64        // of both, at the last tick
	full         bool
	since        time.Time // when the last one was evicted, while full
}

func newMemory(size int, log *slog.Logger, count func(affinity.Outcome), held func(int)) *memory {
	m := &memory{Memory: affinity.NewMemory(size), log: log.With("cache", size), held: held}
	m.OnEvict = func(used bool) {
		if used {
			m.used.Add(1)
			count(affinity.Evicted)
		} else {
			m.unused.Add(1)
			count(affinity.EvictedUnused)
		}
	}
	return m
}

// configure gives m another size, a log that tells it, and lose. It is not to be called while tick is.
func (m *memory) configure(size int, log *slog.Logger, lose func(text string)) {
	m.log, m.lose = log.With("cache", size), lose
	m.SetSize(size)
}

// tick is called each second. It drops what has expired, and logs once when live bindings begin to be evicted and once
// when that is over.
func (m *memory) tick(now time.Time) {
	m.Sweep()
	m.held(m.Len())
	switch used, unused := m.used.Load(), m.unused.Load(); {
	case used+unused != m.seen:
		if !m.full {
			m.log.Warn("affinity.cache is full, live bindings are evicted", "evicted", used, "evicted_unused", unused)
		}
		if m.lose != nil {
			m.lose("live sessions are forgotten, and their clients have to connect anew, since affinity.cache is full: raise it, or name a Redis in affinity.redis")
		}
		m.seen, m.full, m.since = used+unused, true, now
	case m.full && now.Sub(m.since) >= roomAgain:
		m.log.Info("affinity.cache has room again", "evicted", used, "evicted_unused", unused)
		m.used.Add(-used)
		m.unused.Add(-unused)
		m.seen, m.full = 0, false
	}
}

// sweep gives back, each second, what bindings hold for longer than they are of use, tells of bindings that were lost and of rights that are missing, and
// follows the limits of descriptors and of processors.
func (r *Replica) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 1; ; second++ {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			r.reloading.Lock()
			for _, p := range r.parts() {
				p.memory.tick(now)
				if p.losses != nil {
					p.losses.tick(now)
				}
			}
			_ = r.setConnections() // it worked at start
			if second%processorsEvery == 0 {
				r.shareProcessors()
				r.tellPolling()
			}
			r.reloading.Unlock()
			if r.askStores((*affinity.Cached).Fault) == nil {
				r.away.Store(0)
			} else {
				r.away.CompareAndSwap(0, now.UnixNano())
			}
			r.tellRights()
			r.watchMemory()
			r.tellStorms(second)
			if second%recentEvery == 0 {
				r.noteRecent(now)
			}
		}
	}
}

const (
	// watchEvery is how often it is looked whether the process runs.
	watchEvery = 250 * time.Millisecond
	// longPause is what is told of: a busy machine alone makes shorter ones.
	longPause = 2 * time.Second
)

// watch tells of times in which the process did not run, since nothing else would: what came meanwhile waits in the sockets, and is
// then served.
func (r *Replica) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		if took := now.Sub(last) - watchEvery; took > longPause {
			r.paused.Add(int64(took))
			r.gateway.StoodStill()
			r.log.Warn("this replica stood still, and serves what came meanwhile: was it stopped or its machine paused, or is there no processor for it?",
				"for", took.Round(100*time.Millisecond).String())
		}
		last = now
	}
}
