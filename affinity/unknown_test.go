package affinity_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// Sids that nobody knows share the Probes that show that nothing was lost: one in 10 ms, however many come.
func TestUnknownSIDsShareProbes(t *testing.T) {
	const sids = 500
	server := affinitytest.StartRedis(t)
	c := affinity.NewCached(affinity.NewMemory(100), affinity.NewRedis(open(t, server.URL()), "t:"), affinity.CachedOptions{})
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { c.Run(ctx) })
	defer all.Wait()
	defer stop()
	affinitytest.Eventually(t, "the store is ready", func() bool { return c.Ready() == nil })
	probes, began := server.Calls("incrby"), time.Now()
	var lookups sync.WaitGroup
	for i := range sids {
		lookups.Go(func() {
			_, err := c.Lookup(ctx, fmt.Sprint("sid", i))
			for errors.Is(err, affinity.ErrUnavailable) { // where the machine is busy
				<-c.Again()
				_, err = c.Lookup(ctx, fmt.Sprint("sid", i))
			}
			if !errors.Is(err, affinity.ErrNotFound) {
				t.Errorf("Lookup: %v", err)
			}
		})
		c.Glance(ctx, "other") // so that they do not come all at once
	}
	lookups.Wait()
	most := int(time.Since(began)/(8*time.Millisecond)) + 2 // those of Run, and of Redis's return, are apart
	if n := server.Calls("incrby") - probes; n > most {
		t.Errorf("%d probes for %d sids, want at most %d", n, sids, most)
	}
}
