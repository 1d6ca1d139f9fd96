//go:build linux

package nemesis

import (
	"context"
	"strings"
	"time"

	"github.com/sidway/sidway/bench/checker/client"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/stage"
)

const noRedis = "it has no Redis"

// many new clients that poll come while Redis is away: each needs both replicas to know it.
var many = client.Modes{Polling: 20, Upgrade: 5, WebSocket: 5}

// ofRedis are faults of the store, all of which are asked for the same.
func ofRedis() []Fault {
	const asks = "0 lost, 0 5xx, new ones come"
	row := func(name, asks, kind string, do func(context.Context, *Run) error) Fault {
		return Fault{Name: name, Asks: asks, Redis: kind, Only: noRedis, NoFailures: true, Alike: true, do: func(ctx context.Context, r *Run) error {
			return r.withoutRedis(ctx, name, do)
		}}
	}
	return []Fault{
		row("redis-kill", asks, stage.Single, killRedis),
		{
			Name: "redis-blink", Asks: "5 s away, connections alternate: 0 lost", Only: noRedis, NoFailures: true, Alike: true,
			Clients: Size{Small: client.Modes{Polling: 60}, Full: client.Modes{Polling: 60}},
			do: func(ctx context.Context, r *Run) error {
				return r.withoutRedis(ctx, "redis-blink", func(ctx context.Context, r *Run) error { return r.redisAway(ctx, 5*time.Second) })
			},
		},
		row("redis-flush", asks, stage.Single, flushRedis),
		row("redis-empty", asks, stage.Single, emptyRedis),
		row("redis-failover", asks, stage.Sentinel, failOver),
		row("redis-readonly", asks, stage.Single, readOnly),
		row("redis-reshard", asks, stage.Cluster, reshard),
		row("redis-pause", "p99 back under 5 ms in a second, 0 lost", stage.Single, pauseRedis),
		row("redis-slow", "+500 ms: known sessions unaffected", stage.Single, slowRedis),
	}
}

// withoutRedis does something to Redis while clients are there and others come.
func (r *Run) withoutRedis(ctx context.Context, name string, do func(context.Context, *Run) error) error {
	i := r.begin(history.Injury{Fault: name, Excuses: history.Nobody})
	if err := do(ctx, r); err != nil {
		return err
	}
	return r.back(ctx, i, 6*time.Second)
}

// newOnes come, and are connected when it returns.
func (r *Run) newOnes(ctx context.Context) error {
	fresh, err := r.come(many)
	if err == nil {
		_, err = fresh.connected(ctx)
	}
	return err
}

func killRedis(ctx context.Context, r *Run) error {
	return r.redisAway(ctx, size(r, 10*time.Second, time.Minute))
}

// redisAway kills Redis, which has nothing on its disk, and starts it again after a while.
func (r *Run) redisAway(ctx context.Context, away time.Duration) error {
	p := r.Stage.Redis.Servers[0]
	if err := p.Kill(); err != nil {
		return err
	}
	began := time.Now()
	if err := r.newOnes(ctx); err != nil {
		return err
	}
	if err := Sleep(ctx, away-time.Since(began)); err != nil {
		return err
	}
	return p.Start(ctx)
}

func flushRedis(ctx context.Context, r *Run) error {
	if _, err := r.come(many); err != nil {
		return err
	}
	for range 3 {
		r.Stage.Redis.Servers[0].Do(ctx, "FLUSHALL")
		if err := Sleep(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// emptyRedis starts Redis again at once, without what it knew.
func emptyRedis(ctx context.Context, r *Run) error {
	if _, err := r.come(many); err != nil {
		return err
	}
	p := r.Stage.Redis.Servers[0]
	if err := p.Kill(); err != nil {
		return err
	}
	return p.Start(ctx)
}

// failOver kills the master and waits until the Sentinels have another one.
func failOver(ctx context.Context, r *Run) error {
	s := r.Stage.Redis
	if err := s.Servers[0].Kill(); err != nil {
		return err
	}
	if _, err := r.come(many); err != nil {
		return err
	}
	began := time.Now()
	for !strings.Contains(s.Servers[1].Do(ctx, "INFO", "replication"), "role:master") {
		if err := Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	r.figure("another master after %v", time.Since(began).Round(time.Millisecond))
	if err := Sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	return s.Servers[0].Start(ctx)
}

// readOnly has the server take itself for a copy of one that is not there, as after a failover that went wrong.
func readOnly(ctx context.Context, r *Run) error {
	p := r.Stage.Redis.Servers[0]
	p.Do(ctx, "REPLICAOF", "10.99.0.250", "6379")
	if err := r.newOnes(ctx); err != nil {
		return err
	}
	if err := Sleep(ctx, size(r, 8*time.Second, 30*time.Second)); err != nil {
		return err
	}
	p.Do(ctx, "REPLICAOF", "NO", "ONE")
	return nil
}

func reshard(ctx context.Context, r *Run) error {
	if _, err := r.come(many); err != nil {
		return err
	}
	return r.Stage.Redis.Reshard(ctx, size(r, 200, 5000))
}

func pauseRedis(ctx context.Context, r *Run) error {
	p := r.Stage.Redis.Servers[0]
	if err := p.Pause(); err != nil {
		return err
	}
	if err := r.quick(ctx, time.Second, size(r, 5*time.Second, 20*time.Second)); err != nil {
		return err
	}
	if err := r.newOnes(ctx); err != nil {
		return err
	}
	return p.Resume()
}

func slowRedis(ctx context.Context, r *Run) error {
	redis := r.Stage.Redis.Servers[0].Host.Addr
	set := func(l stage.Link) {
		for _, p := range r.Stage.Replicas {
			r.Stage.Wire.Set(redis, p.Host.Addr, l)
		}
	}
	set(stage.Link{Delay: 250 * time.Millisecond}) // each way
	if err := r.quick(ctx, 0, size(r, 6*time.Second, 30*time.Second)); err != nil {
		return err
	}
	if err := r.newOnes(ctx); err != nil {
		return err
	}
	set(stage.Link{})
	return nil
}
