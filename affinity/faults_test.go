package affinity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// replica is one replica's Cached on a real Redis, with a client of its own.
type replica struct {
	*affinity.Cached
	outcomes *tally
}

func newReplica(t *testing.T, url string) replica {
	n := newTally()
	back := affinity.NewRedis(open(t, url), "sidway:chat:")
	c := affinity.NewCached(affinity.NewMemory(10_000), back, affinity.CachedOptions{OnOutcome: n.add})
	return replica{running(t, c), n}
}

// hold looks sid up as a held request does: it looks again when that is worth it, for as long as the road would wait.
func (r replica) hold(ctx context.Context, sid string) (affinity.Binding, error) {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for {
		b, err := r.Lookup(ctx, sid)
		if !errors.Is(err, affinity.ErrUnavailable) {
			return b, err
		}
		select {
		case <-r.Again():
		case <-ctx.Done():
			return b, err
		}
	}
}

// settle waits until the replica's store is here.
func (r replica) settle(t *testing.T) {
	t.Helper()
	affinitytest.Eventually(t, "a store that is up", func() bool { return r.State() == affinity.Up })
}

// bindMany binds n sids, as handshakes would that go on whatever happens to Redis.
func (r replica) bindMany(t *testing.T, prefix string, n int) []string {
	t.Helper()
	sids := make([]string, n)
	for i := range sids {
		sids[i] = fmt.Sprint(prefix, i)
		if err := r.Bind(t.Context(), sids[i], affinitytest.Example); unlike(err) {
			t.Fatalf("Bind: %v", err)
		}
	}
	return sids
}

func unlike(err error) bool { return err != nil && !errors.Is(err, affinity.ErrUnavailable) }

// holdAll has r look up sids at once, and fails where one is not found.
func (r replica) holdAll(t *testing.T, what string, sids []string) {
	t.Helper()
	var wg sync.WaitGroup
	for part := range slices.Chunk(sids, 1+len(sids)/16) {
		wg.Go(func() {
			for _, sid := range part {
				if _, err := r.hold(t.Context(), sid); err != nil {
					t.Errorf("%s: a session was lost: %v", what, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Whatever happens to Redis, replica a goes on binding and knows what it bound, and replica b finds every binding, at the
// latest when Redis is back.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]struct {
		strike, mend func(r *affinitytest.Redis) // without mend, the fault is over at once
	}{
		"SIGKILL and back empty": {
			strike: func(r *affinitytest.Redis) { r.Kill() },
			mend:   func(r *affinitytest.Redis) { r.Restart() },
		},
		"SIGSTOP and SIGCONT": {
			strike: func(r *affinitytest.Redis) { r.Pause() },
			mend:   func(r *affinitytest.Redis) { r.Resume() },
		},
		"FLUSHALL": {
			strike: func(r *affinitytest.Redis) { r.Do("FLUSHALL") },
		},
		"restarted at once, empty": {
			strike: func(r *affinitytest.Redis) { r.Restart() },
		},
		"restarted at once, older": {
			strike: func(r *affinitytest.Redis) { r.Restart() },
		},
		"READONLY": {
			strike: func(r *affinitytest.Redis) { r.Do("REPLICAOF", "127.0.0.1", "1") },
			mend:   func(r *affinitytest.Redis) { r.Do("REPLICAOF", "NO", "ONE") },
		},
		"OOM": {
			strike: func(r *affinitytest.Redis) { r.Do("CONFIG", "SET", "maxmemory", "1") },
			mend:   func(r *affinitytest.Redis) { r.Do("CONFIG", "SET", "maxmemory", "0") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := affinitytest.StartRedis(t)
			a, b := newReplica(t, server.URL()), newReplica(t, server.URL())
			sids := a.bindMany(t, "early", 300)
			if name == "restarted at once, older" {
				server.Do("SAVE")
				sids = append(sids, a.bindMany(t, "unsaved", 300)...)
			}
			a.settle(t)
			b.settle(t)
			fault.strike(server)
			sids = append(sids, a.bindMany(t, "during", 300)...)
			for _, sid := range sids {
				if _, err := a.Lookup(t.Context(), sid); err != nil {
					t.Fatalf("known here, and yet: %v", err)
				}
			}
			waiting := make(chan struct{})
			go func() {
				defer close(waiting)
				b.holdAll(t, "held meanwhile", sids[:100])
			}()
			if fault.mend != nil {
				affinitytest.Eventually(t, "replicas that notice", func() bool {
					return a.State() != affinity.Up && b.State() != affinity.Up
				})
				fault.mend(server)
			}
			<-waiting
			b.holdAll(t, "afterwards", sids)
			a.settle(t)
			b.settle(t)
			// And it is all in Redis: a third replica, which comes now, knows it.
			newReplica(t, server.URL()).holdAll(t, "a new replica", sids)
			if _, err := b.hold(t.Context(), "nobody"); !errors.Is(err, affinity.ErrNotFound) {
				t.Errorf("a sid that never was: %v", err)
			}
		})
	}
}

func TestFaultFailover(t *testing.T) {
	t.Parallel()
	master := affinitytest.StartRedis(t)
	affinitytest.StartReplica(t, master)
	sentinels := affinitytest.StartSentinels(t, master, "main", 3)
	url := "redis+sentinel://" + affinitytest.Addrs(sentinels) + "/main"
	a, b := newReplica(t, url), newReplica(t, url)
	sids := a.bindMany(t, "early", 300)
	a.settle(t)
	b.settle(t)
	master.Kill()
	sids = append(sids, a.bindMany(t, "during", 300)...)
	b.holdAll(t, "after the failover", sids)
}

// While Redis is silent, only the operations that meet its silence first wait for it.
func TestFaultSilenceCostsLittle(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a := newReplica(t, server.URL())
	a.bindMany(t, "early", 10)
	a.settle(t)
	server.Pause()
	affinitytest.Eventually(t, "the breaker", func() bool {
		_, _ = a.Lookup(t.Context(), "nobody")
		return a.Down()
	})
	before := server.Pid()
	var took []time.Duration
	for i := range 1000 {
		began := time.Now()
		_ = a.Bind(t.Context(), fmt.Sprint("during", i), affinitytest.Example)
		_, _ = a.Lookup(t.Context(), "nobody")
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	// Not a measure: a wait for Redis would be 100 ms.
	if p99 := took[len(took)*99/100]; p99 > 50*time.Millisecond || !a.Down() {
		t.Errorf("p99 is %v with the breaker open (redis %d)", p99, before)
	}
}

// Redis adds one write to a handshake, one read for a replica that first sees a sid, however many requests come at
// once, and one write in a third of the TTL.
func TestCommandsPerSession(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := newReplica(t, server.URL()), newReplica(t, server.URL())
	affinitytest.Eventually(t, "two replicas that are ready", func() bool { return a.Ready() == nil && b.Ready() == nil })
	server.Do("CONFIG", "RESETSTAT") // what each does once does not count
	const sessions = 20
	sids := a.bindMany(t, "sid", sessions)
	if got := server.Calls("set"); got != sessions {
		t.Errorf("%d handshakes made %d SETs", sessions, got)
	}
	for range 5 {
		var wg sync.WaitGroup
		for _, r := range []replica{a, b} {
			for _, sid := range sids {
				for range 3 {
					wg.Go(func() {
						if _, err := r.hold(t.Context(), sid); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
		wg.Wait()
	}
	if got := server.Calls("get"); got != sessions {
		t.Errorf("%d sessions seen by another replica made %d GETs", sessions, got)
	}
	var wg sync.WaitGroup
	for _, sid := range sids {
		old, err := b.Lookup(t.Context(), sid)
		if err != nil {
			t.Fatal(err)
		}
		old.Expires = old.Expires.Add(-old.TTL() / 2) // as if half of its time had gone
		for range 3 {
			wg.Go(func() {
				if old.Due(time.Now()) {
					_ = b.Bind(t.Context(), sid, old)
				}
			})
		}
	}
	wg.Wait()
	if got := server.Calls("set"); got > 2*sessions {
		t.Errorf("%d sessions, bound and renewed, made %d SETs", sessions, got)
	}
}
