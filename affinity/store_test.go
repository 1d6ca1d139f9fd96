package affinity_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

func TestMain(m *testing.M) {
	logging.Disable()
	goleak.VerifyTestMain(m)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	affinitytest.Run(t, func(*testing.T) affinity.Store { return affinity.NewMemory(1000) })
}

func TestRedis(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	affinitytest.Run(t, func(t *testing.T) affinity.Store {
		return affinity.NewRedis(open(t, server.URL()), "sidway:"+t.Name()+":")
	})
}

func TestCached(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	affinitytest.Run(t, func(t *testing.T) affinity.Store {
		back := affinity.NewRedis(open(t, server.URL()), "sidway:"+t.Name()+":")
		return running(t, affinity.NewCached(affinity.NewMemory(1000), back, affinity.CachedOptions{}))
	})
}

func open(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	c, err := affinity.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// running runs c until the test ends.
func running(t testing.TB, c *affinity.Cached) *affinity.Cached {
	done := make(chan error)
	go func() { done <- c.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}
