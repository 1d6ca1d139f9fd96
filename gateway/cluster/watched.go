package cluster

import (
	"sync/atomic"
	"time"
)

// This file is for sessions that poll and are moved. Their requests may come to any replica, so that all watch them while that may happen.

// watchedAfter is for how long the sessions of a node are watched when they are to be moved no more: a move may be under way.
const watchedAfter = 15 * time.Second

// SetUnloading records whether sessions are moved off n although it takes new ones.
func (c *Cluster) SetUnloading(n *Node, unloading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if unloads := n.unloadsSince.Load() != 0; unloads != unloading {
		n.watch(&n.unloadsSince, unloading)
	}
}

// watch notes since when there is a reason to watch the sessions, or that it is none any more.
func (s *state) watch(reason *atomic.Int64, holds bool) {
	now := time.Now()
	if holds {
		reason.Store(now.UnixNano())
		return
	}
	s.watchedUntil.Store(now.Add(watchedAfter).UnixNano()) // first, so that there is no moment between
	reason.Store(0)
}

// UnloadsFor returns for how long it has been known here that n's sessions are to move to other nodes: it is drained, or has more than its share. 0:
// they are not.
func (n *Node) UnloadsFor() time.Duration {
	return max(sinceNano(n.drainsSince.Load()), sinceNano(n.unloadsSince.Load()))
}

func sinceNano(t int64) time.Duration {
	if t == 0 {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - t)
}

// Watch has sessions watched that are to move, by their sids, since when that is known here, in place of those before. The map must not change any more.
func (s *Sessions) Watch(since map[string]time.Time) {
	if len(since) == 0 {
		s.watched.Store(nil)
		return
	}
	s.watched.Store(&since)
}

// Watches reports whether a session that lives on n may be moved by another replica now, as one that polls. It takes no lock.
func (s *Sessions) Watches(sid string, n *Node) bool {
	if n.drainsSince.Load() != 0 || n.unloadsSince.Load() != 0 {
		return true
	}
	if all := s.watched.Load(); all != nil && !(*all)[sid].IsZero() {
		return true
	}
	until := n.watchedUntil.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// WatchedFor returns for how long it has been known here that the session, which lives on n, is to move; 0: it is not.
func (s *Sessions) WatchedFor(sid string, n *Node) time.Duration {
	if all := s.watched.Load(); all != nil {
		if since := (*all)[sid]; !since.IsZero() {
			return max(n.UnloadsFor(), time.Since(since))
		}
	}
	return n.UnloadsFor()
}
