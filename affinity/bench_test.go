package affinity_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

func BenchmarkCachedHit(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := affinity.NewCached(affinity.NewMemory(2*n), newShelf(), affinity.CachedOptions{})
			sids := fill(b, c, n)
			ctx := context.Background()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _ = c.Lookup(ctx, sids[i%n])
			}
		})
	}
}

func BenchmarkCachedHitParallel(b *testing.B) {
	const n = 100_000
	c := affinity.NewCached(affinity.NewMemory(2*n), newShelf(), affinity.CachedOptions{})
	sids := fill(b, c, n)
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_, _ = c.Lookup(ctx, sids[i%n])
		}
	})
}

func BenchmarkMemoryBind(b *testing.B) {
	m := affinity.NewMemory(100_000)
	sids := fill(b, m, 200_000)
	ctx := context.Background()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = m.Bind(ctx, sids[i%len(sids)], affinitytest.Example)
	}
}

func BenchmarkRedis(b *testing.B) {
	server := affinitytest.StartRedis(b)
	s := affinity.NewRedis(open(b, server.URL()), "bench:")
	ctx := context.Background()
	b.Run("Bind", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = s.Bind(ctx, "sid", affinitytest.Example)
		}
	})
	b.Run("Lookup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Lookup(ctx, "sid")
		}
	})
	b.Run("LookupParallel", func(b *testing.B) {
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = s.Lookup(ctx, "sid")
			}
		})
	})
}

func fill(b *testing.B, s affinity.Store, n int) []string {
	sids := make([]string, n)
	for i := range sids {
		sids[i] = fmt.Sprintf("%020d", i)
		must(b, s.Bind(context.Background(), sids[i], affinitytest.Example))
	}
	return sids
}
