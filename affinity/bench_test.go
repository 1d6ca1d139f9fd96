package affinity_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// BenchmarkLookup looks bindings up in no order, so that a large number of them costs what the processor's caches do not
// hold. It reports what one takes. The last size needs some GiB.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all, before := newSIDs(n), heap()
			m := affinity.NewMemory(2 * n)
			for i := range n {
				must(b, m.Bind(context.Background(), all.at(i), affinitytest.Example))
			}
			each := float64(heap()-before) / float64(n)
			b.Run("Memory", func(b *testing.B) { lookUpAll(b, m, all, each) })
			c := affinity.NewCached(m, newShelf(), affinity.CachedOptions{})
			b.Run("Cached", func(b *testing.B) { lookUpAll(b, c, all, each) })
		})
	}
}

// lookUpAll looks up what all of them name in s, where each takes so many bytes.
func lookUpAll(b *testing.B, s affinity.Store, all sids, each float64) {
	ctx, n := context.Background(), len(all)/sidSize
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Lookup(ctx, all.at(i*stride%n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(each, "B/binding")
}

// sidSize is the length of a sid of engine.io, stride a prime, far from one sid to the next.
const (
	sidSize = 20
	stride  = 7_368_787
)

// sids are many sids in one string, since ten million would take more memory than their bindings.
type sids string

func newSIDs(n int) sids {
	all := make([]byte, 0, sidSize*n)
	for i := range n {
		all = fmt.Appendf(all, "%0*d", sidSize, i)
	}
	return sids(all)
}

func (s sids) at(i int) string { return string(s[i*sidSize : (i+1)*sidSize]) }

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
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

// BenchmarkUnknown looks up sids that nobody knows, 2,000 at a time, and reports what one takes of this process and of Redis.
func BenchmarkUnknown(b *testing.B) {
	const atOnce = 2000
	server := affinitytest.StartRedis(b)
	client := open(b, server.URL())
	c := affinity.NewCached(affinity.NewMemory(100), affinity.NewRedis(client, "bench:"), affinity.CachedOptions{})
	ctx, stop := context.WithCancel(context.Background())
	var all, work sync.WaitGroup
	all.Go(func() { c.Run(ctx) })
	defer all.Wait()
	defer stop()
	commands := func() int64 {
		text, err := client.InfoMap(ctx, "stats").Result()
		must(b, err)
		n, err := strconv.ParseInt(text["Stats"]["total_commands_processed"], 10, 64)
		must(b, err)
		return n
	}
	var left, wrong atomic.Int64
	left.Store(int64(b.N))
	before, began := commands(), processTime()
	b.ReportAllocs()
	b.ResetTimer()
	for range atOnce {
		work.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				if _, err := c.Lookup(ctx, fmt.Sprint("nobodys", i)); !errors.Is(err, affinity.ErrNotFound) {
					wrong.Add(1)
				}
			}
		})
	}
	work.Wait()
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64(processTime()-began)/1e3/n, "cpu-µs/op")
	b.ReportMetric(float64(commands()-before)/n, "commands/op")
	b.ReportMetric(float64(wrong.Load()), "unanswered")
}

// processTime is the CPU time that this process has spent.
func processTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRedisFootprint tells what a binding takes in Redis and on the wire: its SET and the answer to it, and a first
// look-up (GET, PTTL) and its answers.
func BenchmarkRedisFootprint(b *testing.B) {
	const n = 50_000
	server := affinitytest.StartRedis(b)
	client := open(b, server.URL())
	s := affinity.NewRedis(client, "sidway:chat:")
	ctx := context.Background()
	info := func() (memory, wire int64) {
		text, err := client.InfoMap(ctx, "memory", "stats").Result()
		must(b, err)
		number := func(section, name string) int64 {
			v, err := strconv.ParseInt(text[section][name], 10, 64)
			must(b, err)
			return v
		}
		return number("Memory", "used_memory"), number("Stats", "total_net_input_bytes") + number("Stats", "total_net_output_bytes")
	}
	memory, wire := info()
	all := newSIDs(n)
	for i := range n {
		must(b, s.Bind(ctx, all.at(i), affinitytest.Example))
	}
	bound, bindWire := info()
	for i := range n {
		_, err := s.Lookup(ctx, all.at(i))
		must(b, err)
	}
	_, lookupWire := info()
	for b.Loop() {
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(bound-memory)/n, "B/binding")
	b.ReportMetric(float64(bindWire-wire)/n, "wire-B/bind")
	b.ReportMetric(float64(lookupWire-bindWire)/n, "wire-B/lookup")
}

func fill(b *testing.B, s affinity.Store, n int) []string {
	sids := make([]string, n)
	for i := range sids {
		sids[i] = fmt.Sprintf("%020d", i)
		must(b, s.Bind(context.Background(), sids[i], affinitytest.Example))
	}
	return sids
}
