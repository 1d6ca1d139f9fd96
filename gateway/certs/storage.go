package certs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"
)

const (
	// storageKey is behind the prefix: a hash of what ACME needs to keep, by names that are paths. It is one key so that a Redis Cluster
	// can list it.
	storageKey = "!acme"
	// lockTime is how long a lock outlives who has it, and lockRenew how often that one renews it.
	lockTime  = 30 * time.Second
	lockRenew = lockTime / 3
	lockPause = 250 * time.Millisecond // between two attempts
	// storagePatience is how long an operation is tried, for Redis changes masters now and then.
	storagePatience = 3 * time.Second
)

// storage keeps in Redis what ACME needs, so that replicas share it.
type storage struct {
	redis redis.UniversalClient
	key   string // of the hash
	mu    sync.Mutex
	locks map[string]*lock
}

var _ certmagic.Storage = (*storage)(nil)

func newStorage(s Store) *storage {
	return &storage{redis: s.Redis, key: s.Prefix + storageKey, locks: map[string]*lock{}}
}

// try does something until it succeeds, for some time.
func try(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, storagePatience)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil || errors.Is(err, redis.Nil) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis: %w", err)
		case <-time.After(lockPause):
		}
	}
}

// Store implements certmagic.Storage.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	return try(ctx, func(ctx context.Context) error { return s.redis.HSet(ctx, s.key, key, append(b, value...)).Err() })
}

// load returns a value and when it was stored.
func (s *storage) load(ctx context.Context, key string) (value []byte, at time.Time, err error) {
	err = try(ctx, func(ctx context.Context) (err error) {
		value, err = s.redis.HGet(ctx, s.key, key).Bytes()
		return err
	})
	if errors.Is(err, redis.Nil) || err == nil && len(value) < 8 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, at, err
	}
	return value[8:], time.UnixMilli(int64(binary.BigEndian.Uint64(value))), nil
}

// Load implements certmagic.Storage.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.load(ctx, key)
	return value, err
}

// below returns the names of all values below a path.
func (s *storage) below(ctx context.Context, path string) (names []string, err error) {
	err = try(ctx, func(ctx context.Context) (err error) {
		names, err = s.redis.HKeys(ctx, s.key).Result()
		return err
	})
	if path = strings.TrimSuffix(path, "/"); path != "" {
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, path+"/") })
	}
	return names, err
}

// Delete implements certmagic.Storage.
func (s *storage) Delete(ctx context.Context, key string) error {
	names, err := s.below(ctx, key)
	if err != nil {
		return err
	}
	return try(ctx, func(ctx context.Context) error { return s.redis.HDel(ctx, s.key, append(names, key)...).Err() })
}

// Exists implements certmagic.Storage.
func (s *storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage.
func (s *storage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	names, err := s.below(ctx, path)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	begin := 0
	if path = strings.TrimSuffix(path, "/"); path != "" {
		begin = len(path) + 1
	}
	var all []string
	for _, n := range names {
		for i := begin; i <= len(n); i++ {
			if i == len(n) || n[i] == '/' {
				all = append(all, n[:i])
				if !recursive {
					break
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Stat implements certmagic.Storage.
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, at, err := s.load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: at, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		var names []string
		if names, err = s.below(ctx, key); err == nil && len(names) == 0 {
			err = fs.ErrNotExist
		}
	}
	return certmagic.KeyInfo{Key: key}, err
}

// lock is one that this process has.
type lock struct {
	word string // which nobody else has
	stop context.CancelFunc
	done chan struct{}
}

var (
	renewLock = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) end return 0`)
	freeLock  = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`)
)

func (s *storage) lockKey(name string) string { return s.key + ":" + name }

// Lock implements certmagic.Locker. A lock whose owner dies is free after lockTime.
func (s *storage) Lock(ctx context.Context, name string) error {
	word := rand.Text()
	for {
		var free bool
		err := try(ctx, func(ctx context.Context) (err error) {
			free, err = s.redis.SetNX(ctx, s.lockKey(name), word, lockTime).Result()
			return err
		})
		if err != nil {
			return err
		}
		if free {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
	held := &lock{word: word, done: make(chan struct{})}
	ctx, held.stop = context.WithCancel(context.WithoutCancel(ctx))
	go s.renew(ctx, name, held)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks[name] = held
	return nil
}

// renew keeps a lock until it is stopped.
func (s *storage) renew(ctx context.Context, name string, held *lock) {
	defer close(held.done)
	tick := time.NewTicker(lockRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = try(ctx, func(ctx context.Context) error {
				return renewLock.Run(ctx, s.redis, []string{s.lockKey(name)}, held.word, lockTime.Milliseconds()).Err()
			})
		}
	}
}

// Unlock implements certmagic.Locker.
func (s *storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	held := s.locks[name]
	delete(s.locks, name)
	s.mu.Unlock()
	if held == nil {
		return fmt.Errorf("certs: the lock %s is not held", name)
	}
	held.stop()
	<-held.done
	return try(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return freeLock.Run(ctx, s.redis, []string{s.lockKey(name)}, held.word).Err()
	})
}
