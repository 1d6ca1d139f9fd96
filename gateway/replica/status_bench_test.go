package replica_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// crowded returns a replica that counts so many sessions.
func crowded(b *testing.B, nodes, sessions int) *replica.Replica {
	b.Helper()
	cfg := settings()
	for i := range nodes {
		cfg.Clusters[0].Nodes = append(cfg.Clusters[0].Nodes, config.Node{Name: fmt.Sprint("n", i), URL: fmt.Sprintf("http://127.0.0.1:%d", 10_000+i), Weight: 1})
	}
	r, err := replica.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	c := r.Clusters()[0]
	for i := range sessions {
		n, err := c.Pick(cluster.Want{})
		if err != nil {
			b.Fatal(err)
		}
		c.Sessions.Open(fmt.Sprint("session", i), n, time.Now().Add(time.Hour))
	}
	return r
}

// What one status costs, which a page asks for once a second: 10,000 ns are 0.001 % of a core.
func BenchmarkStatus(b *testing.B) {
	for _, size := range []struct{ nodes, sessions int }{{4, 10_000}, {200, 10_000}, {200, 1_000_000}} {
		b.Run(fmt.Sprintf("%d nodes, %d sessions", size.nodes, size.sessions), func(b *testing.B) {
			r := crowded(b, size.nodes, size.sessions)
			defer r.Close()
			b.ReportAllocs()
			length := 0
			for b.Loop() {
				text, err := json.Marshal(r.Status())
				if err != nil {
					b.Fatal(err)
				}
				length = len(text)
			}
			b.ReportMetric(float64(length), "bytes")
		})
	}
}

// What the status page and Prometheus cost where both ask once a second, in CPU of the whole process, that of the clients too.
func BenchmarkPageAndMetrics(b *testing.B) {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for _, nodes := range []int{4, 200} {
		b.Run(fmt.Sprintf("%d nodes, 10000 sessions", nodes), func(b *testing.B) {
			r := crowded(b, nodes, 10_000)
			ctx, stop := context.WithCancelCause(context.Background())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			get := func(path string) {
				res, err := http.Get("http://" + r.AdminAddr().String() + path)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			get("/healthz")
			before := cpu()
			for b.Loop() {
				get("/api/status")
				get("/metrics")
			}
			b.ReportMetric(100*(cpu()-before).Seconds()/float64(b.N), "%core-at-1/s")
			stop(replica.ErrNoNotice)
			if err := <-done; err != nil {
				b.Error(err)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}
