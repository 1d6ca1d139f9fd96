package certs_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/certs"
)

// What is kept in Redis behaves as certmagic's own files do.
func TestStorage(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]certmagic.Storage{
		"files": &certmagic.FileStorage{Path: t.TempDir()},
		"redis": certs.NewStorage(storeOf(affinitytest.StartRedis(t))),
	} {
		t.Run(name, func(t *testing.T) { storageSuite(t, s) })
	}
	t.Run("cluster", func(t *testing.T) {
		client, err := affinity.Open("redis+cluster://" + affinitytest.Addrs(affinitytest.StartCluster(t, 3)))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		storageSuite(t, certs.NewStorage(certs.Store{Redis: client, Prefix: "test:"}))
	})
}

func storageSuite(t *testing.T, s certmagic.Storage) {
	ctx, began := t.Context(), time.Now()
	if _, err := s.Load(ctx, "a"); !errors.Is(err, fs.ErrNotExist) || s.Exists(ctx, "a") {
		t.Errorf("nothing: %v", err)
	}
	if _, err := s.Stat(ctx, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if err := s.Delete(ctx, "a"); err != nil {
		t.Errorf("nothing: %v", err)
	}
	if _, err := s.List(ctx, "a", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	for _, key := range []string{"a/b/c", "a/b/d", "a/e", "ab/f"} {
		for _, value := range []string{"before", "value of " + key} {
			if err := s.Store(ctx, key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := s.Load(ctx, key)
		if want := "value of " + key; err != nil || string(b) != want {
			t.Errorf("%s: %q %v", key, b, err)
		}
		i, err := s.Stat(ctx, key)
		if err != nil || i.Key != key || i.Size != int64(len(b)) || !i.IsTerminal || i.Modified.Before(began.Add(-time.Second)) || i.Modified.After(time.Now().Add(time.Second)) {
			t.Errorf("%s: %+v %v", key, i, err)
		}
	}
	if i, err := s.Stat(ctx, "a/b"); err != nil || i.IsTerminal || !s.Exists(ctx, "a/b") || s.Exists(ctx, "a/b/") && s.Exists(ctx, "a/bc") {
		t.Errorf("a directory: %+v %v", i, err)
	}
	list := func(path string, recursive bool, want ...string) {
		t.Helper()
		got, err := s.List(ctx, path, recursive)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", path, got, err, want)
		}
	}
	list("a", false, "a/b", "a/e")
	list("a", true, "a/b", "a/b/c", "a/b/d", "a/e")
	list("a/b", false, "a/b/c", "a/b/d")
	if err := s.Delete(ctx, "a/b"); err != nil || s.Exists(ctx, "a/b") || s.Exists(ctx, "a/b/c") {
		t.Errorf("what is below is there still (%v)", err)
	}
	list("a", true, "a/e")
	list("ab", true, "ab/f")
	locks(t, s)
}

// locks has several want the same lock.
func locks(t *testing.T, s certmagic.Storage) {
	var inside, times atomic.Int64
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			if err := s.Lock(t.Context(), "x"); err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) != 1 {
				t.Error("two have the lock")
			}
			times.Add(1)
			inside.Add(-1)
			if err := s.Unlock(t.Context(), "x"); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if times.Load() != 4 {
		t.Errorf("%d have had the lock", times.Load())
	}
	if err := s.Lock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Lock(ctx, "x"); err == nil {
		t.Error("a lock is given to one who has left")
	}
	if err := s.Unlock(ctx, "x"); err != nil {
		t.Error(err)
	}
}

// The lock of a replica that died is free after a while, and nobody frees another's.
func TestLocksOfTheDead(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	s := certs.NewStorage(storeOf(rdb))
	if err := s.Lock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if ttl := rdb.Do("PTTL", "test:!acme:x"); len(ttl) != 5 || ttl > "30000" {
		t.Errorf("the lock lasts for %s ms", ttl)
	}
	rdb.Do("SET", "test:!acme:x", "another's")
	if err := s.Unlock(t.Context(), "x"); err != nil || rdb.Do("GET", "test:!acme:x") != "another's" {
		t.Errorf("another's lock is freed (%v)", err)
	}
	if err := s.Unlock(t.Context(), "x"); err == nil {
		t.Error("what is not held is freed")
	}
	rdb.Do("PEXPIRE", "test:!acme:x", "300")
	if err := s.Lock(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	if err := s.Unlock(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}

// A Redis that is away for a moment is waited for, and one that stays away is an error, not an empty one.
func TestStorageWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	s := certs.NewStorage(storeOf(rdb))
	if err := s.Store(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	rdb.Kill()
	if _, err := s.Load(t.Context(), "a"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Redis is away: %v", err)
	}
	done := make(chan error)
	go func() { done <- s.Store(t.Context(), "a", []byte("y")) }()
	rdb.Restart()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
