package replica_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// What one status costs, which a page asks for once a second: 10,000 ns are 0.001 % of a core.
func BenchmarkStatus(b *testing.B) {
	for _, size := range []struct{ nodes, sessions int }{{4, 10_000}, {200, 10_000}, {200, 1_000_000}} {
		b.Run(fmt.Sprintf("%d nodes, %d sessions", size.nodes, size.sessions), func(b *testing.B) {
			cfg := settings()
			for i := range size.nodes {
				cfg.Clusters[0].Nodes = append(cfg.Clusters[0].Nodes, config.Node{Name: fmt.Sprint("n", i), URL: fmt.Sprintf("http://127.0.0.1:%d", 10_000+i), Weight: 1})
			}
			r, err := replica.New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			c := r.Clusters()[0]
			for i := range size.sessions {
				n, err := c.Pick(cluster.Want{})
				if err != nil {
					b.Fatal(err)
				}
				c.Sessions.Open(fmt.Sprint("session", i), n, time.Now().Add(time.Hour))
			}
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
